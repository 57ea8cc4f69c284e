// runs per start method
#include <multiprocessing/process.hpp>
#include <multiprocessing/shareable_list.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace mp = multiprocessing;
using mp::ShareableList;
using Item = ShareableList::Item;

namespace {

ShareableList::Bytes bytes(std::string_view text) {
    auto const* const data = reinterpret_cast<std::byte const*>(text.data());
    return {data, data + text.size()};
}

std::vector<Item> const everything{
    std::int64_t{42},
    2.5,
    true,
    false,
    std::monostate(),
    std::string("hi"),
    std::string("exactly8"),
    bytes(std::string_view("\x01\x00\xff", 3)),
    std::string(),
    std::numeric_limits<std::int64_t>::min(),
    std::string("h\xc3\xa9llo")};

void change(ShareableList list) {
    list.set(0, std::int64_t{1});
    list.set(-1, std::string("bye"));
}

} // namespace

TEST_CASE("items come back as they were put in") {
    ShareableList const list(everything);
    CHECK(list.size() == everything.size());
    CHECK(std::equal(list.begin(), list.end(), everything.begin(), everything.end()));
    CHECK(list.get<int>(0) == 42);
    CHECK(list.get<double>(1) == 2.5);
    CHECK(list.get<bool>(2));
    CHECK(list.get<std::string>(-1) == "h\xc3\xa9llo");
    CHECK(list[-11] == Item(std::int64_t{42}));
    CHECK(list.format() == "qdxxxxxxx?xxxxxxx?xxxxxx?x8s16s8s8sq8s");
    CHECK(list.count(true) == 1);
    CHECK(list.index(std::string("hi")) == 5);
    CHECK(list.to_string().starts_with(
        "ShareableList([42, 2.5, True, False, None, 'hi', 'exactly8', <3 bytes>, '', -9223"));
    CHECK(ShareableList(std::vector<Item>()).size() == 0);
    CHECK(ShareableList(std::vector<Item>()).shm().size() == 16);
}

TEST_CASE("wrong uses of a list") {
    ShareableList list{std::int64_t{1}, std::string("abc")};
    CHECK_THROWS_AS(list.get(2), std::out_of_range);
    CHECK_THROWS_AS(list.get(-3), std::out_of_range);
    CHECK_THROWS_AS(list.set(2, true), std::out_of_range);
    CHECK_THROWS_AS(list.get<double>(0), mp::TypeError);
    CHECK_THROWS_AS(list.index(false), mp::ValueError);
    list.set(0, std::numeric_limits<std::int64_t>::max());
    CHECK_THROWS_AS(list.get<int>(0), mp::ValueError);
    CHECK_THROWS_AS(list.set(1, std::string("123456789")), mp::ValueError);
    CHECK(list.get<std::string>(1) == "abc");
}

TEST_CASE("an item may change its type") {
    ShareableList list{std::string("a text of some length"), std::int64_t{0}};
    CHECK(list.format() == "24sq");
    list.set(0, 1.5);
    CHECK(list.get<double>(0) == 1.5);
    list.set(0, bytes("24 bytes fit into this.."));
    CHECK(list.get<ShareableList::Bytes>(0) == bytes("24 bytes fit into this.."));
    list.set(1, std::string("12345678"));
    CHECK(list.get<std::string>(1) == "12345678");
    list.set(1, std::monostate());
    CHECK(list.format() == "24sxxxxxx?x");
}

TEST_CASE("a text of another alphabet keeps all its letters") {
    std::string const days(24, '\xe6'); // 24 bytes, whatever they mean
    CHECK(ShareableList{days}.get<std::string>(0) == days);
}

TEST_CASE("a list is found by its name, and handed to children") {
    auto const name = mp::SharedMemory::new_name();
    ShareableList mine(everything, name);
    auto theirs = ShareableList::attach(name);
    theirs.set(2, false);
    CHECK(mine.get<bool>(2) == false);
    ShareableList const anonymous(everything);
    mp::Process named(change, mine);
    mp::Process other(change, anonymous);
    for (auto* const process : {&named, &other}) {
        process->start();
        process->join();
        CHECK(process->exitcode() == 0);
    }
    CHECK(mine.get<int>(0) == 1);
    CHECK(anonymous.get<std::string>(-1) == "bye");
    theirs.shm().close();
    mine.shm().unlink();
}

#if !defined(_WIN32) // blocks are rounded up to pages there, and zeros are an empty list
TEST_CASE("memory that is no list is refused, and a damaged list does no harm") {
    auto const name = mp::SharedMemory::new_name();
    {
        auto const small = mp::SharedMemory::create(8, name);
        CHECK_THROWS_AS(ShareableList::attach(name), mp::ValueError);
        small.unlink();
    }
    ShareableList list(everything, name);
    std::vector<std::byte> const intact(list.shm().buf().begin(), list.shm().buf().end());
    std::mt19937 random(5);
    for (int round = 0; round < 3000; ++round) {
        std::copy(intact.begin(), intact.end(), list.shm().buf().begin());
        for (int i = 0; i < 3; ++i) list.shm().buf()[random() % intact.size()] = static_cast<std::byte>(random());
        try {
            auto const damaged = ShareableList::attach(name);
            for (auto const& item : damaged) static_cast<void>(item);
        } catch (mp::ValueError const&) {
        }
        try {
            list.set(static_cast<std::ptrdiff_t>(random() % 11), std::string("abc"));
        } catch (mp::ValueError const&) {
        }
    }
    list.shm().unlink();
}
#endif
