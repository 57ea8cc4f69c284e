#include <multiprocessing/platform/random.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <array>

namespace platform = multiprocessing::platform;

TEST_CASE("random bytes fill everything and differ") {
    std::array<std::byte, 1000> one{};
    std::array<std::byte, 1000> other{};
    std::error_code error;
    platform::random_bytes(one, error);
    REQUIRE_FALSE(error);
    platform::random_bytes(other, error);
    REQUIRE_FALSE(error);
    CHECK(one != other);
    CHECK(std::count(one.begin(), one.end(), std::byte{}) < 100);
    CHECK(std::count(one.end() - 100, one.end(), std::byte{}) < 50);
    platform::random_bytes({}, error);
    CHECK_FALSE(error);
}
