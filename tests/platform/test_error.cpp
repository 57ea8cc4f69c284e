#include <multiprocessing/platform/error.hpp>

#include "support/catch.hpp"

#if defined(MULTIPROCESSING_WINDOWS)
#    include <multiprocessing/platform/windows/api.hpp>
#endif

#include <cerrno>

namespace platform = multiprocessing::platform;

TEST_CASE("signals have names") {
    CHECK(platform::signal_name(2) == "SIGINT");
    CHECK(platform::signal_name(9) == "SIGKILL");
    CHECK(platform::signal_name(11) == "SIGSEGV");
    CHECK(platform::signal_name(15) == "SIGTERM");
    CHECK(platform::signal_name(0).empty());
    CHECK(platform::signal_name(-9).empty());
}

#if defined(MULTIPROCESSING_WINDOWS)

TEST_CASE("errors of the system can be compared with the portable ones") {
    ::SetLastError(ERROR_ACCESS_DENIED);
    CHECK(platform::last_error() == std::errc::permission_denied);
    ::SetLastError(ERROR_NO_DATA);
    CHECK(platform::last_error() == std::errc::broken_pipe);
    ::SetLastError(ERROR_SHARING_VIOLATION); // none of those that have a name
    CHECK(platform::last_error().value() == ERROR_SHARING_VIOLATION);
}

#else

TEST_CASE("errors of the system can be compared with the portable ones") {
    errno = EACCES;
    CHECK(platform::last_error() == std::errc::permission_denied);
    errno = EPIPE;
    CHECK(platform::last_error() == std::errc::broken_pipe);
}

#endif
