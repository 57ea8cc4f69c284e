#pragma once

#include <multiprocessing/platform/clock.hpp>

#include <algorithm>
#include <atomic>

#include <sched.h>

namespace multiprocessing::inline v0 {

void platform::relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

void platform::yield() noexcept { ::sched_yield(); }

std::uint64_t platform::ticks() noexcept {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return static_cast<std::uint64_t>(clock::now().time_since_epoch().count());
#endif
}

std::uint64_t platform::ticks_per_microsecond() noexcept {
    // Threads that come here at the same time measure on their own: a lock that one of them had would stay locked in a child
    // that another one forks.
    static constinit std::atomic<std::uint64_t> known{0};
    std::uint64_t rate = known.load(std::memory_order_relaxed);
    if (rate == 0) [[unlikely]] {
        // Short on purpose: a waiting policy needs the order of magnitude, and start-up must not pay for more.
        auto const begin = clock::now();
        std::uint64_t const first = ticks();
        auto now = begin;
        while (now - begin < std::chrono::microseconds(50)) now = clock::now();
        auto const passed = std::chrono::duration_cast<std::chrono::nanoseconds>(now - begin).count();
        rate = std::max<std::uint64_t>(1, (ticks() - first) * 1000 / static_cast<std::uint64_t>(passed));
        std::uint64_t nothing = 0;
        if (!known.compare_exchange_strong(nothing, rate, std::memory_order_relaxed)) rate = nothing;
    }
    return rate;
}

} // namespace multiprocessing::inline v0
