#pragma once

#include <multiprocessing/detail/arena.hpp>
#include <multiprocessing/detail/participants.hpp>
#include <multiprocessing/detail/robust_lock.hpp>
#include <multiprocessing/detail/waiting.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

/// Who waits for a condition, in the order of arrival.
///
/// A notification is for those who wait at that moment, so it is given to a waiter by name. That a killed waiter does no
/// harm has three reasons: the list changes by single stores, so it is whole at every instruction; whoever notifies
/// passes over those that died asleep; and what was given to one that died awake, or before it left, is given to the
/// next, at the latest when that one looks around after a nap.
namespace multiprocessing::inline v0::detail {

class wait_list {
public:
    class waiter {
    public:
        /// Blocks until it is notified, at most until the deadline and not longer than a nap.
        bool await(platform::deadline until) noexcept;
        bool notified() const noexcept { return state_.load(std::memory_order_acquire) == told; }

    private:
        friend class wait_list;
        enum : std::uint32_t { awake, asleep, told };

        std::atomic<std::uint32_t> state_{awake};
        std::atomic<arena_offset> next_{0};
        participant process_;
    };

    wait_list() = default;
    wait_list(wait_list const&) = delete;
    wait_list& operator=(wait_list const&) = delete;
    ~wait_list();

    // All of these only by who holds the lock that belongs to the list.

    /// Puts the caller at the end.
    waiter& enter();
    /// Takes it out.
    void leave(waiter& one) noexcept;
    /// Notifies the first `count` of those that wait and live; beforehand, what the dead cannot use any more is given on.
    /// They wake when `lock`, which they need, is unlocked.
    void notify(std::size_t count, robust_lock& lock) noexcept;
    /// How many have not been notified; the dead count until somebody notifies.
    std::size_t size() const noexcept;

private:
    static waiter& at(arena_offset position) noexcept { return *arena::instance().at<waiter>(position); }

    std::atomic<arena_offset> first_{0};
};

// ---- implementation

inline bool wait_list::waiter::await(platform::deadline until) noexcept {
    if (notified()) return true;
    if (until == platform::deadline::min()) return false;
    auto& experience = spin_experience::of_this_thread();
    if (experience.should_spin() && experience.spin([this]() noexcept { return notified(); })) return true;
    std::uint32_t state = awake;
    if (!state_.compare_exchange_strong(state, asleep, std::memory_order_acq_rel) && state == told) return true;
    platform::park(state_, asleep, std::min(until, platform::clock::now() + longest_nap));
    return notified();
}

inline wait_list::~wait_list() {
    for (arena_offset next = first_.load(std::memory_order_relaxed); next != 0;) { // the dead
        waiter& one = at(next);
        next = one.next_.load(std::memory_order_relaxed);
        arena::instance().destroy(&one);
    }
}

inline wait_list::waiter& wait_list::enter() {
    auto const self = participant::self();
    waiter* const mine = arena::instance().create<waiter>();
    mine->process_ = self;
    std::atomic<arena_offset>* link = &first_;
    while (arena_offset const next = link->load(std::memory_order_relaxed)) link = &at(next).next_;
    link->store(arena::instance().offset_of(mine), std::memory_order_release);
    return *mine;
}

inline void wait_list::leave(waiter& one) noexcept {
    arena_offset const position = arena::instance().offset_of(&one);
    std::atomic<arena_offset>* link = &first_;
    while (arena_offset const next = link->load(std::memory_order_relaxed)) {
        if (next == position) {
            link->store(one.next_.load(std::memory_order_relaxed), std::memory_order_release);
            arena::instance().destroy(&one);
            return;
        }
        link = &at(next).next_;
    }
}

inline void wait_list::notify(std::size_t count, robust_lock& lock) noexcept {
    std::atomic<arena_offset>* link = &first_;
    while (arena_offset const next = link->load(std::memory_order_relaxed)) {
        waiter& one = at(next);
        auto const state = one.state_.load(std::memory_order_acquire);
        bool const notified = state == waiter::told; // those stand in front
        if (count == 0 && !notified) return;
        // Who was awake a moment ago is believed to live: to ask the system takes longer than all the rest.
        if (state != waiter::awake && !one.process_.is_alive()) {
            if (notified) ++count;
            link->store(one.next_.load(std::memory_order_relaxed), std::memory_order_release);
            arena::instance().destroy(&one);
            continue;
        }
        if (!notified) {
            --count;
            if (one.state_.exchange(waiter::told, std::memory_order_acq_rel) == waiter::asleep) {
                lock.wake_at_unlock(one.state_);
            }
        }
        link = &one.next_;
    }
}

inline std::size_t wait_list::size() const noexcept {
    std::size_t count = 0;
    for (arena_offset next = first_.load(std::memory_order_relaxed); next != 0;) {
        waiter const& one = at(next);
        if (!one.notified()) ++count;
        next = one.next_.load(std::memory_order_relaxed);
    }
    return count;
}

} // namespace multiprocessing::inline v0::detail
