#pragma once

#include <multiprocessing/errors.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

/// How CPython's connections mark where a message begins and ends, byte for byte:
///
///     up to 0x7fffffff bytes   int32 big-endian: the size; the message
///     more                     ff ff ff ff; uint64 big-endian: the size; the message
///
/// A size is a claim of the other end: nothing is allocated because of it, memory grows with the bytes that arrive.
namespace multiprocessing::inline v0::detail {

/// What comes before a message of this size.
class frame_header {
public:
    explicit frame_header(std::uint64_t message_size) noexcept;
    std::span<std::byte const> bytes() const noexcept { return std::span(bytes_).first(size_); }

private:
    std::array<std::byte, 12> bytes_{};
    std::size_t size_ = 4;
};

/// Reads the header of the next message and returns its size. `read(span)` reads at least one byte and returns how many;
/// 0 is the end. Throws EOFError at an end before the first byte, OSError at one after it and for a negative size.
template <class Read>
std::uint64_t read_frame_header(Read&& read);

/// Reads exactly `bytes.size()` bytes of a message; OSError if it ends before.
template <class Read>
void read_frame_bytes(std::span<std::byte> bytes, Read&& read);

/// Reads a message of this size. `grow(size)` gives a span of the next `size` bytes.
template <class Grow, class Read>
void read_frame(std::uint64_t size, Grow&& grow, Read&& read);

// ---- implementation

inline frame_header::frame_header(std::uint64_t message_size) noexcept {
    bool const is_long = message_size > 0x7fffffff;
    if (is_long) {
        std::fill_n(bytes_.begin(), 4, std::byte{0xff});
        size_ = 12;
    }
    std::size_t const begin = is_long ? 4 : 0;
    for (std::size_t i = begin; i < size_; ++i) {
        bytes_[i] = static_cast<std::byte>(message_size >> (8 * (size_ - 1 - i)));
    }
}

[[noreturn]] inline void throw_end_inside_message() {
    throw OSError(std::make_error_code(std::errc::connection_aborted), "got end of file during message");
}
[[noreturn]] inline void throw_bad_length() {
    throw OSError(std::make_error_code(std::errc::message_size), "bad message length");
}

template <class Read>
void read_frame_bytes(std::span<std::byte> bytes, Read&& read) {
    while (!bytes.empty()) {
        std::size_t const count = read(bytes);
        if (count == 0) throw_end_inside_message();
        bytes = bytes.subspan(count);
    }
}

template <class Read>
std::uint64_t read_frame_header(Read&& read) {
    std::array<std::byte, 8> bytes{};
    auto const number = [&](std::size_t size) {
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < size; ++i) value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
        return value;
    };
    std::span<std::byte> const first = std::span(bytes).first(4);
    std::size_t const count = read(first);
    if (count == 0) throw EOFError();
    read_frame_bytes(first.subspan(count), read);
    std::uint64_t const size = number(4);
    if (size <= 0x7fffffff) return size;
    if (size != 0xffffffff) throw_bad_length();
    read_frame_bytes(bytes, read);
    return number(8);
}

template <class Grow, class Read>
void read_frame(std::uint64_t size, Grow&& grow, Read&& read) {
    constexpr std::uint64_t at_once = 1 << 20;
    std::uint64_t done = 0;
    while (done < size) {
        // What has arrived vouches for as much again.
        auto const step = static_cast<std::size_t>(std::min(size - done, std::max(at_once, done)));
        read_frame_bytes(std::span<std::byte>(grow(step)), read);
        done += step;
    }
}

} // namespace multiprocessing::inline v0::detail
