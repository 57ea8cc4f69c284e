#pragma once

#include <multiprocessing/detail/participants.hpp>
#include <multiprocessing/detail/waiting.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

/// How many items of a JoinableQueue are not done yet, and who is at them.
namespace multiprocessing::inline v0::detail {

/// Lives in shared memory. Besides the count of items that have been put and not been reported done, it notes for each
/// process how many it has in hand. With that a join can tell when nobody is left who could report the rest: the queue
/// is empty and those that had the items are dead. Notes of dead processes are not looked at, so it does not matter at
/// which point they died.
class task_ledger {
public:
    /// This process has an item in hand: it is about to put one, or to take one.
    void hold() { change(participant::self(), true); }
    /// It was put, or could not be put, or there was none. For an item that was taken it is `done` that lets go.
    void let_go() { change(participant::self(), false); }

    /// Around the putting of an item.
    class adding {
    public:
        explicit adding(task_ledger& ledger) : ledger_(ledger) {
            ledger_.hold();
            ledger_.unfinished_.fetch_add(1, std::memory_order_seq_cst);
        }
        ~adding() {
            if (!added) ledger_.finish();
            ledger_.let_go();
        }
        adding(adding const&) = delete;
        adding& operator=(adding const&) = delete;

        bool added = false;

    private:
        task_ledger& ledger_;
    };

    /// An item has been worked on. False if there was nothing left to be done.
    bool done();

    std::uint64_t unfinished() const noexcept { return unfinished_.load(std::memory_order_seq_cst); }
    /// Whether a living process has an item in hand.
    bool in_work() const noexcept;

    /// Waits until nothing is unfinished. `position()` is a number that changes with every put and get; `is_empty()`
    /// says whether the queue is. Returns how many items nobody will ever report; that is said to one waiter only.
    template <class Position, class IsEmpty>
    std::uint64_t wait(Position const& position, IsEmpty const& is_empty);

private:
    // One word for each process: generation of its seat, and number of items.
    void change(participant self, bool one_more) noexcept;
    bool finish() noexcept;

    std::atomic<std::uint64_t> unfinished_{0};
    event_count all_done_{};
    std::array<std::atomic<std::uint64_t>, seat_count> in_hand_{};
};

// ---- implementation

inline void task_ledger::change(participant self, bool one_more) noexcept {
    auto& place = in_hand_[self.seat()];
    std::uint64_t old = place.load(std::memory_order_relaxed);
    std::uint64_t changed = 0;
    do {
        // A predecessor on the seat took his items with him.
        std::uint32_t const items = old >> 32 == self.generation() ? static_cast<std::uint32_t>(old) : 0;
        // Whoever reports what another process had taken would go below zero.
        std::uint32_t const now = one_more ? items + 1 : items - (items != 0 ? 1 : 0);
        changed = std::uint64_t{self.generation()} << 32 | now;
    } while (!place.compare_exchange_weak(old, changed, std::memory_order_seq_cst));
}

inline bool task_ledger::finish() noexcept {
    std::uint64_t left = unfinished_.load(std::memory_order_relaxed);
    do {
        if (left == 0) return false;
    } while (!unfinished_.compare_exchange_weak(left, left - 1, std::memory_order_seq_cst));
    if (left == 1) all_done_.notify_all();
    return true;
}

inline bool task_ledger::done() {
    bool const was_there = finish();
    if (was_there) let_go();
    return was_there;
}

inline bool task_ledger::in_work() const noexcept {
    for (std::size_t seat = 0; seat != seat_count; ++seat) {
        std::uint64_t const word = in_hand_[seat].load(std::memory_order_seq_cst);
        if (static_cast<std::uint32_t>(word) == 0) continue;
        if (participant(seat, static_cast<std::uint32_t>(word >> 32)).is_alive()) return true;
    }
    return false;
}

template <class Position, class IsEmpty>
std::uint64_t task_ledger::wait(Position const& position, IsEmpty const& is_empty) {
    // Items are handed on while one looks for them. Only if nothing has moved between two looks, a nap apart, of which
    // each found no item anywhere, there is none.
    struct look {
        std::uint64_t position = 0;
        std::uint64_t unfinished = 0;
        bool nothing = false;
        bool operator==(look const&) const = default;
    };
    look before;
    std::uint64_t lost = 0;
    auto const search = [&]() -> platform::clock::duration {
        look now{position(), unfinished(), false};
        now.nothing = is_empty() && !in_work();
        if (now.nothing && now == before &&
            unfinished_.compare_exchange_strong(now.unfinished, 0, std::memory_order_seq_cst)) {
            lost = now.unfinished;
            all_done_.notify_all();
            return {};
        }
        before = now;
        return longest_nap;
    };
    all_done_.await([&] { return unfinished() == 0; }, platform::never, search);
    return lost;
}

} // namespace multiprocessing::inline v0::detail
