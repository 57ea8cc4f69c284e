#pragma once

#include <multiprocessing/platform/clock.hpp>

#include <condition_variable>
#include <mutex>

/// Waiting among the threads of one process.
namespace multiprocessing::inline v0::detail {

/// Waits for the condition until the deadline, and returns whether it holds. One that has passed means: looks once. The
/// system is not asked for that, because mingw's would wait for ever until a point in time before its own zero.
template <class Condition>
bool wait_until(
    std::condition_variable& changed,
    std::unique_lock<std::mutex>& guard,
    platform::deadline until,
    Condition const& condition) {
    if (until == platform::never) {
        changed.wait(guard, condition);
        return true;
    }
    if (until <= platform::clock::now()) return condition();
    return changed.wait_until(guard, until, condition);
}

} // namespace multiprocessing::inline v0::detail
