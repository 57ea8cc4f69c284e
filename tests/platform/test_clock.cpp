#include <multiprocessing/platform/clock.hpp>

#include "support/catch.hpp"

namespace platform = multiprocessing::platform;

TEST_CASE("ticks advance, and are about as many as announced") {
    auto const rate = platform::ticks_per_microsecond();
    CHECK(rate >= 1);
    CHECK(platform::ticks_per_microsecond() == rate);

    auto const begin = platform::clock::now();
    auto const first = platform::ticks();
    while (platform::clock::now() - begin < std::chrono::milliseconds(5)) {
        platform::relax();
        platform::yield();
    }
    // An upper limit would depend on how busy the machine is.
    CHECK((platform::ticks() - first) / rate > 500);
}

TEST_CASE("never lies behind every moment") { CHECK(platform::never > platform::clock::now() + std::chrono::hours(1)); }
