#include <multiprocessing/platform/terminal.hpp>

#include "support/catch.hpp"

#include <cstdio>
#include <cstdlib>

#if !defined(_WIN32)
#    include <fcntl.h>
#    include <sys/ioctl.h>
#    include <unistd.h>
#endif

namespace platform = multiprocessing::platform;

TEST_CASE("a file is no terminal") {
    std::FILE* const file = std::tmpfile();
    REQUIRE(file != nullptr);
    CHECK_FALSE(platform::terminal_width(file));
    std::fclose(file);
}

#if !defined(_WIN32)

TEST_CASE("a terminal says how wide it is") {
    int const leader = ::posix_openpt(O_RDWR | O_NOCTTY);
    REQUIRE(leader >= 0);
    REQUIRE((::grantpt(leader) == 0 && ::unlockpt(leader) == 0));
    int const follower = ::open(::ptsname(leader), O_RDWR | O_NOCTTY);
    REQUIRE(follower >= 0);
    std::FILE* const stream = ::fdopen(follower, "w");
    ::setenv("TERM", "xterm", 1);

    CHECK(platform::terminal_width(stream) == 80U); // a new one does not know
    struct winsize size {};
    size.ws_col = 123;
    REQUIRE(::ioctl(leader, TIOCSWINSZ, &size) == 0);
    CHECK(platform::terminal_width(stream) == 123U);
    ::setenv("TERM", "dumb", 1);
    CHECK_FALSE(platform::terminal_width(stream));

    std::fclose(stream);
    ::close(leader);
}

#endif
