#pragma once

#include <multiprocessing/platform/process.hpp>

#include <atomic>
#include <cstdint>

namespace multiprocessing::inline v0::detail {

/// Counts the forks between the first process of a program and this one. Whoever caches something that a forked child
/// must not use (an id, a block it owns, a thread) remembers the generation with it and compares.
inline std::uint32_t fork_generation() noexcept;

// ---- implementation

struct fork_counter {
    std::atomic<std::uint32_t> generation{1};

    MULTIPROCESSING_ONE_PER_PROCESS static fork_counter& instance() noexcept {
        static fork_counter counter;
        return counter;
    }
    fork_counter() noexcept {
        platform::at_fork_in_child([] { instance().generation.fetch_add(1, std::memory_order_relaxed); });
    }
};

inline std::uint32_t fork_generation() noexcept {
    return fork_counter::instance().generation.load(std::memory_order_relaxed);
}

} // namespace multiprocessing::inline v0::detail
