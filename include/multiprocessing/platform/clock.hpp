#pragma once

#include <multiprocessing/config.hpp>

#include <chrono>
#include <cstdint>

/// Time is std::chrono::steady_clock, which is monotonic everywhere; a deadline is a point of it.
namespace multiprocessing::inline v0::platform {

using clock = std::chrono::steady_clock;
using deadline = clock::time_point;

/// The deadline of who waits for ever.
inline constexpr deadline never = deadline::max();

/// What is left until then; zero if it has passed, and for deadline::min(), which the difference would overflow.
inline std::chrono::nanoseconds time_left(deadline until) noexcept {
    auto const now = clock::now();
    return until > now ? std::chrono::duration_cast<std::chrono::nanoseconds>(until - now)
                       : std::chrono::nanoseconds(0);
}

/// Tells the processor that this is a loop that waits.
inline void relax() noexcept;

/// Lets another thread run on this processor.
inline void yield() noexcept;

/// A counter that is cheaper to read than the clock; only differences within one thread mean something.
inline std::uint64_t ticks() noexcept;

/// How many of them make a microsecond (measured once per process).
inline std::uint64_t ticks_per_microsecond() noexcept;

} // namespace multiprocessing::inline v0::platform

#if defined(MULTIPROCESSING_WINDOWS)
#    include <multiprocessing/platform/windows/clock.hpp>
#else
#    include <multiprocessing/platform/posix/clock.hpp>
#endif
