#pragma once

#include <multiprocessing/platform/process.hpp>

#include <atomic>
#include <cstdint>

namespace multiprocessing::inline v0::detail {

/// Counts the forks between the first process of a program and this one. Whoever caches something that a forked child
/// must not use (an id, a block it owns, a thread) remembers the generation with it and compares.
inline std::uint32_t fork_generation() noexcept;

// ---- implementation

MULTIPROCESSING_ONE_PER_PROCESS inline std::atomic<std::uint32_t> forks_so_far{1};

/// From before main() on.
MULTIPROCESSING_ONE_PER_PROCESS inline bool const forks_are_counted = [] {
    platform::at_fork_in_child([] { forks_so_far.fetch_add(1, std::memory_order_relaxed); });
    return true;
}();

inline std::uint32_t fork_generation() noexcept { return forks_so_far.load(std::memory_order_relaxed); }

} // namespace multiprocessing::inline v0::detail
