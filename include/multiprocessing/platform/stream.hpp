#pragma once

#include <multiprocessing/platform/clock.hpp>
#include <multiprocessing/platform/handle.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>

/// Reading and writing streams of any kind (channels, sockets, pipes), with handles that travel beside the bytes.
namespace multiprocessing::inline v0::platform {

/// Whether handles travel beside the bytes of a stream. Where they do not, a number in the bytes stands for each.
#if defined(MULTIPROCESSING_WINDOWS)
inline constexpr bool handles_travel_beside_bytes = false;
#else
inline constexpr bool handles_travel_beside_bytes = true;
#endif

/// Writes all bytes of both parts, in one piece if the system takes it, and with the first byte duplicates of the
/// handles. Raises no signal; broken_pipe when nobody can read it any more.
inline void write_stream(
    native_handle stream,
    std::span<std::byte const> first,
    std::span<std::byte const> second,
    std::span<native_handle const> handles,
    std::error_code& error) noexcept;

struct stream_part {
    std::size_t bytes = 0;     ///< 0: the end of the stream
    std::size_t handles = 0;   ///< how many came with them; they belong to the caller
    bool handles_lost = false; ///< more came than this process may have open, or than there was room for; none are left
};

/// Whether processes can tell each other over a channel that something has happened in the memory they share: with the
/// functions below, which never wait there.
#if defined(MULTIPROCESSING_WINDOWS)
inline constexpr bool streams_are_bells = false;
#else
inline constexpr bool streams_are_bells = true;
#endif

/// Writes one byte, unless the stream is full. broken_pipe when nobody can read it any more.
inline void write_byte_at_once(native_handle stream, std::byte value, std::error_code& error) noexcept;

/// What is at the front of a stream.
struct stream_front {
    enum class kind { nothing, byte, end };
    kind what = kind::nothing;
    std::byte value{};
};

/// Looks at the next byte without waiting; it stays there.
inline stream_front peek_stream(native_handle stream, std::error_code& error) noexcept;

/// Reads what is there, at least one byte, at most bytes.size().
inline stream_part read_stream(
    native_handle stream,
    std::span<std::byte> bytes,
    std::span<native_handle> handles,
    std::error_code& error) noexcept;

/// Whether everybody has closed the other end. Does not wait; bytes may be left to read.
inline bool stream_has_ended(native_handle stream) noexcept;

/// Where handles do not travel beside the bytes: a number by which another process can get a duplicate, once. It keeps
/// something open until then, or until this process ends.
inline std::uint64_t publish_handle(native_handle handle, std::error_code& error) noexcept;
inline native_handle take_published_handle(std::uint64_t number, std::error_code& error) noexcept;

} // namespace multiprocessing::inline v0::platform

#if defined(MULTIPROCESSING_WINDOWS)
#    include <multiprocessing/platform/windows/stream.hpp>
#else
#    include <multiprocessing/platform/posix/stream.hpp>
#endif
