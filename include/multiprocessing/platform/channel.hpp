#pragma once

#include <multiprocessing/platform/clock.hpp>
#include <multiprocessing/platform/handle.hpp>

#include <cstddef>
#include <span>
#include <system_error>
#include <utility>

/// A two-way stream of bytes between related processes (a socket pair; two pipes in one on Windows).
namespace multiprocessing::inline v0::platform {

/// Two ends that are connected with each other.
inline std::pair<native_handle, native_handle> make_channel(std::error_code& error) noexcept;

/// Writes all bytes, or reports why not (broken_pipe when the other end is closed). Raises no signal.
inline void write_all(native_handle channel, std::span<std::byte const> bytes, std::error_code& error) noexcept;

/// Reads until `bytes` is full. False, without an error, if the stream ended before the first byte; an end in the
/// middle is the error broken_pipe.
inline bool read_all(native_handle channel, std::span<std::byte> bytes, std::error_code& error) noexcept;

/// Reads what is there, at least one byte, at most bytes.size(); 0 is the end of the stream.
inline std::size_t read_some(native_handle channel, std::span<std::byte> bytes, std::error_code& error) noexcept;

} // namespace multiprocessing::inline v0::platform

#if defined(MULTIPROCESSING_WINDOWS)
#    include <multiprocessing/platform/windows/channel.hpp>
#else
#    include <multiprocessing/platform/posix/channel.hpp>
#endif
