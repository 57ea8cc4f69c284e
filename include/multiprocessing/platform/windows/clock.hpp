#pragma once

#include <multiprocessing/platform/clock.hpp>
#include <multiprocessing/platform/windows/api.hpp>

#include <algorithm>

namespace multiprocessing::inline v0 {

void platform::relax() noexcept { YieldProcessor(); }

void platform::yield() noexcept { ::SwitchToThread(); }

std::uint64_t platform::ticks() noexcept {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(_M_X64)
    return __rdtsc();
#else
    return static_cast<std::uint64_t>(clock::now().time_since_epoch().count());
#endif
}

std::uint64_t platform::ticks_per_microsecond() noexcept {
    static std::uint64_t const rate = [] {
        // Short on purpose: a waiting policy needs the order of magnitude, and start-up must not pay for more.
        auto const begin = clock::now();
        std::uint64_t const first = ticks();
        auto now = begin;
        while (now - begin < std::chrono::microseconds(50)) now = clock::now();
        auto const passed = std::chrono::duration_cast<std::chrono::nanoseconds>(now - begin).count();
        return std::max<std::uint64_t>(1, (ticks() - first) * 1000 / static_cast<std::uint64_t>(passed));
    }();
    return rate;
}

} // namespace multiprocessing::inline v0
