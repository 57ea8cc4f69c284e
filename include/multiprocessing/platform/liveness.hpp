#pragma once

#include <multiprocessing/platform/handle.hpp>
#include <multiprocessing/platform/self.hpp>

#include <cstddef>
#include <system_error>

/// Who is still there. Exact although process ids are reused, although a killed process stays a zombie until its parent
/// waits for it, and without /proc.
namespace multiprocessing::inline v0::platform {

/// Declares this process alive in place `seat` (0, 1, …) of the segment, until it ends, however it ends. The handle must
/// stay open, and no duplicate of it may be closed in this process. Not inherited by a fork.
inline void take_seat(native_handle segment, std::size_t seat, process_id self, std::error_code& error) noexcept;

/// Whether the process that took this seat is alive. `pid` is the one that was noted when it took the seat.
inline bool seat_is_taken(native_handle segment, std::size_t seat, process_id pid) noexcept;

/// From now on the system kills this process (SIGKILL) as soon as the other end of `lifeline`, a channel that only its
/// parent holds open, is closed. Kills at once if it is closed already.
inline void die_with(native_handle lifeline, std::error_code& error) noexcept;

} // namespace multiprocessing::inline v0::platform

#if defined(MULTIPROCESSING_WINDOWS)
#    include <multiprocessing/platform/windows/liveness.hpp>
#elif defined(MULTIPROCESSING_MACOS)
#    include <multiprocessing/platform/macos/liveness.hpp>
#else
#    include <multiprocessing/platform/linux/liveness.hpp>
#endif
