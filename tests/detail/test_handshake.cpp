#include <multiprocessing/detail/handshake.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <deque>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace mp = multiprocessing;
namespace handshake = mp::detail::handshake;
using mp::detail::byte_vector;
using mp::detail::byte_view;

namespace {

byte_vector bytes(std::string_view text) {
    auto const view = std::as_bytes(std::span(text));
    return {view.begin(), view.end()};
}
std::string text(byte_view view) { return {reinterpret_cast<char const*>(view.data()), view.size()}; }

/// Plays the other end: its messages are given, ours are kept.
struct Script {
    std::deque<std::string> incoming;
    std::vector<std::string> sent{};

    void send(byte_view message) { sent.push_back(text(message)); }
    byte_vector receive(std::size_t longest) {
        CHECK(longest == 256);
        if (incoming.empty()) throw mp::EOFError();
        auto const message = bytes(incoming.front());
        incoming.pop_front();
        return message;
    }
};

std::string const legacy_challenge(20, 'c');

} // namespace

TEST_CASE("a response verifies, for every generation of Python") {
    auto const key = bytes("key");
    for (std::string const& challenge :
         {legacy_challenge, "{md5}" + std::string(40, 'm'), "{sha256}" + std::string(40, 's')}) {
        auto const response = handshake::create_response(key, bytes(challenge));
        std::string const tag = challenge[0] == '{' ? challenge.substr(0, challenge.find('}') + 1) : "";
        CHECK(text(response).substr(0, tag.size()) == tag);
        CHECK(response.size() == tag.size() + (tag == "{sha256}" ? 32u : 16u));
        CHECK(handshake::verify_response(key, bytes(challenge), response));
        CHECK_FALSE(handshake::verify_response(bytes("kez"), bytes(challenge), response));
        CHECK_FALSE(handshake::verify_response(key, bytes(challenge + "x"), response));
        CHECK(handshake::verify_response(key, bytes(challenge), response, true) == (tag == "{sha256}"));
        for (std::size_t i = 0; i < response.size(); ++i) {
            auto damaged = response;
            damaged[i] ^= std::byte{1};
            CHECK_FALSE(handshake::verify_response(key, bytes(challenge), damaged));
            CHECK_FALSE(handshake::verify_response(key, bytes(challenge), byte_view(response).first(i)));
        }
    }
}

TEST_CASE("Python up to 3.11 answers a challenge of today with MD5 over all of it") {
    auto const challenge = bytes("{sha256}" + std::string(40, 's'));
    auto const response = mp::detail::hmac<mp::detail::md5>(bytes("key"), challenge);
    CHECK(handshake::verify_response(bytes("key"), challenge, response));
    CHECK_FALSE(handshake::verify_response(bytes("key"), challenge, response, true));
}

TEST_CASE("known answers") {
    // hmac.new(b'key', b'c' * 20, 'md5'), and with b'{sha256}' + b's' * 40 and 'sha256'
    auto const hex = [](byte_view view) {
        std::string digits;
        for (auto const byte : view) {
            digits += "0123456789abcdef"[std::to_integer<unsigned>(byte) >> 4];
            digits += "0123456789abcdef"[std::to_integer<unsigned>(byte) & 15];
        }
        return digits;
    };
    CHECK(hex(handshake::create_response(bytes("key"), bytes(legacy_challenge))) == "5119ee12f77b2fbecf8bc3e4f8d31183");
    auto const modern = handshake::create_response(bytes("key"), bytes("{sha256}" + std::string(40, 's')));
    CHECK(hex(byte_view(modern).subspan(8)) == "b285a878768f04f9ff2c64cf4f58ff313906c41ab9264ca06d11b80959f3100d");
}

TEST_CASE("challenges that are none") {
    auto const key = bytes("key");
    for (std::string const& challenge :
         {std::string(),
          std::string("{sha256}"),
          std::string(19, 'c'),
          std::string(21, 'c'),
          "{sha1}" + std::string(40, 'x'),
          "{sha256" + std::string(40, 'x')}) {
        CHECK_THROWS_AS(handshake::create_response(key, bytes(challenge)), mp::AuthenticationError);
    }
    CHECK_THROWS_AS(handshake::create_response(key, bytes(legacy_challenge), true), mp::AuthenticationError);
    CHECK_THROWS_AS(
        handshake::create_response(key, bytes("{md5}" + std::string(40, 'x')), true), mp::AuthenticationError);
}

TEST_CASE("whoever answers wrongly is told so and refused") {
    Script wrong{{"something bogus"}};
    CHECK_THROWS_AS(handshake::deliver(wrong, bytes("abc"), false), mp::AuthenticationError);
    REQUIRE(wrong.sent.size() == 2);
    CHECK(wrong.sent[0].substr(0, 19) == "#CHALLENGE#{sha256}");
    CHECK(wrong.sent[0].size() == 59);
    CHECK(wrong.sent[1] == "#FAILURE#");
}

TEST_CASE("a verdict that is no welcome is a refusal") {
    for (char const* verdict : {"#FAILURE#", "something bogus", "", "#WELCOME# "}) {
        Script script{{"#CHALLENGE#{sha256}" + std::string(40, 's'), verdict}};
        CHECK_THROWS_AS(handshake::answer(script, bytes("abc"), false), mp::AuthenticationError);
        CHECK(script.sent.size() == 1);
    }
}

TEST_CASE("an end that has no key sends no challenge") {
    Script script{{"hello"}};
    CHECK_THROWS_AS(handshake::answer(script, bytes("abc"), false), mp::AuthenticationError);
    CHECK(script.sent.empty());
    Script gone{{}};
    CHECK_THROWS_AS(handshake::answer(gone, bytes("abc"), false), mp::EOFError);
}

TEST_CASE("random messages are refused") {
    std::mt19937 random(20240229);
    for (int round = 0; round < 500; ++round) {
        std::string message = round % 2 == 0 ? "#CHALLENGE#" : "";
        for (auto size = random() % 60; size > 0; --size) message += static_cast<char>(random());
        Script deliver{{message}};
        CHECK_THROWS_AS(handshake::deliver(deliver, bytes("abc"), false), mp::AuthenticationError);
        Script answer{{message, message}};
        CHECK_THROWS_AS(handshake::answer(answer, bytes("abc"), false), mp::AuthenticationError);
    }
}
