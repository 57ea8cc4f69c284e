#pragma once

#include <multiprocessing/detail/deadline.hpp>
#include <multiprocessing/platform/clock.hpp>

#include <chrono>
#include <type_traits>

namespace multiprocessing::inline v0::detail {

/// Gives a class with Python's `acquire` and `release` the names that C++ uses, so that std::scoped_lock,
/// std::unique_lock and std::lock take it.
template <class Derived>
class lockable {
public:
    /// As acquire().
    void lock() const { self().acquire(true, Timeout()); }
    /// As release().
    void unlock() const { self().release(); }
    /// As acquire(false): does not block.
    bool try_lock() const { return self().acquire(false, Timeout()); }
    /// As acquire(true, duration).
    template <class Rep, class Period>
    bool try_lock_for(std::chrono::duration<Rep, Period> const& duration) const {
        return self().acquire(true, duration);
    }
    template <class Clock, class Duration>
    bool try_lock_until(std::chrono::time_point<Clock, Duration> const& until) const {
        auto const now = Clock::now();
        using left = std::common_type_t<typename Clock::duration, Duration>;
        return self().acquire(true, until > now ? Timeout(until - now) : Timeout(left::zero()));
    }

protected:
    lockable() = default;

private:
    Derived const& self() const noexcept { return static_cast<Derived const&>(*this); }
};

} // namespace multiprocessing::inline v0::detail
