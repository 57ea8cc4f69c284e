// Written from Apple's documentation; never compiled or run. Reports are welcome.
#pragma once

#include <multiprocessing/platform/park.hpp>

#include <os/os_sync_wait_on_address.h> // macOS 14.4

namespace multiprocessing::inline v0 {

void platform::park(std::atomic<std::uint32_t>& word, std::uint32_t expected, deadline until) noexcept {
    static_assert(sizeof word == 4);
    if (until == never) {
        ::os_sync_wait_on_address(&word, expected, sizeof word, OS_SYNC_WAIT_ON_ADDRESS_SHARED);
        return;
    }
    auto const left = static_cast<std::uint64_t>(time_left(until).count());
    if (left == 0) return; // the system refuses it
    ::os_sync_wait_on_address_with_timeout(
        &word, expected, sizeof word, OS_SYNC_WAIT_ON_ADDRESS_SHARED, OS_CLOCK_MACH_ABSOLUTE_TIME, left);
}

void platform::unpark(std::atomic<std::uint32_t>& word, std::uint32_t count) noexcept {
    if (count >= everybody) {
        ::os_sync_wake_by_address_all(&word, sizeof word, OS_SYNC_WAKE_BY_ADDRESS_SHARED);
        return;
    }
    while (count-- > 0) { // ends early when nobody sleeps any more
        if (::os_sync_wake_by_address_any(&word, sizeof word, OS_SYNC_WAKE_BY_ADDRESS_SHARED) != 0) return;
    }
}

std::size_t platform::parking_bytes() noexcept { return 0; } // the kernel keeps the sleepers

void platform::open_parking(std::byte*, std::byte*, bool, std::error_code& error) noexcept { error.clear(); }

std::span<platform::native_handle const> platform::parking_handles() noexcept { return {}; }

} // namespace multiprocessing::inline v0
