// not on windows
#include <multiprocessing/connection.hpp>
#include <multiprocessing/process.hpp>

#include "support/catch.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

namespace mp = multiprocessing;

namespace {

template <class Function>
std::errc error_of(Function function) {
    try {
        function();
    } catch (mp::OSError const& error) {
        return static_cast<std::errc>(error.code().default_error_condition().value());
    }
    return {};
}

/// Puts bytes on the stream as they are.
void write_raw(mp::Connection const& connection, std::string const& bytes) {
    std::error_code error;
    mp::platform::write_all(connection.fileno(), std::as_bytes(std::span(bytes)), error);
    REQUIRE_FALSE(error);
}

std::string frame(std::string const& message) {
    mp::detail::frame_header const header(message.size());
    return std::string(reinterpret_cast<char const*>(header.bytes().data()), header.bytes().size()) + message;
}

/// What `send` puts into a message.
template <class T>
std::string object_bytes(T const& value) {
    auto [a, b] = mp::Pipe();
    a.send(value);
    return b.recv_bytes<std::string>();
}

} // namespace

TEST_CASE("the stream ends at each byte of a message") {
    std::string const whole = frame(object_bytes(std::string("abc")));
    for (std::size_t size = 0; size <= whole.size(); ++size) {
        auto [a, b] = mp::Pipe();
        write_raw(a, whole.substr(0, size));
        a.close();
        if (size == 0) {
            CHECK_THROWS_AS(b.recv<std::string>(), mp::EOFError);
        } else if (size < whole.size()) {
            CHECK(error_of([&end = b] { end.recv<std::string>(); }) == std::errc::connection_aborted);
        } else {
            CHECK(b.recv<std::string>() == "abc");
        }
    }
}

TEST_CASE("an object that is cut off, or too long, is a ValueError and the connection goes on") {
    std::string const whole = object_bytes(std::vector<std::string>{"abc", "d"});
    auto [a, b] = mp::Pipe();
    for (std::size_t size = 0; size < whole.size(); ++size) {
        a.send_bytes(whole.substr(0, size));
        if (size < sizeof(mp::detail::object_head)) {
            CHECK_THROWS_AS(b.recv<std::vector<std::string>>(), mp::TypeError);
        } else {
            CHECK_THROWS_AS(b.recv<std::vector<std::string>>(), mp::ValueError);
        }
    }
    a.send_bytes(whole + "x");
    CHECK_THROWS_AS(b.recv<std::vector<std::string>>(), mp::ValueError);
    a.send_bytes(whole);
    CHECK(b.recv<std::vector<std::string>>() == std::vector<std::string>{"abc", "d"});
}

TEST_CASE("negative and absurd sizes") {
    for (std::string const& size : {std::string("\x80\0\0\0", 4), std::string("\xff\xff\xff\xfe", 4)}) {
        auto [a, b] = mp::Pipe();
        write_raw(a, size + "abc");
        CHECK(error_of([&end = b] { end.recv_bytes(); }) == std::errc::message_size);
        CHECK_FALSE(b.readable()); // nothing sensible follows
        CHECK(b.writable());
    }
    for (std::string const& size : {std::string("\x7f\xff\xff\xff", 4), std::string(12, '\xff')}) {
        auto [a, b] = mp::Pipe();
        write_raw(a, size + "abc");
        a.close();
        CHECK(
            error_of([&end = b] { end.recv_bytes(); }) == std::errc::connection_aborted); // and no gigabytes of memory
    }
}

TEST_CASE("random bytes as objects") {
    std::mt19937 random(20240229);
    using Complicated = std::map<std::string, std::vector<std::optional<std::string>>>;
    std::string const good = object_bytes(Complicated{{"one", {"two", std::nullopt}}, {"three", {}}});
    auto [a, b] = mp::Pipe();
    int refused = 0;
    for (int round = 0; round < 3000; ++round) {
        std::string bytes = good;
        if (round % 2 == 0) bytes.resize(sizeof(mp::detail::object_head) + random() % 60);
        for (auto changes = 1 + random() % 4; changes > 0; --changes) {
            auto const at = round % 10 == 0 ? random() % bytes.size()
                                            : sizeof(mp::detail::object_head) +
                                                  random() % (bytes.size() - sizeof(mp::detail::object_head) + 1);
            if (at < bytes.size()) bytes[at] = static_cast<char>(random());
        }
        a.send_bytes(bytes);
        try {
            b.recv<Complicated>();
        } catch (mp::ValueError const&) {
            ++refused;
        } catch (mp::TypeError const&) {
            ++refused;
        }
    }
    CHECK(refused > 1000);
    a.send(1);
    CHECK(b.recv<int>() == 1);
}

TEST_CASE("a message that speaks of a handle which did not come") {
    auto [a, b] = mp::Pipe();
    auto [one, other] = mp::Pipe();
    a.send_bytes(object_bytes(other));
    CHECK_THROWS_AS(b.recv<mp::Connection>(), mp::ValueError);
    auto twice = object_bytes(std::pair(other, other));
    a.send(std::pair(other, other));
    auto const received = b.recv<std::pair<mp::Connection, mp::Connection>>();
    CHECK(received.first.fileno() != received.second.fileno());
}

