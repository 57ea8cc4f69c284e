#include <multiprocessing/platform/limits.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#if !defined(_WIN32)
#    include "support/forked.hpp"

#    include <sys/resource.h>
#endif

namespace platform = multiprocessing::platform;

// What the limits do to a process is tested in tests/test_resources.cpp.

#if !defined(__APPLE__)

TEST_CASE("there are processors to run on, in rising order") {
    std::vector<int> const usable = platform::usable_processors();
    REQUIRE_FALSE(usable.empty());
    CHECK(usable.front() >= 0);
    CHECK(std::adjacent_find(usable.begin(), usable.end(), std::greater_equal()) == usable.end());
}

TEST_CASE("nobody can run on no processor") {
    std::error_code error;
    platform::run_only_on({}, error);
    CHECK(error == std::errc::invalid_argument);
    std::vector<int> const negative{-1};
    platform::run_only_on(negative, error);
    CHECK(error == std::errc::invalid_argument);
}

TEST_CASE("the memory in use is known") { CHECK(platform::resident_memory() > 1000); }

#endif

TEST_CASE("what a system cannot limit is an error") {
    std::error_code error;
    platform::add_niceness(0, error);
    CHECK_FALSE(error);
#if defined(_WIN32)
    platform::limit_cpu_time(std::chrono::seconds(1), error);
    CHECK(error == std::errc::function_not_supported);
#endif
#if !defined(__linux__)
    platform::limit_private_memory(1, error);
    CHECK(error == std::errc::function_not_supported);
#endif
}

#if !defined(_WIN32)

TEST_CASE("limits only become tighter") {
    int const code = multiprocessing_test::in_child([] {
        struct rlimit limit {};
        std::error_code error;
        platform::limit_cpu_time(std::chrono::seconds::max(), error);
        CHILD_CHECK(!error);
        for (int const seconds : {50, 40, 60}) {
            platform::limit_cpu_time(std::chrono::seconds(seconds), error);
            CHILD_CHECK(!error);
            CHILD_CHECK(::getrlimit(RLIMIT_CPU, &limit) == 0);
            CHILD_CHECK(limit.rlim_cur == static_cast<rlim_t>(std::min(seconds, seconds == 60 ? 40 : 50)));
        }
        return limit.rlim_max == 41 ? 0 : 1;
    });
    CHECK(code == 0);
}

#endif
