#pragma once

#include <multiprocessing/detail/digest.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/platform/random.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <system_error>

/// How two ends prove to each other that they have the same key, without sending it: the protocol of CPython 3.8 to 3.14.
///
///     asks:     #CHALLENGE# M             M: {sha256} and 40 random bytes; up to 3.11 only 20 random bytes
///     answers:  R                         R: {sha256} and HMAC-SHA256(key, M); up to 3.11 only HMAC-MD5(key, M)
///     asks:     #WELCOME# or #FAILURE#
///
/// and then the other way round. A listener asks first. Each line is one message of at most 256 bytes.
namespace multiprocessing::inline v0::detail::handshake {

inline constexpr std::size_t longest_message = 256;

/// Asks the other end for a proof. `channel` has send(byte_view) and receive(longest) -> byte_vector.
/// Throws AuthenticationError if it has another key; with `require_sha256` also if it can do no better than MD5.
template <class Channel>
void deliver(Channel& channel, byte_view key, bool require_sha256);

/// Proves to the other end that this one has the key. Throws AuthenticationError if it does not believe it.
template <class Channel>
void answer(Channel& channel, byte_view key, bool require_sha256);

/// The answer to a challenge, here without #CHALLENGE#. Throws AuthenticationError for one that is none.
inline byte_vector create_response(byte_view key, byte_view challenge, bool require_sha256 = false);

/// Whether this is the answer to our own challenge.
inline bool verify_response(byte_view key, byte_view challenge, byte_view response, bool require_sha256 = false);

// ---- implementation

inline constexpr std::string_view challenge_tag = "#CHALLENGE#";
inline constexpr std::string_view welcome_tag = "#WELCOME#";
inline constexpr std::string_view failure_tag = "#FAILURE#";
inline constexpr std::string_view sha256_tag = "{sha256}";
inline constexpr std::string_view md5_tag = "{md5}";
inline constexpr std::size_t legacy_challenge = 20; // up to Python 3.11; the shortest of all
inline constexpr std::size_t random_part = 40;

inline byte_view bytes_of(std::string_view text) noexcept { return std::as_bytes(std::span(text)); }

inline bool begins_with(byte_view bytes, std::string_view tag) noexcept {
    return bytes.size() >= tag.size() && std::equal(tag.begin(), tag.end(), bytes.begin(), [](char a, std::byte b) {
               return static_cast<std::byte>(a) == b;
           });
}
inline bool is(byte_view bytes, std::string_view tag) noexcept {
    return bytes.size() == tag.size() && begins_with(bytes, tag);
}

inline void append(byte_vector& bytes, byte_view more) { bytes.insert(bytes.end(), more.begin(), more.end()); }

inline byte_vector create_response(byte_view key, byte_view challenge, bool require_sha256) {
    if (challenge.size() < legacy_challenge) {
        throw AuthenticationError("the challenge of the other end is too short");
    }
    byte_vector response;
    if (challenge.size() != legacy_challenge && begins_with(challenge, sha256_tag)) {
        append(response, bytes_of(sha256_tag));
        append(response, hmac<sha256>(key, challenge));
        return response;
    }
    bool const legacy = challenge.size() == legacy_challenge;
    if (!legacy && !begins_with(challenge, md5_tag)) {
        throw AuthenticationError("the challenge of the other end asks for a digest that is not known here");
    }
    if (require_sha256) throw AuthenticationError("the other end asks for MD5, which is not allowed here");
    if (!legacy) append(response, bytes_of(md5_tag));
    append(response, hmac<md5>(key, challenge));
    return response;
}

inline bool verify_response(byte_view key, byte_view challenge, byte_view response, bool require_sha256) {
    if (begins_with(response, sha256_tag)) {
        return equal_in_constant_time(response.subspan(sha256_tag.size()), hmac<sha256>(key, challenge));
    }
    if (require_sha256) return false;
    auto const expected = hmac<md5>(key, challenge);
    if (begins_with(response, md5_tag)) return equal_in_constant_time(response.subspan(md5_tag.size()), expected);
    return equal_in_constant_time(response, expected); // up to 3.11 the whole challenge counts as random bytes
}

template <class Channel>
void deliver(Channel& channel, byte_view key, bool require_sha256) {
    byte_vector challenge;
    append(challenge, bytes_of(sha256_tag));
    std::array<std::byte, random_part> random;
    std::error_code error;
    platform::random_bytes(random, error);
    if (error) throw OSError(error, "random bytes for a challenge");
    append(challenge, random);
    byte_vector message;
    append(message, bytes_of(challenge_tag));
    append(message, challenge);
    channel.send(message);
    byte_vector const response = channel.receive(longest_message);
    bool const right = verify_response(key, challenge, response, require_sha256);
    if (right) {
        channel.send(bytes_of(welcome_tag));
        return;
    }
    try {
        channel.send(bytes_of(failure_tag));
    } catch (OSError const&) {
    } // it has gone already
    throw AuthenticationError("digest received was wrong");
}

template <class Channel>
void answer(Channel& channel, byte_view key, bool require_sha256) {
    byte_vector const message = channel.receive(longest_message);
    if (!begins_with(message, challenge_tag)) {
        throw AuthenticationError(
            "protocol error, expected challenge: the other end uses no key, or is no such connection");
    }
    channel.send(create_response(key, byte_view(message).subspan(challenge_tag.size()), require_sha256));
    if (!is(channel.receive(longest_message), welcome_tag)) throw AuthenticationError("digest sent was rejected");
}

} // namespace multiprocessing::inline v0::detail::handshake