TEST_CASE("connections on pipes: no signal when nobody reads") {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    mp::Connection reader(ends[0], true, false), writer(ends[1], false, true);
    writer.send(std::string("through a pipe"));
    writer.send_bytes(std::string(30000, 'x'));
    CHECK(reader.recv<std::string>() == "through a pipe");
    CHECK(reader.recv_bytes().size() == 30000);
    CHECK_FALSE(reader.poll());
    reader.close();
    CHECK(error_of([&] { writer.send(1); }) == std::errc::broken_pipe);
    ::sigset_t pending;
    ::sigpending(&pending);
    CHECK(::sigismember(&pending, SIGPIPE) == 0);
    ::sigset_t blocked;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
    CHECK(::sigismember(&blocked, SIGPIPE) == 0);
}

TEST_CASE("a handle that is none") {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    ::close(ends[1]);
    mp::Connection connection(ends[0]);
    ::close(ends[0]);
    CHECK(error_of([&] { connection.poll(); }) == std::errc::bad_file_descriptor);
    CHECK(error_of([&] { connection.recv<int>(); }) == std::errc::bad_file_descriptor);
    CHECK(error_of([&] { connection.send(1); }) == std::errc::bad_file_descriptor);
    REQUIRE(::dup2(STDERR_FILENO, ends[0]) == ends[0]); // so that the destructor closes what is its own
}

namespace {

/// While it lives, this process may open no more descriptors.
class NoMoreDescriptors {
public:
    NoMoreDescriptors() {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        int const next = ::dup(STDERR_FILENO); // the lowest that is free: the limit is on numbers
        ::close(next);
        ::rlimit const none{static_cast<::rlim_t>(next), before_.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &none);
    }
    ~NoMoreDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
    NoMoreDescriptors(NoMoreDescriptors const&) = delete;
    NoMoreDescriptors& operator=(NoMoreDescriptors const&) = delete;

private:
    ::rlimit before_{};
};

} // namespace

TEST_CASE("no descriptor is left for a connection that comes") {
    auto [a, b] = mp::Pipe();
    auto [one, other] = mp::Pipe();
    a.send(std::pair(std::string("with text"), other));
    a.send(7);
    {
        NoMoreDescriptors const none;
        CHECK(error_of([&end = b] {
                  end.recv<std::pair<std::string, mp::Connection>>();
              }) == std::errc::too_many_files_open);
        CHECK(error_of([] { mp::Pipe(); }) == std::errc::too_many_files_open);
        CHECK(error_of([] { mp::Listener({"127.0.0.1", 0}); }) == std::errc::too_many_files_open);
    }
    CHECK(b.recv<int>() == 7); // the stream is in step
    a.send(other);
    b.recv<mp::Connection>();
}

TEST_CASE("more connections than one message can carry") {
    auto [a, b] = mp::Pipe();
    auto [one, other] = mp::Pipe();
    std::vector<mp::Connection> many(mp::platform::handles_per_message, other);
    a.send(many);
    CHECK(b.recv<std::vector<mp::Connection>>().size() == many.size());
    many.push_back(other);
    CHECK_THROWS_AS(a.send(many), mp::PicklingError);
    a.send(1); // nothing of that was sent
    CHECK(b.recv<int>() == 1);
}

namespace {

/// Interrupts a thread again and again, as a program does that has a handler without SA_RESTART.
class Interrupter {
public:
    explicit Interrupter(::pthread_t thread) {
        struct ::sigaction action {};
        action.sa_handler = [](int) { interruptions.fetch_add(1); };
        ::sigaction(SIGUSR1, &action, &before_);
        thread_ = std::thread([this, thread] {
            while (!stop_.load()) {
                ::pthread_kill(thread, SIGUSR1);
                std::this_thread::sleep_for(std::chrono::microseconds(300));
            }
        });
    }
    ~Interrupter() {
        stop_.store(true);
        thread_.join();
        ::sigaction(SIGUSR1, &before_, nullptr);
    }
    Interrupter(Interrupter const&) = delete;
    Interrupter& operator=(Interrupter const&) = delete;

    /// Waits until the thread has been interrupted this often from now on.
    static void await(int more) {
        int const begin = interruptions.load();
        while (interruptions.load() - begin < more) mp::platform::yield();
    }

private:
    static inline std::atomic<int> interruptions{0};
    std::atomic<bool> stop_{false};
    std::thread thread_;
    struct ::sigaction before_ {};
};

} // namespace

TEST_CASE("signals do not disturb receiving, a huge send, waiting, and accepting") {
    auto [a, b] = mp::Pipe();
    std::string const large(4 * 1024 * 1024, 'x');
    Interrupter const interrupter(::pthread_self());
    bool intact = false;
    std::thread other([&large, &intact, &end = b] {
        Interrupter::await(3);
        end.send("ready");
        intact = end.recv<std::string>() == large;
        Interrupter::await(3);
        end.send_bytes("done");
    });
    CHECK(a.recv<std::string>() == "ready");
    a.send(large);
    CHECK(mp::wait({a}).size() == 1);
    CHECK(a.recv_bytes<std::string>() == "done");
    other.join();
    CHECK(intact);

    mp::Listener listener({.authkey = "key"});
    std::thread client([&] {
        Interrupter::await(3);
        auto connection = mp::Client(listener.address(), {.authkey = "key"});
        Interrupter::await(3);
        connection.send("welcome");
    });
    CHECK(listener.accept().recv<std::string>() == "welcome");
    client.join();
}

TEST_CASE("signals do not disturb the wait for a child") {
    auto [a, b] = mp::Pipe();
    mp::Process child([](mp::Connection end) { end.recv<int>(); }, b);
    child.start();
    Interrupter const interrupter(::pthread_self());
    std::thread other([&end = a] {
        Interrupter::await(3);
        end.send(1);
    });
    child.join();
    other.join();
    CHECK(child.exitcode() == 0);
}
