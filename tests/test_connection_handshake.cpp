#include <multiprocessing/connection.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <thread>

namespace mp = multiprocessing;
using namespace std::chrono_literals;

namespace {

using Key = std::optional<mp::AuthKey>;

/// How a client and a listener got on: "ok", or what each of them threw.
struct Outcome {
    std::string listener;
    std::string client;
};

template <class Function>
std::string name_of_error(Function function) {
    try {
        function();
    } catch (mp::AuthenticationError const&) {
        return "AuthenticationError";
    } catch (mp::TimeoutError const&) {
        return "TimeoutError";
    } catch (mp::TypeError const&) {
        return "TypeError";
    } catch (mp::EOFError const&) {
        return "EOFError";
    } catch (mp::OSError const&) {
        return "OSError";
    }
    return "ok";
}

Outcome meet(Key listeners_key, Key clients_key, mp::Handshake listeners = {}, mp::Handshake clients = {}) {
    Outcome outcome;
    mp::Listener listener({.authkey = std::move(listeners_key), .handshake = listeners});
    mp::Connection accepted;
    std::thread other([&] {
        outcome.client = name_of_error([&] {
            auto connection = mp::Client(listener.address(), {.authkey = clients_key, .handshake = clients});
            connection.send("hello");
            connection.recv<int>();
        });
    });
    outcome.listener = name_of_error([&] {
        accepted = listener.accept();
        auto const greeting = accepted.recv<std::string>();
        CHECK(greeting == "hello");
        accepted.send(1);
    });
    accepted.close();
    other.join();
    return outcome;
}

} // namespace

TEST_CASE("both have the key, or both have none") {
    for (Key const& key : {Key(), Key("secret"), Key(""), Key(std::string(200, 'k'))}) {
        auto const outcome = meet(key, key);
        CHECK(outcome.listener == "ok");
        CHECK(outcome.client == "ok");
    }
    CHECK(meet("secret", "secret", {.require_sha256 = true}, {.require_sha256 = true}).listener == "ok");
}

TEST_CASE("a wrong key is noticed on both sides") {
    for (auto const& [one, other] : {std::pair("right", "wrong"), std::pair("right", ""), std::pair("", "wrong")}) {
        auto const outcome = meet(one, other);
        CHECK(outcome.listener == "AuthenticationError");
        CHECK(outcome.client == "AuthenticationError");
    }
}

TEST_CASE("a key on one side only is no endless wait") {
    mp::Handshake const brief{.timeout = 50ms};
    auto const only_listener = meet("secret", std::nullopt);
    CHECK(only_listener.listener == "AuthenticationError"); // what the client sends is no answer
    CHECK(only_listener.client == "TypeError");             // and what it receives first is the challenge
    auto const only_client = meet(std::nullopt, "secret", {}, brief);
    CHECK(only_client.client == "TimeoutError");
    CHECK(only_client.listener == "EOFError");
}

TEST_CASE("a peer that connects and says nothing") {
    mp::Listener listener({.authkey = "secret", .handshake = {.timeout = 50ms}});
    auto silent = mp::Client(listener.address());
    auto const begin = std::chrono::steady_clock::now();
    CHECK_THROWS_AS(listener.accept(), mp::TimeoutError);
    CHECK(std::chrono::steady_clock::now() - begin >= 50ms);

    // One that begins a message and stops is the same.
    auto slow = mp::Client(listener.address());
    std::error_code error;
    mp::platform::write_all(slow.fileno(), std::as_bytes(std::span("\0\0\0\x28{sha", 8)), error);
    CHECK_THROWS_AS(listener.accept(), mp::TimeoutError);

    auto gone = mp::Client(listener.address());
    gone.close();
    CHECK(name_of_error([&] { listener.accept(); }) != "ok");

    // And the listener serves the next one as if nothing had happened.
    std::string client;
    std::thread other(
        [&] { client = name_of_error([&] { mp::Client(listener.address(), {.authkey = "secret"}).send(1); }); });
    CHECK(listener.accept().recv<int>() == 1);
    other.join();
    CHECK(client == "ok");
}

TEST_CASE("a client without patience") {
    mp::Listener const listener; // nobody accepts
    mp::ClientOptions const options{.authkey = "secret", .handshake = {.timeout = 20ms}};
    CHECK_THROWS_AS(mp::Client(listener.address(), options), mp::TimeoutError);
}

TEST_CASE("the two halves of a handshake over a pipe") {
    auto [a, b] = mp::Pipe();
    std::thread other([&end = b] { mp::answer_challenge(end, "key"); });
    mp::deliver_challenge(a, "key");
    other.join();
    a.send(1);
    CHECK(b.recv<int>() == 1);

    b.send_bytes("something bogus");
    CHECK_THROWS_AS(mp::deliver_challenge(a, "key"), mp::AuthenticationError);
    CHECK(b.recv_bytes().size() == 59);
    CHECK(b.recv_bytes<std::string>() == "#FAILURE#");
    b.send_bytes("#CHALLENGE#{sha256}" + std::string(40, 'x'));
    b.send_bytes("something bogus");
    CHECK_THROWS_AS(mp::answer_challenge(a, "key"), mp::AuthenticationError);
    CHECK_THROWS_AS(mp::answer_challenge(a, "key", {.timeout = 1ms}), mp::TimeoutError);
    b.send_bytes("#CHALLENGE#" + std::string(400, 'x')); // longer than any of them
    CHECK_THROWS_AS(mp::answer_challenge(a, "key"), mp::OSError);
}

TEST_CASE("MD5 can be refused") {
    auto [a, b] = mp::Pipe();
    b.send_bytes("#CHALLENGE#" + std::string(20, 'x'));
    CHECK_THROWS_AS(mp::answer_challenge(a, "key", {.require_sha256 = true}), mp::AuthenticationError);
    b.send_bytes("#CHALLENGE#" + std::string(20, 'x'));
    b.send_bytes("#WELCOME#");
    CHECK_NOTHROW(mp::answer_challenge(a, "key"));
}
