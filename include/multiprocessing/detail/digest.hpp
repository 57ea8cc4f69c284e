#pragma once

#include <multiprocessing/config.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

/// MD5, SHA-256 and HMAC: what Python's handshakes use. MD5 is here for peers up to Python 3.11 and for nothing else.
namespace multiprocessing::inline v0::detail {

using byte_view = std::span<std::byte const>;
using byte_vector = std::vector<std::byte>;

inline std::array<std::byte, 16> md5(byte_view message);
inline std::array<std::byte, 32> sha256(byte_view message);

/// HMAC with one of these functions (RFC 2104; both work on blocks of 64 bytes).
template <auto hash>
auto hmac(byte_view key, byte_view message);

/// Compares in a time that depends on nothing but the sizes.
inline bool equal_in_constant_time(byte_view a, byte_view b) noexcept;

// ---- implementation

namespace digest {

inline constexpr std::size_t block = 64;

/// Calls `process` for every block of the message, of which the last one or two hold the padding and the size in bits.
template <class Process>
void for_each_block(byte_view message, bool big_endian_size, Process process) {
    std::uint64_t const bits = std::uint64_t{message.size()} * 8;
    for (; message.size() >= block; message = message.subspan(block)) process(message.data());
    std::array<std::byte, 2 * block> last{};
    if (!message.empty()) std::memcpy(last.data(), message.data(), message.size());
    last[message.size()] = std::byte{0x80};
    std::size_t const size = message.size() < block - 8 ? block : 2 * block;
    for (std::size_t i = 0; i < 8; ++i) {
        last[size - 8 + i] = static_cast<std::byte>(bits >> (big_endian_size ? 56 - 8 * i : 8 * i));
    }
    for (std::size_t at = 0; at < size; at += block) process(last.data() + at);
}

inline std::uint32_t word(std::byte const* at, bool big_endian) noexcept {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < 4; ++i) {
        value |= std::to_integer<std::uint32_t>(at[i]) << (big_endian ? 24 - 8 * i : 8 * i);
    }
    return value;
}

template <std::size_t n>
std::array<std::byte, 4 * n> to_bytes(std::array<std::uint32_t, n> const& words, bool big_endian) noexcept {
    std::array<std::byte, 4 * n> bytes;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<std::byte>(words[i / 4] >> (big_endian ? 24 - 8 * (i % 4) : 8 * (i % 4)));
    }
    return bytes;
}

} // namespace digest

inline std::array<std::byte, 16> md5(byte_view message) {
    // floor(2^32 * abs(sin(i + 1))), RFC 1321
    static constexpr std::uint32_t constants[64] = {
        0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
        0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
        0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
        0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
        0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
        0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
        0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
        0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
    static constexpr int shifts[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    std::array<std::uint32_t, 4> state{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    digest::for_each_block(message, false, [&](std::byte const* at) {
        auto [a, b, c, d] = state;
        for (unsigned i = 0; i < 64; ++i) {
            std::uint32_t f = 0;
            unsigned word = 0;
            switch (i / 16) {
            case 0: f = (b & c) | (~b & d), word = i; break;
            case 1: f = (d & b) | (~d & c), word = (5 * i + 1) % 16; break;
            case 2: f = b ^ c ^ d, word = (3 * i + 5) % 16; break;
            default: f = c ^ (b | ~d), word = (7 * i) % 16; break;
            }
            std::uint32_t const sum = a + f + constants[i] + digest::word(at + 4 * word, false);
            a = d, d = c, c = b;
            b += std::rotl(sum, shifts[i / 16][i % 4]);
        }
        state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    });
    return digest::to_bytes(state, false);
}

inline std::array<std::byte, 32> sha256(byte_view message) {
    static constexpr std::uint32_t constants[64] = {
        // FIPS 180-4
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
    std::array<std::uint32_t, 8> state{
        0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    digest::for_each_block(message, true, [&](std::byte const* at) {
        std::uint32_t w[64];
        for (unsigned i = 0; i < 16; ++i) w[i] = digest::word(at + 4 * i, true);
        for (unsigned i = 16; i < 64; ++i) {
            std::uint32_t const s0 = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
            std::uint32_t const s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
            w[i] = w[i - 16] + s0 + w[i - 7] + s1;
        }
        auto [a, b, c, d, e, f, g, h] = state;
        for (unsigned i = 0; i < 64; ++i) {
            std::uint32_t const s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
            std::uint32_t const t1 = h + s1 + ((e & f) ^ (~e & g)) + constants[i] + w[i];
            std::uint32_t const s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
            std::uint32_t const t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
            h = g, g = f, f = e, e = d + t1;
            d = c, c = b, b = a, a = t1 + t2;
        }
        std::uint32_t const changes[8] = {a, b, c, d, e, f, g, h};
        for (unsigned i = 0; i < 8; ++i) state[i] += changes[i];
    });
    return digest::to_bytes(state, true);
}

template <auto hash>
auto hmac(byte_view key, byte_view message) {
    std::array<std::byte, digest::block> padded{};
    if (key.size() > padded.size()) {
        auto const shorter = hash(key);
        std::memcpy(padded.data(), shorter.data(), shorter.size());
    } else if (!key.empty()) {
        std::memcpy(padded.data(), key.data(), key.size());
    }
    byte_vector inner, outer;
    for (auto const byte : padded) {
        inner.push_back(byte ^ std::byte{0x36});
        outer.push_back(byte ^ std::byte{0x5c});
    }
    inner.insert(inner.end(), message.begin(), message.end());
    auto const inside = hash(inner);
    outer.insert(outer.end(), inside.begin(), inside.end());
    return hash(outer);
}

inline bool equal_in_constant_time(byte_view a, byte_view b) noexcept {
    if (a.size() != b.size()) return false;
    std::byte difference{};
    for (std::size_t i = 0; i < a.size(); ++i) difference |= a[i] ^ b[i];
    return difference == std::byte{};
}

} // namespace multiprocessing::inline v0::detail
