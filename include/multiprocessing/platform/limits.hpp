#pragma once

#include <multiprocessing/platform/error.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <span>
#include <system_error>
#include <vector>

/// What a process may set for itself, for good. What a system does not offer is std::errc::function_not_supported.
namespace multiprocessing::inline v0::platform {

/// How much private memory that can be written this process may have; what is shared does not count. Allocations that go
/// beyond fail. A limit that is tighter already stays. Linux.
inline void limit_private_memory(std::uint64_t bytes, std::error_code& error) noexcept;

/// How much time on processors this process may use before a signal ends it, SIGXCPU. A limit that is tighter already stays.
/// Linux, macOS.
inline void limit_cpu_time(std::chrono::seconds time, std::error_code& error) noexcept;

/// How much further others go before this process, from 1 to 19; below zero, where that is allowed: how much it goes before
/// others.
inline void add_niceness(int difference, std::error_code& error) noexcept;

/// The processors that this thread may run on, in rising order; empty: unknown.
inline std::vector<int> usable_processors();

/// Has this thread, and those that it starts, run on these processors only. Linux, Windows.
inline void run_only_on(std::span<int const> processors, std::error_code& error);

/// How many threads libraries for numbers start for themselves: sets the variables that they read at their beginning, and on
/// Linux tells those that are part of the program already.
inline void limit_library_threads(int count, std::error_code& error);

/// The memory that this process has in use, without what it shares with others; 0: unknown. Pages that a forked child has from
/// its parent count although nobody has written to them.
inline std::uint64_t resident_memory() noexcept;

inline constexpr std::array thread_count_variables{
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS"};

} // namespace multiprocessing::inline v0::platform

#if defined(MULTIPROCESSING_WINDOWS)
#    include <multiprocessing/platform/windows/limits.hpp>
#elif defined(MULTIPROCESSING_MACOS)
#    include <multiprocessing/platform/macos/limits.hpp>
#else
#    include <multiprocessing/platform/linux/limits.hpp>
#endif
