#pragma once

#include <multiprocessing/detail/fork_generation.hpp>
#include <multiprocessing/platform/clock.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

/// What a process has one of.
namespace multiprocessing::inline v0::detail {

/// An object that is made on first use and never destroyed, since others with static storage may need it at the very end.
///
///     static constinit made_once<hooks> all;
///     return all.get();
///
/// A static object of a function has a hidden lock, which stays locked for ever in a child that is forked while another
/// thread makes the object. Such a child makes one of its own here; what was made before the fork it keeps.
///
/// Safe from  any thread, and in a child that was forked anywhere
template <class T>
class made_once {
public:
    constexpr made_once() noexcept = default;

    /// The object; the first call makes it from what `make()` returns. If that throws, the next call tries again.
    template <class Make>
    T& get(Make make) {
        if (!is_made_.load(std::memory_order_acquire)) [[unlikely]]
            make_object(make);
        return *std::launder(reinterpret_cast<T*>(place_));
    }
    T& get() {
        return get([] { return T(); });
    }

private:
    template <class Make>
    void make_object(Make& make);

    alignas(T) std::byte place_[sizeof(T)]{};
    std::atomic<bool> is_made_{false};
    std::atomic<std::uint32_t> claimed_{0}; // by a thread of which generation of forks
};

// ---- implementation

template <class T>
template <class Make>
void made_once<T>::make_object(Make& make) {
    std::uint32_t const forks = fork_generation();
    while (!is_made_.load(std::memory_order_acquire)) {
        std::uint32_t before = claimed_.load(std::memory_order_relaxed);
        // Another thread is at it. One that was at it before the fork is not in this process.
        if (before == forks || !claimed_.compare_exchange_strong(before, forks, std::memory_order_acq_rel)) {
            platform::yield();
            continue;
        }
        try {
            ::new (place_) T(make());
        } catch (...) {
            claimed_.store(0, std::memory_order_release);
            throw;
        }
        is_made_.store(true, std::memory_order_release);
    }
}

} // namespace multiprocessing::inline v0::detail
