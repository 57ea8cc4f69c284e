#pragma once

#include <multiprocessing/platform/handle.hpp>
#include <multiprocessing/platform/self.hpp>

#include <cstddef>
#include <span>
#include <system_error>

/// Handing open handles to a process that already runs.
namespace multiprocessing::inline v0::platform {

/// How many handles one call may carry.
inline constexpr std::size_t handles_per_message = 64;

/// Sends duplicates of the handles over a channel, with at least one byte of data. The sender may close its own at once.
/// `receiver` is needed on Windows only.
inline void send_handles(
    native_handle channel,
    std::span<std::byte const> data,
    std::span<native_handle const> handles,
    process_id receiver,
    std::error_code& error) noexcept;

struct received {
    std::size_t bytes = 0;   ///< of data; 0 is the end of the stream
    std::size_t handles = 0; ///< how many came; they belong to the caller
};

/// Receives what one send_handles sent (data may come in several parts, the handles come with the first).
inline received receive_handles(
    native_handle channel,
    std::span<std::byte> data,
    std::span<native_handle> handles,
    std::error_code& error) noexcept;

} // namespace multiprocessing::inline v0::platform

#if defined(MULTIPROCESSING_WINDOWS)
#    include <multiprocessing/platform/windows/handle_passing.hpp>
#else
#    include <multiprocessing/platform/posix/handle_passing.hpp>
#endif
