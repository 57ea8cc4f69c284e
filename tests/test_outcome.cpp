#include <multiprocessing/outcome.hpp>

#include "support/catch.hpp"

#include <memory>
#include <stdexcept>
#include <string>

namespace mp = multiprocessing;

TEST_CASE("an outcome holds a value") {
    mp::Outcome<std::string> outcome(std::string("yes"));
    REQUIRE(outcome);
    CHECK(outcome.has_value());
    CHECK(outcome.value() == "yes");
    CHECK(*outcome == "yes");
    CHECK(outcome->size() == 3);
    CHECK(outcome.error() == nullptr);
    CHECK(outcome.value_or("no") == "yes");
}

TEST_CASE("an outcome holds the exception in place of a value, and throws it as often as it is asked") {
    mp::Outcome<int> const outcome(std::make_exception_ptr(std::out_of_range("far")));
    CHECK_FALSE(outcome);
    CHECK_THROWS_AS(outcome.value(), std::out_of_range);
    CHECK_THROWS_AS(outcome.value(), std::out_of_range);
    CHECK_THROWS_AS(std::rethrow_exception(outcome.error()), std::out_of_range);
    CHECK(outcome.value_or(7) == 7);
}

TEST_CASE("a value that can only be moved is taken out of an outcome that is thrown away") {
    mp::Outcome<std::unique_ptr<int>> outcome(std::make_unique<int>(5));
    std::unique_ptr<int> const taken = std::move(outcome).value();
    CHECK(*taken == 5);
}

TEST_CASE("an outcome of nothing says whether there was an exception") {
    mp::Outcome<void> const good;
    CHECK(good);
    CHECK_NOTHROW(good.value());
    mp::Outcome<void> const bad(std::make_exception_ptr(1));
    CHECK_FALSE(bad.has_value());
    CHECK_THROWS_AS(bad.value(), int);
}
