#pragma once

#include <multiprocessing/platform/park.hpp>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace multiprocessing::inline v0 {

void platform::park(std::atomic<std::uint32_t>& word, std::uint32_t expected, deadline until) noexcept {
    static_assert(sizeof word == sizeof(std::uint32_t) && std::atomic<std::uint32_t>::is_always_lock_free);
    timespec left{};
    timespec* limit = nullptr;
    if (until != never) {
        auto const nanoseconds = time_left(until).count();
        if (nanoseconds == 0) return;
        left.tv_sec = static_cast<time_t>(nanoseconds / 1'000'000'000);
        left.tv_nsec = static_cast<long>(nanoseconds % 1'000'000'000);
        limit = &left;
    }
    ::syscall(SYS_futex, &word, FUTEX_WAIT, expected, limit, nullptr, 0);
}

void platform::unpark(std::atomic<std::uint32_t>& word, std::uint32_t count) noexcept {
    ::syscall(SYS_futex, &word, FUTEX_WAKE, count, nullptr, nullptr, 0);
}

std::size_t platform::parking_bytes() noexcept { return 0; } // the kernel keeps the sleepers

void platform::open_parking(std::byte*, std::byte*, bool, std::error_code& error) noexcept { error.clear(); }

std::span<platform::native_handle const> platform::parking_handles() noexcept { return {}; }

} // namespace multiprocessing::inline v0
