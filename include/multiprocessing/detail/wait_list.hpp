#pragma once

#include <multiprocessing/detail/arena.hpp>
#include <multiprocessing/detail/participants.hpp>
#include <multiprocessing/detail/waiting.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

/// Who waits for a condition, in the order of arrival.
///
/// A notification is for those who wait at that moment, so it is given to a waiter by name. That a killed waiter does no
/// harm has three reasons: the list changes by single stores, so it is whole at every instruction; whoever notifies
/// passes over the dead; and what was given to one that died before it left is given to the next.
namespace multiprocessing::inline v0::detail {

class wait_list {
public:
    struct waiter {
        std::atomic<arena_offset> next;
        std::uint64_t process; // participant
        std::atomic<std::uint32_t> notified;
        event_count called;

        /// Blocks until it is notified, at most until the deadline.
        bool await(platform::deadline until) {
            return called.await([this] { return notified.load(std::memory_order_acquire) != 0; }, until);
        }
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
    void notify(std::size_t count) noexcept;
    /// How many have not been notified; the dead count until somebody notifies.
    std::size_t size() const noexcept;

private:
    static waiter& at(arena_offset position) noexcept { return *arena::instance().at<waiter>(position); }

    std::atomic<arena_offset> first_{0};
};

// ---- implementation

inline wait_list::~wait_list() {
    for (arena_offset next = first_.load(std::memory_order_relaxed); next != 0;) { // the dead
        waiter& one = at(next);
        next = one.next.load(std::memory_order_relaxed);
        arena::instance().destroy(&one);
    }
}

inline wait_list::waiter& wait_list::enter() {
    auto const self = participant::self().word();
    waiter* const mine = arena::instance().create<waiter>();
    mine->process = self;
    std::atomic<arena_offset>* link = &first_;
    while (arena_offset const next = link->load(std::memory_order_relaxed)) link = &at(next).next;
    link->store(arena::instance().offset_of(mine), std::memory_order_release);
    return *mine;
}

inline void wait_list::leave(waiter& one) noexcept {
    arena_offset const position = arena::instance().offset_of(&one);
    std::atomic<arena_offset>* link = &first_;
    while (arena_offset const next = link->load(std::memory_order_relaxed)) {
        if (next == position) {
            link->store(one.next.load(std::memory_order_relaxed), std::memory_order_release);
            arena::instance().destroy(&one);
            return;
        }
        link = &at(next).next;
    }
}

inline void wait_list::notify(std::size_t count) noexcept {
    std::atomic<arena_offset>* link = &first_;
    while (arena_offset const next = link->load(std::memory_order_relaxed)) {
        waiter& one = at(next);
        bool const notified = one.notified.load(std::memory_order_relaxed) != 0; // those stand in front
        if (count == 0 && !notified) return;
        if (!participant(one.process).is_alive()) {
            if (notified) ++count;
            link->store(one.next.load(std::memory_order_relaxed), std::memory_order_release);
            arena::instance().destroy(&one);
            continue;
        }
        if (!notified) {
            --count;
            one.notified.store(1, std::memory_order_release);
            one.called.notify_one();
        }
        link = &one.next;
    }
}

inline std::size_t wait_list::size() const noexcept {
    std::size_t count = 0;
    for (arena_offset next = first_.load(std::memory_order_relaxed); next != 0;) {
        waiter const& one = at(next);
        if (one.notified.load(std::memory_order_relaxed) == 0) ++count;
        next = one.next.load(std::memory_order_relaxed);
    }
    return count;
}

} // namespace multiprocessing::inline v0::detail
