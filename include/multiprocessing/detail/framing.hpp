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
/// and between processes of this library only, for a body that takes another way:
///
///     anything                 80 00 00 01; uint64 big-endian: the size; uint64 big-endian: where the body is
///
/// A size is a claim of the other end: nothing is allocated because of it, memory grows with the bytes that arrive.
namespace multiprocessing::inline v0::detail {

/// What comes before a message of this size.
class frame_header {
public:
    explicit frame_header(std::uint64_t message_size) noexcept;
    frame_header(std::uint64_t message_size, std::uint64_t position_elsewhere) noexcept;
    std::span<std::byte const> bytes() const noexcept { return std::span(bytes_).first(size_); }

private:
    void append(std::uint64_t number, std::size_t size) noexcept {
        while (size > 0) bytes_[size_++] = static_cast<std::byte>(number >> (8 * --size));
    }

    std::array<std::byte, 20> bytes_{};
    std::size_t size_ = 0;
};

/// What a header says.
struct frame_start {
    std::uint64_t size = 0;
    bool is_elsewhere = false;
    std::uint64_t position = 0; ///< of a body that is elsewhere
};

/// Reads the header of the next message. `read(span)` reads at least one byte and returns how many; 0 is the end. Throws
/// EOFError at an end before the first byte, OSError at one after it, for a negative size, and for a body that is elsewhere
/// unless `may_be_elsewhere`.
template <class Read>
frame_start read_frame_header(Read&& read, bool may_be_elsewhere = false);

/// Reads exactly `bytes.size()` bytes of a message; OSError if it ends before.
template <class Read>
void read_frame_bytes(std::span<std::byte> bytes, Read&& read);

/// Reads a message of this size. `grow(size)` gives a span of the next `size` bytes.
template <class Grow, class Read>
void read_frame(std::uint64_t size, Grow&& grow, Read&& read);

// ---- implementation

inline constexpr std::uint64_t extended_size = 0xffffffff;
inline constexpr std::uint64_t body_is_elsewhere = 0x80000001; // to CPython a negative size, which never occurs

inline frame_header::frame_header(std::uint64_t message_size) noexcept {
    bool const is_long = message_size > 0x7fffffff;
    append(is_long ? extended_size : message_size, 4);
    if (is_long) append(message_size, 8);
}

inline frame_header::frame_header(std::uint64_t message_size, std::uint64_t position_elsewhere) noexcept {
    append(body_is_elsewhere, 4);
    append(message_size, 8);
    append(position_elsewhere, 8);
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
frame_start read_frame_header(Read&& read, bool may_be_elsewhere) {
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
    if (size <= 0x7fffffff) return {size};
    frame_start start;
    start.is_elsewhere = may_be_elsewhere && size == body_is_elsewhere;
    if (size != extended_size && !start.is_elsewhere) throw_bad_length();
    read_frame_bytes(bytes, read);
    start.size = number(8);
    if (start.is_elsewhere) {
        read_frame_bytes(bytes, read);
        start.position = number(8);
    }
    return start;
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
