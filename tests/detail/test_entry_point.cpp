#include <multiprocessing/detail/entry_point.hpp>

#include "support/catch.hpp"

#include <memory>

namespace detail = multiprocessing::detail;
namespace platform = multiprocessing::platform;
using detail::entry_id;
using multiprocessing::PicklingError;

namespace {

using Number = int(int);

int twice(int number) { return 2 * number; }
int thrice(int number) { return 3 * number; }
long as_long(long number) { return number; }

template <class Lambda>
struct Caller {
    static int call(int number) { return Lambda()(number); }
};

template <class Lambda>
entry_id id_of(Lambda) {
    return detail::identify<&Caller<Lambda>::call>();
}

} // namespace

TEST_CASE("a function is found by its id") {
    CHECK(detail::find_entry<Number>(detail::identify<&twice>()) == &twice);
    CHECK(detail::find_entry<Number>(detail::identify<&thrice>()) == &thrice);
    CHECK(detail::find_entry<Number>(detail::identify<&twice>())(4) == 8); // not the one that was asked for before
}

TEST_CASE("ids are equal for one function only") {
    CHECK(detail::identify<&twice>() == detail::identify<&twice>());
    CHECK_FALSE(detail::identify<&twice>() == detail::identify<&thrice>());
}

TEST_CASE("lambdas of the same signature have ids of their own") {
    auto const first = id_of([](int number) { return number + 1; });
    auto const second = id_of([](int number) { return number + 2; });
    CHECK_FALSE(first == second);
    CHECK(detail::find_entry<Number>(first)(1) == 2);
    CHECK(detail::find_entry<Number>(second)(1) == 3);
}

TEST_CASE("an id with another check is refused") {
    entry_id id = detail::identify<&twice>();
    id.check ^= 1;
    CHECK_THROWS_AS(detail::find_entry<Number>(id), PicklingError);
    CHECK_THROWS_AS(detail::find_entry<Number>(id), PicklingError); // nor is it remembered
}

TEST_CASE("an id of a program that is not this one is refused") {
    entry_id id = detail::identify<&twice>();
    id.place.module ^= 1;
    CHECK_THROWS_AS(detail::find_entry<Number>(id), PicklingError);
    id = {};
    CHECK_THROWS_AS(detail::find_entry<Number>(id), PicklingError);
}

TEST_CASE("an id that points beside a constant is refused") {
    for (std::uint64_t const shift : {std::uint64_t{1}, std::uint64_t{8}, ~std::uint64_t{0}, std::uint64_t{1} << 40}) {
        entry_id id = detail::identify<&twice>();
        id.place.offset += shift;
        CHECK_THROWS_AS(detail::find_entry<Number>(id), PicklingError);
    }
}

TEST_CASE("a function of another type has another id") {
    CHECK_FALSE(detail::identify<&as_long>() == detail::identify<&twice>());
    CHECK(detail::find_entry<long(long)>(detail::identify<&as_long>()) == &as_long);
}

TEST_CASE("a function that is only known by its address is found again") {
    auto const* const address = reinterpret_cast<void const*>(&thrice);
    auto const place = detail::place_of_code(address);
    CHECK(detail::code_at(place) == address);
}

TEST_CASE("what lies in no module cannot be named") {
    auto const data = std::make_unique<int>();
    CHECK_THROWS_AS(detail::place_of_code(data.get()), PicklingError);
    CHECK_THROWS_AS(detail::code_at(platform::module_place{}), PicklingError);
}
