// runs per start method
#include <multiprocessing/connection.hpp>
#include <multiprocessing/process.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#if !defined(MULTIPROCESSING_WINDOWS)
#    include <sys/stat.h>
#endif

namespace mp = multiprocessing;
using namespace std::chrono_literals;

namespace {

constexpr bool has_files = mp::platform::local_sockets_are_files;

/// A local address: of this system, and that nobody uses.
std::string local_path(std::string const& name) { return (has_files ? "/tmp/" : "\\\\.\\pipe\\") + name; }

/// Addresses of every family that this machine has.
std::vector<mp::Address> all_addresses() {
    std::vector<mp::Address> all{{"127.0.0.1", 0}, mp::Listener().address()};
    try {
        mp::Listener({"::1", 0});
        all.emplace_back("::1", 0);
    } catch (mp::OSError const&) {
        WARN("this machine has no IPv6: not tested");
    }
    if (has_files) { // its folder is gone
        all[1] = mp::Address(all[1].path().substr(0, all[1].path().rfind('/')) + "-listener");
    }
#if defined(__linux__)
    all.emplace_back(std::string("\0multiprocessing-test-", 22) + std::to_string(mp::platform::current_process_id()));
#endif
    return all;
}

#if !defined(MULTIPROCESSING_WINDOWS)
bool exists(std::string const& path) {
    struct ::stat about {};
    return ::lstat(path.c_str(), &about) == 0;
}
#endif

std::errc code_of(mp::OSError const& error) {
    return static_cast<std::errc>(error.code().default_error_condition().value());
}

template <class Function>
std::errc error_of(Function function) {
    try {
        function();
    } catch (mp::OSError const& error) {
        return code_of(error);
    }
    return {};
}

void connect_and_greet(mp::Address const& address) {
    auto connection = mp::Client(address);
    connection.send("hello");
    connection.close();
}

} // namespace

TEST_CASE("a client in another process, over every family") {
    for (auto const& address : all_addresses()) {
        INFO(address.to_string());
        mp::Listener listener(address);
        CHECK(listener.address().family() == address.family());
        if (!address.is_local()) CHECK(listener.address().port() != 0);
        CHECK_FALSE(listener.last_accepted().has_value());
        mp::Process client(mp::ProcessOptions{.daemon = true}, connect_and_greet, listener.address());
        client.start();
        auto connection = listener.accept();
        CHECK(connection.recv<std::string>() == "hello");
        CHECK_THROWS_AS(connection.recv<std::string>(), mp::EOFError);
        client.join();
        CHECK(client.exitcode() == 0);
        REQUIRE(listener.last_accepted().has_value());
        CHECK(listener.last_accepted()->host() == (address.is_local() ? "" : address.host()));
    }
}

TEST_CASE("an address can be used once at a time") {
    for (auto const& address : all_addresses()) {
        INFO(address.to_string());
        mp::Listener listener(address);
        CHECK(error_of([&] { mp::Listener second(listener.address()); }) == std::errc::address_in_use);
        listener.close();
        mp::Listener third(address); // nothing is left of the first
    }
}

TEST_CASE("a closed listener") {
    for (auto const& address : all_addresses()) {
        mp::Listener listener(address);
        auto const client = mp::Client(listener.address());
        auto accepted = listener.accept();
        auto const path = listener.address();
        listener.close();
        listener.close();
        CHECK(error_of([&] { listener.accept(); }) == std::errc::bad_file_descriptor);
        CHECK(error_of([&] { listener.fileno(); }) == std::errc::bad_file_descriptor);
        CHECK(error_of([&] { listener.address(); }) == std::errc::bad_file_descriptor);
        CHECK_THROWS_AS(mp::Client(path), mp::OSError);
        CHECK_FALSE(accepted.poll()); // what was accepted stays
    }
}

TEST_CASE("without an address: one of its own") {
    mp::Listener listener;
    CHECK(listener.address().family() == mp::platform::local_family);
    auto const address = listener.address();
    mp::Listener other = std::move(listener); // it moves with all it has
    auto client = mp::Client(other.address());
    auto connection = other.accept();
    client.send(1);
    CHECK(connection.recv<int>() == 1);
    listener = mp::Listener({.family = mp::platform::local_family});
    CHECK(listener.address() != other.address());
    listener = std::move(other);
    CHECK(listener.address() == address);
    listener.close();
    CHECK_THROWS_AS(mp::Client(address), mp::OSError);

    mp::Listener inet({.family = "AF_INET"});
    CHECK(inet.address().host() == "127.0.0.1");
    CHECK(inet.address().port() != 0);
}

