#include <multiprocessing/detail/archive.hpp>
#include <multiprocessing/detail/archive_pointers.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <tuple>
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

struct base {
    virtual ~base() = default;
    int number = 0;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& number;
    }
};
struct derived : base {};

struct ring {
    int number = 0;
    std::shared_ptr<ring> next;
    std::weak_ptr<ring> back;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& number& next& back;
    }
};

struct no_default {
    int number;
    explicit no_default(int n) : number(n) {}
    bool operator==(no_default const&) const = default;
};

} // namespace

TEST_CASE("unique pointers") {
    CHECK(round_trip(std::unique_ptr<int>()) == nullptr);
    CHECK(*round_trip(std::make_unique<std::string>("a")) == "a");
    std::unique_ptr<std::string const> constant = std::make_unique<std::string>("b");
    CHECK(*round_trip(constant) == "b");
}

TEST_CASE("shared pointers keep who shares with whom") {
    auto const one = std::make_shared<std::string>("one");
    std::vector<std::shared_ptr<std::string>> const pointers{one, nullptr, std::make_shared<std::string>("one"), one};
    auto const copies = round_trip(pointers);
    REQUIRE(copies.size() == 4);
    CHECK(*copies[0] == "one");
    CHECK(copies[1] == nullptr);
    CHECK(copies[2] != copies[0]);
    CHECK(copies[3] == copies[0]);
    CHECK(copies[0] != one);
}

TEST_CASE("shared pointers may form a ring") {
    auto const first = std::make_shared<ring>();
    first->number = 1;
    first->next = std::make_shared<ring>();
    first->next->number = 2;
    first->next->next = first;
    first->next->back = first;
    auto const copy = round_trip(first);
    CHECK(copy->number == 1);
    CHECK(copy->next->number == 2);
    CHECK(copy->next->next == copy);
    CHECK(copy->next->back.lock() == copy);
    first->next->next = nullptr;
    copy->next->next = nullptr;
}

TEST_CASE("a weak pointer whose object nobody owns arrives expired") {
    auto const object = std::make_shared<int>(1);
    CHECK(round_trip(std::weak_ptr<int>(object)).expired());
    CHECK(round_trip(std::weak_ptr<int>()).expired());
}

TEST_CASE("an object and its first member are two objects although they have one address") {
    auto const whole = std::make_shared<std::pair<std::string, int>>("a", 1);
    std::tuple const both(whole, std::shared_ptr<std::string>(whole, &whole->first));
    auto const copy = round_trip(both);
    CHECK(*std::get<0>(copy) == *whole);
    CHECK(*std::get<1>(copy) == "a");
}

TEST_CASE("shared objects that are made while saving do not inherit numbers") {
    byte_buffer buffer;
    output_archive out(buffer);
    out << std::make_shared<int>(1) << std::make_shared<int>(2);
    input_archive in(buffer.bytes());
    std::shared_ptr<int> one, two;
    in >> one >> two;
    CHECK(*one == 1);
    CHECK(*two == 2);
}

TEST_CASE("a pointer to a base does not cut its object") {
    std::unique_ptr<base> pointer = std::make_unique<derived>();
    byte_buffer buffer;
    CHECK_THROWS_AS(save(buffer, pointer), mp::PicklingError);
    CHECK_THROWS_AS(save(buffer, std::shared_ptr<base>(std::move(pointer))), mp::PicklingError);
    CHECK_NOTHROW(save(buffer, std::make_unique<base>()));
}

TEST_CASE("a shared pointer to an object of another type is refused") {
    byte_buffer buffer;
    output_archive out(buffer);
    out << std::uint32_t{1} << std::uint64_t{5} << std::uint32_t{1};
    using pointers = std::pair<std::shared_ptr<std::uint64_t>, std::shared_ptr<double>>;
    CHECK_THROWS_AS(load<pointers>(buffer.bytes()), mp::ValueError);
}

TEST_CASE("flags and numbers are checked") {
    byte_buffer buffer;
    save(buffer, std::uint32_t{2});
    save(buffer, 0);
    CHECK_THROWS_AS(load<std::unique_ptr<int>>(buffer.bytes()), mp::ValueError);
    CHECK_THROWS_AS(load<std::shared_ptr<int>>(buffer.bytes()), mp::ValueError); // number 2 before number 1
}

TEST_CASE("objects without a default constructor") {
    CHECK(round_trip(std::make_shared<no_default>(5))->number == 5);
    CHECK(round_trip(std::make_unique<no_default>(6))->number == 6);
}
