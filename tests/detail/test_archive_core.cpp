#include <multiprocessing/detail/archive.hpp>
#include <multiprocessing/detail/archive_core.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace mp = multiprocessing;
using namespace mp::detail;

namespace {

template <class T>
T round_trip(T const& value) {
    byte_buffer buffer;
    save(buffer, value);
    return load<T>(buffer.bytes());
}

class person {
public:
    person() = default;
    person(std::string name, int age) : name_(std::move(name)), age_(age) {}
    bool operator==(person const&) const = default;

private:
    friend class boost::serialization::access;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& name_;
        archive& age_;
    }
    std::string name_;
    int age_ = 0;
};

/// Trivially copyable, yet its own function decides what travels.
struct cached {
    int value = 0;
    int cache = 0;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& value;
    }
};

struct directions {
    bool saved = false;
    bool loaded = false;
    template <class Archive>
    void serialize(Archive&, unsigned) {
        saved = saved || Archive::is_saving::value;
        loaded = loaded || Archive::is_loading::value;
    }
};

struct fixed {
    int const number;
    explicit fixed(int n) : number(n) {}
};

struct chain {
    std::unique_ptr<chain> next;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& next;
    }
};
chain chain_of(int length) {
    chain first;
    for (int i = 1; i != length; ++i) {
        auto rest = std::make_unique<chain>(std::move(first));
        first.next = std::move(rest);
    }
    return first;
}

struct holder { // like an object that owns a descriptor
    std::intptr_t handle = -1;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        std::uint64_t token = 0;
        if constexpr (Archive::is_saving::value) token = archive.handles().attach(handle);
        archive& token;
        if constexpr (Archive::is_loading::value) handle = archive.handles().take(token);
    }
};

class counting_carrier final : public handle_carrier {
public:
    std::uint64_t attach(std::intptr_t handle) override {
        handles_.push_back(handle);
        return handles_.size() - 1;
    }
    std::intptr_t take(std::uint64_t token) override { return handles_.at(token); }

private:
    std::vector<std::intptr_t> handles_;
};

} // namespace

namespace geometry {
struct point {
    int x = 0;
    int y = 0;
    bool operator==(point const&) const = default;
};
template <class Archive>
void serialize(Archive& archive, point& p, unsigned) {
    archive& p.y& p.x;
}
} // namespace geometry

TEST_CASE("plain values travel by their bytes") {
    CHECK(round_trip(42) == 42);
    CHECK(round_trip(-1.5L) == -1.5L);
    CHECK(round_trip('x') == 'x');
    CHECK(round_trip(true));
    CHECK(round_trip(delivery::many) == delivery::many);
    CHECK(round_trip(fixed(7)).number == 7);

    byte_buffer buffer;
    save(buffer, 42);
    CHECK(buffer.size() == sizeof(int));
}

TEST_CASE("an object without content is a byte that is always the same") {
    struct nothing {};
    alignas(nothing) unsigned char memory[sizeof(nothing)] = {0xaa};
    byte_buffer buffer;
    save(buffer, *std::launder(reinterpret_cast<nothing*>(memory)));
    REQUIRE(buffer.size() == 1);
    CHECK(buffer.bytes()[0] == std::byte{0});
}

TEST_CASE("C arrays travel inside of objects") {
    struct board {
        int cells[2][3] = {};
        std::string names[2];
        void serialize(output_archive& archive, unsigned) { archive& cells& names; }
        void serialize(input_archive& archive, unsigned) { archive& cells& names; }
    };
    auto const copy = round_trip(board{{{1, 2, 3}, {4, 5, 6}}, {"one", "two"}});
    CHECK(copy.cells[0][0] == 1);
    CHECK(copy.cells[1][2] == 6);
    CHECK(copy.names[1] == "two");
}

TEST_CASE("a type travels by its own serialize: a private member, a free function, instead of its bytes") {
    CHECK(round_trip(person("Ada", 36)) == person("Ada", 36));
    CHECK(round_trip(geometry::point{1, 2}) == geometry::point{1, 2});

    auto const copy = round_trip(cached{1, 2});
    CHECK(copy.value == 1);
    CHECK(copy.cache == 0);

    CHECK(round_trip(directions{}).loaded);
    CHECK_FALSE(round_trip(directions{}).saved);
}

TEST_CASE("several objects follow each other with both spellings") {
    byte_buffer buffer;
    output_archive out(buffer);
    out << 1 << std::string("two");
    out & 3.0;

    input_archive in(buffer.bytes());
    int one = 0;
    std::string two;
    double three = 0;
    in >> one >> two;
    in& three;
    CHECK(one == 1);
    CHECK(two == "two");
    CHECK(three == 3.0);
    CHECK_NOTHROW(in.expect_end());
}

TEST_CASE("too little and too much are both errors") {
    byte_buffer buffer;
    save(buffer, 42);
    CHECK_THROWS_AS(load<std::int64_t>(buffer.bytes()), mp::ValueError);
    CHECK_THROWS_AS(load<short>(buffer.bytes()), mp::ValueError);
    CHECK_THROWS_WITH(load<short>(buffer.bytes()), "truncated or damaged message");
}

TEST_CASE("a bool is 0 or 1") {
    byte_buffer buffer;
    save(buffer, std::uint8_t{2});
    CHECK_THROWS_AS(load<bool>(buffer.bytes()), mp::ValueError);
}

TEST_CASE("nesting has a limit on both sides") {
    byte_buffer buffer;
    save(buffer, chain_of(deepest_nesting));
    CHECK_NOTHROW(load<chain>(buffer.bytes()));
    CHECK_THROWS_AS(save(buffer, chain_of(deepest_nesting + 1)), mp::PicklingError);

    std::vector<std::byte> const endless(1'000'000, std::byte{1});
    CHECK_THROWS_AS(load<chain>(endless), mp::ValueError);
}

TEST_CASE("handles need a carrier") {
    counting_carrier carrier;
    byte_buffer buffer;
    output_archive out(buffer);
    CHECK_THROWS_AS(out << holder{5}, mp::PicklingError);
    CHECK_THROWS_WITH(out.handles(), "this kind of message cannot carry operating-system handles");

    buffer.clear();
    out.carry_handles(&carrier);
    out << holder{5} << holder{6};

    input_archive in(buffer.bytes());
    in.carry_handles(&carrier);
    holder five, six;
    in >> five >> six;
    CHECK(five.handle == 5);
    CHECK(six.handle == 6);

    in.carry_handles(nullptr);
    CHECK_THROWS_AS(in.handles(), mp::PicklingError);
}

TEST_CASE("the number of deliveries is a property of the archive") {
    byte_buffer buffer;
    output_archive out(buffer);
    CHECK(out.delivery_mode() == delivery::once);
    out.delivery_mode(delivery::many);
    CHECK(out.delivery_mode() == delivery::many);
    CHECK(input_archive({}).delivery_mode() == delivery::once);
}

TEST_CASE("an archive keeps helpers by type and id") {
    byte_buffer buffer;
    output_archive out(buffer);
    out.get_helper<int>() = 1;
    int id = 0;
    out.get_helper<int>(&id) = 2;
    out.get_helper<std::string>() = "three";
    CHECK(out.get_helper<int>() == 1);
    CHECK(out.get_helper<int>(&id) == 2);
    CHECK(out.get_helper<std::string>() == "three");
}