#if !defined(MULTIPROCESSING_WINDOWS)

TEST_CASE("without an address: a socket that only this user can reach, and that leaves nothing behind") {
    mp::Listener listener;
    std::string const path = listener.address().path();
    std::string const folder = path.substr(0, path.rfind('/'));
    struct ::stat about {};
    REQUIRE(::stat(folder.c_str(), &about) == 0);
    CHECK((about.st_mode & 0777) == 0700);
    mp::Listener other = std::move(listener);
    listener = mp::Listener();
    listener = std::move(other);
    CHECK(exists(path));
    listener.close();
    CHECK_FALSE(exists(folder));
}

TEST_CASE("the file of a listener that was killed is named in the error") {
    mp::Listener const first;
    std::string const path = first.address().path() + "-stale";
    mp::Process killed(
        [](std::string const& where) {
            mp::Listener const listener(where);
            std::error_code error;
            mp::platform::kill_process(mp::platform::current_process_id(), error);
            for (;;) mp::platform::yield();
        },
        path);
    killed.start();
    killed.join();
    REQUIRE(exists(path));
    try {
        mp::Listener second(path);
        FAIL("the file is in the way");
    } catch (mp::OSError const& error) {
        CHECK(code_of(error) == std::errc::address_in_use);
        CHECK(std::string(error.what()).find("left behind") != std::string::npos);
    }
    mp::platform::remove_local_path(path, false);
    mp::Listener const third(path);
}

#endif

TEST_CASE("what a client wrote before it was accepted is there, even if it has gone") {
    for (auto const& address : all_addresses()) {
        mp::Listener listener(address);
        {
            auto client = mp::Client(listener.address());
            client.send("hello");
        }
        auto connection = listener.accept();
        CHECK(connection.poll(10s));
        CHECK(connection.recv<std::string>() == "hello");
    }
}

TEST_CASE("a client sees what the accepted end sends") {
    for (auto const& address : all_addresses()) {
        mp::Listener listener(address);
        auto client = mp::Client(listener.address());
        auto accepted = listener.accept();
        accepted.send_bytes("hello");
        CHECK(client.poll(10s));
        CHECK(client.recv_bytes<std::string>() == "hello");
    }
}

namespace {

void serve_connections_that_come(mp::Connection connection) {
    for (;;) {
        try {
            auto received = connection.recv<mp::Connection>();
            received.send("served: " + received.recv<std::string>());
        } catch (mp::EOFError const&) {
            break;
        }
    }
}

} // namespace

TEST_CASE("accepted connections are handed to another process") {
    auto [ours, theirs] = mp::Pipe();
    mp::Process server(
        [](mp::Connection mine, mp::Connection parents) {
            parents.close();
            serve_connections_that_come(mine);
        },
        theirs,
        ours);
    server.start();
    theirs.close();
    for (auto const& address : all_addresses()) {
        mp::Listener listener(address);
        auto client = mp::Client(listener.address());
        ours.send(listener.accept());
        client.send("you");
        CHECK(client.recv<std::string>() == "served: you");
        CHECK_THROWS_AS(client.recv<int>(), mp::EOFError); // nobody else has kept it open
    }
    ours.close();
    server.join();
    CHECK(server.exitcode() == 0);
}

TEST_CASE("an accepted connection is an argument of a process") {
    for (auto const& address : all_addresses()) {
        mp::Listener listener(address);
        auto client = mp::Client(listener.address());
        auto accepted = listener.accept();
        mp::Process child(
            [](mp::Connection mine) {
                if (mine.poll(10s)) mine.send("served: " + mine.recv<std::string>());
            },
            accepted);
        child.start();
        accepted.close();
        client.send("you");
        CHECK(client.recv<std::string>() == "served: you");
        CHECK_THROWS_AS(client.recv<int>(), mp::EOFError);
        child.join();
        CHECK(child.exitcode() == 0);
    }
}

TEST_CASE("wait for listeners and connections together") {
    std::vector<mp::Listener> listeners;
    std::vector<mp::Waitable> all;
    for (auto const& address : all_addresses()) all.emplace_back(listeners.emplace_back(address));
    CHECK(mp::wait(all, 0s).empty());
    for (auto& listener : listeners) {
        std::thread other([&] { connect_and_greet(listener.address()); });
        CHECK(mp::wait(all) == std::vector{mp::Waitable(listener)});
        auto connection = listener.accept();
        CHECK(mp::wait({connection, listener}, 10s) == std::vector{mp::Waitable(connection)});
        CHECK(connection.recv<std::string>() == "hello");
        other.join();
    }
    CHECK(mp::wait(all, 0s).empty());
}

