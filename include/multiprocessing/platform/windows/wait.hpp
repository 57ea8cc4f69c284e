#pragma once

#include <multiprocessing/platform/clock.hpp>
#include <multiprocessing/platform/windows/api.hpp>

#include <algorithm>
#include <cstdint>

namespace multiprocessing::inline v0::platform::windows {

/// How long to wait in one call: rounded up, so that a wait does not end before its deadline; a day at a time, so that
/// it fits. The system's timer may still be a little early: who waits looks at the clock again.
inline DWORD milliseconds_until(deadline until) noexcept {
    if (until == never) return INFINITE;
    auto const left = std::chrono::ceil<std::chrono::milliseconds>(time_left(until)).count();
    return static_cast<DWORD>(std::min<std::int64_t>(left, 86'400'000));
}

/// Waits until the object is signalled; false after the deadline.
inline bool wait_object(HANDLE object, deadline until) noexcept {
    for (;;) {
        if (::WaitForSingleObject(object, milliseconds_until(until)) != WAIT_TIMEOUT) return true;
        if (until != never && clock::now() >= until) return false;
    }
}

} // namespace multiprocessing::inline v0::platform::windows
