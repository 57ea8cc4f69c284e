// runs per start method
// not on windows
#include <multiprocessing/process.hpp>
#include <multiprocessing/reduction.hpp>

#include "support/catch.hpp"

#include <array>
#include <cstdio>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace mp = multiprocessing;

namespace {

/// An ordinary pipe of the system.
struct SystemPipe {
    int reader = -1;
    int writer = -1;

    SystemPipe() {
        std::array<int, 2> ends{};
        REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
        reader = ends[0];
        writer = ends[1];
    }
    ~SystemPipe() {
        ::close(reader);
        if (writer >= 0) ::close(writer);
    }
    SystemPipe(SystemPipe const&) = delete;
    SystemPipe& operator=(SystemPipe const&) = delete;

    std::string read_all() {
        ::close(std::exchange(writer, -1));
        std::string text(100, '\0');
        std::size_t size = 0;
        for (ssize_t count = 1; count > 0; size += static_cast<std::size_t>(count)) {
            count = ::read(reader, text.data() + size, text.size() - size);
            if (count < 0) break;
        }
        text.resize(size);
        return text;
    }
};

bool write_and_close(int descriptor, std::string const& text) {
    bool const written = ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    return ::close(descriptor) == 0 && written;
}

/// Writes into a descriptor that comes; with a large `above`, only after so many others have been opened.
void write_to_what_comes(mp::Connection connection, int above) {
    int lowest = ::dup(STDERR_FILENO);
    while (lowest < above) lowest = ::dup(STDERR_FILENO);
    int const descriptor = mp::recv_handle(connection);
    if (descriptor <= above) mp::exit(3);
    if (!write_and_close(descriptor, "bar")) mp::exit(4);
}

} // namespace

TEST_CASE("a descriptor goes to another process") {
    auto const above = GENERATE(0, 256);
    ::rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    REQUIRE(limit.rlim_cur > 400);
    auto [ours, theirs] = mp::Pipe();
    mp::Process child(mp::ProcessOptions{.daemon = true}, write_to_what_comes, theirs, above);
    child.start();
    SystemPipe pipe;
    int const high = above == 0 ? pipe.writer : ::fcntl(pipe.writer, F_DUPFD_CLOEXEC, above + 50);
    REQUIRE(high >= 0);
    mp::send_handle(ours, high, *child.pid());
    if (high != pipe.writer) ::close(high); // at once
    child.join();
    CHECK(child.exitcode() == 0);
    CHECK(pipe.read_all() == "bar");
}

TEST_CASE("what is no descriptor is refused") {
    auto [a, b] = mp::Pipe();
    std::error_code error;
    std::byte const one{1};
    mp::platform::write_all(a.fileno(), {&one, 1}, error);
    CHECK_THROWS_AS(mp::recv_handle(b), mp::RuntimeError);
    SystemPipe pipe;
    CHECK_THROWS_AS(mp::send_handle(a, -1), mp::OSError);
    mp::send_handle(a, pipe.writer);
    a.close();
    CHECK(write_and_close(mp::recv_handle(b), "x"));
    CHECK_THROWS_AS(mp::recv_handle(b), mp::EOFError);
    b.close();
    CHECK_THROWS_AS(mp::recv_handle(b), mp::OSError);
    CHECK_THROWS_AS(mp::send_handle(b, pipe.writer), mp::OSError);
    auto [reader, writer] = mp::Pipe(false);
    CHECK_THROWS_AS(mp::recv_handle(writer), mp::OSError);
    CHECK_THROWS_AS(mp::send_handle(reader, pipe.writer), mp::OSError);
}

TEST_CASE("no descriptor is left for one that comes") {
    auto [a, b] = mp::Pipe();
    SystemPipe pipe;
    mp::send_handle(a, pipe.writer);
    ::rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    int const next = ::dup(STDERR_FILENO);
    ::close(next);
    ::rlimit const none{static_cast<::rlim_t>(next), before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
    CHECK_THROWS_AS(mp::recv_handle(b), mp::OSError);
    ::setrlimit(RLIMIT_NOFILE, &before);
    mp::send_handle(a, pipe.writer); // what was lost is not in the way
    CHECK(write_and_close(mp::recv_handle(b), "again"));
    CHECK(pipe.read_all() == "again");
}

TEST_CASE("messages and descriptors take turns on one connection") {
    auto [a, b] = mp::Pipe();
    SystemPipe pipe;
    a.send("before");
    mp::send_handle(a, pipe.writer);
    a.send("after");
    CHECK(b.recv<std::string>() == "before");
    CHECK(write_and_close(mp::recv_handle(b), "between"));
    CHECK(b.recv<std::string>() == "after");
    CHECK(pipe.read_all() == "between");
}

namespace {

void write_to_argument(mp::DupFd descriptor, mp::Connection connection) {
    bool const first = write_and_close(descriptor.detach(), "argument ");
    auto second = connection.recv<mp::DupFd>();
    if (!first || !write_and_close(second.detach(), "message")) mp::exit(5);
}

} // namespace

TEST_CASE("a DupFd is an argument of a Process, and travels in a message") {
    SystemPipe pipe;
    auto [a, b] = mp::Pipe();
    {
        mp::DupFd const owner(pipe.writer);
        mp::Process child(write_to_argument, owner, b);
        child.start();
        a.send(owner);
        child.join();
        CHECK(child.exitcode() == 0);
    }
    CHECK(pipe.read_all() == "argument message"); // nobody else holds it open
    CHECK_THROWS_AS(mp::DupFd(-1), mp::OSError);
    mp::DupFd nothing;
    CHECK_THROWS_AS(nothing.detach(), mp::ValueError);
    CHECK_THROWS_AS(a.send(nothing), mp::ValueError);
}