TEST_CASE("clients that come all at once") {
    for (auto const& address : all_addresses()) {
        mp::Listener listener(address);
        std::vector<std::thread> clients;
        for (int i = 0; i < 5; ++i) clients.emplace_back([&] { connect_and_greet(listener.address()); });
        for (int i = 0; i < 5; ++i) CHECK(listener.accept().recv<std::string>() == "hello");
        for (auto& client : clients) client.join();
    }
}

TEST_CASE("an end of a pipe goes through a socket, to whomever") {
    mp::Listener listener;
    auto client = mp::Client(listener.address());
    auto accepted = listener.accept();
    auto [one, other] = mp::Pipe();
    client.send(other);
    other.close();
    auto received = accepted.recv<mp::Connection>();
    std::string const large(100'000, 'x');
    std::thread sender([&large, &end = one] { end.send(large); });
    CHECK((received.recv<std::string>() == large));
    sender.join();
    received.close();
    CHECK_THROWS_AS(one.recv<int>(), mp::EOFError);
}

TEST_CASE("addresses that cannot be used") {
    std::string const path = local_path("x");
    std::string const foreign = has_files ? "\\\\.\\pipe\\x" : "/tmp/x";
    std::string const foreign_family = has_files ? "AF_PIPE" : "AF_UNIX";
    CHECK_THROWS_AS(mp::Listener(foreign), mp::ValueError);
    CHECK_THROWS_AS(mp::Client(foreign), mp::ValueError);
    CHECK_THROWS_AS(mp::Listener(foreign, {.family = mp::platform::local_family}), mp::ValueError);
    CHECK_THROWS_AS(mp::Listener(path, {.family = foreign_family}), mp::ValueError);
    CHECK_THROWS_AS(mp::Listener({.family = foreign_family}), mp::ValueError);
    CHECK_THROWS_AS(mp::Listener(path, {.family = "AF_INET"}), mp::ValueError);
    CHECK_THROWS_AS(mp::Listener({"127.0.0.1", 0}, {.family = mp::platform::local_family}), mp::ValueError);
    CHECK_THROWS_AS(mp::Listener(""), mp::ValueError);
    CHECK_THROWS_AS(mp::Listener(path + std::string("a\0b", 3)), mp::ValueError);
    CHECK(error_of([] { mp::Listener(local_path(std::string(300, 'x'))); }) == std::errc::filename_too_long);
    CHECK(error_of([] { mp::Listener({"no.such.host.invalid", 0}); }) != std::errc{});
    CHECK(error_of([] { mp::Client(local_path("nobody-listens-here")); }) == std::errc::no_such_file_or_directory);
    mp::Address closed;
    {
        mp::Listener const listener({"127.0.0.1", 0});
        closed = listener.address();
    }
    CHECK(error_of([&] { static_cast<void>(mp::Client(closed)); }) == std::errc::connection_refused);
}

TEST_CASE("a child that ends does not remove the socket of its parent") {
    mp::Listener listener;
    mp::Process child([] {});
    child.start();
    child.join();
    auto const client = mp::Client(listener.address());
    listener.accept();
}

TEST_CASE("the text of addresses") {
    CHECK(mp::Address("127.0.0.1", 80).to_string() == "127.0.0.1:80");
    CHECK(mp::Address("::1", 80).to_string() == "[::1]:80");
    CHECK(mp::Address("::1", 80).family() == "AF_INET6");
    CHECK(mp::Address("localhost", 80).family() == "AF_INET");
    CHECK(mp::Address("/tmp/x").to_string() == "/tmp/x");
    CHECK(mp::Address("/tmp/x").family() == "AF_UNIX");
    CHECK(mp::Address("\\\\.\\pipe\\x").family() == "AF_PIPE");
    CHECK(mp::Address("\\\\.\\pipe\\x").to_string() == "\\\\.\\pipe\\x");
    CHECK(mp::Address(std::string("\0x", 2)).to_string() == "@x");
    CHECK(mp::Address("a", 1) != mp::Address("a", 2));
    CHECK(mp::Address("a", 0) != mp::Address("a"));
}
