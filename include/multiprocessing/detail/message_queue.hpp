#pragma once

#include <multiprocessing/detail/message_ring.hpp>
#include <multiprocessing/detail/task_ledger.hpp>
#include <multiprocessing/detail/waiting.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <utility>

/// A queue of messages in shared memory: rings, and the waiting for a message or for room.
///
/// A queue without a limit grows: when a ring is full, a writer appends one twice as large, and writers go on there. A
/// reader that finds the old ring empty ends it by a mark in the very slot that the next message would take, so a late
/// writer either gets his message in before the mark or sees it and goes to the new ring. Rings are given back with the
/// queue and not before: a process that was asleep for a long time may still look at an old one. As each is twice as
/// large as the one before, all of them together are at most twice as large as the last.
namespace multiprocessing::inline v0::detail {

/// Lives in the arena.
class message_queue {
public:
    /// `maxsize` 0: without limit. `inline_size`: room in a slot.
    message_queue(std::size_t maxsize, std::size_t inline_size, bool counts_tasks);
    ~message_queue();
    message_queue(message_queue const&) = delete;
    message_queue& operator=(message_queue const&) = delete;

    /// Puts the message that `write(slot)` stores; it is called once and only if there is room. Waits for room until
    /// the deadline; false: there was none. Throws std::bad_alloc and has changed nothing if the memory is exhausted.
    template <class Write>
    bool put(Write const& write, platform::deadline until);

    /// Takes the next message by `read(slot)`, which is called once. Waits until the deadline; false: none came.
    template <class Read>
    bool get(Read const& read, platform::deadline until);

    /// Whether get() would find a message now; what dead writers left in front is cleared away.
    bool has_message() noexcept;
    /// As long as one of these exists, whoever puts rings the arena's bell as well.
    class watching {
    public:
        explicit watching(message_queue& queue) noexcept : queue_(&queue) {
            queue_->watchers_.fetch_add(1, std::memory_order_seq_cst);
        }
        watching(watching&& other) noexcept : queue_(std::exchange(other.queue_, nullptr)) {}
        watching& operator=(watching&&) = delete;
        ~watching() {
            if (queue_ != nullptr) queue_->watchers_.fetch_sub(1, std::memory_order_relaxed);
        }

    private:
        message_queue* queue_;
    };

    /// Messages; those of dead writers that stand in front are cleared away first.
    std::size_t size() noexcept;
    bool full() noexcept { return size() >= maxsize_; }

    /// Items that have been put and not been reported done; null if they are not counted.
    task_ledger* tasks() const noexcept { return tasks_ != 0 ? arena::instance().at<task_ledger>(tasks_) : nullptr; }
    /// Waits until all are done. Returns how many nobody will ever report.
    std::uint64_t join() {
        return tasks()->wait([&] { return position(); }, [&] { return size() == 0; });
    }

private:
    static constexpr unsigned first_power = 6;
    static constexpr std::size_t largest_exact = std::size_t{1} << 14; // larger ones are not worth reserving at once
    static constexpr std::size_t most_rings = 40;
    static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

    message_ring& ring(std::uint32_t number) const noexcept {
        return *arena::instance().at<message_ring>(rings_[number].load(std::memory_order_acquire));
    }
    template <class Write>
    bool try_put(short_participant self, Write const& write);
    template <class Read>
    bool try_get(short_participant self, Read const& read) noexcept;
    template <class Look>
    bool find_message(Look const& look) noexcept;
    arena_offset make_ring(std::uint32_t number) const;
    void append_ring(std::uint32_t after);
    template <class Write>
    bool put_message(short_participant self, Write const& write, platform::deadline until);
    template <class Write>
    bool put_later(short_participant self, Write const& write, platform::deadline until);
    template <class Attempt>
    bool get_later(short_participant self, Attempt const& attempt, platform::deadline until);
    bool repair(short_participant self) noexcept;
    void wake_writers() noexcept;
    std::size_t count() const noexcept;
    std::uint64_t position() const noexcept;

    // Never changed after the construction.
    std::size_t maxsize_;     // without limit: as large as can be
    std::uint64_t limit_ = 0; // what a ring has to care for
    std::size_t inline_size_;
    unsigned power_ = first_power; // of the first ring
    bool grows_ = true;
    arena_offset tasks_ = 0;
    std::array<std::atomic<arena_offset>, most_rings> rings_{};

    alignas(64) std::atomic<std::uint32_t> producing_{0}; // the ring that is written to
    std::atomic<std::uint32_t> consuming_{0};             // the ring that is read from
    alignas(64) event_count not_empty_{};
    std::atomic<std::uint32_t> watchers_{0}; // too many when one is killed, which costs a look at the bell
    alignas(64) event_count not_full_{};
};

// ---- implementation

inline message_queue::message_queue(std::size_t maxsize, std::size_t inline_size, bool counts_tasks)
    : maxsize_(maxsize != 0 ? maxsize : unlimited), inline_size_(inline_size) {
    if (maxsize_ <= largest_exact) {
        grows_ = false;
        power_ = static_cast<unsigned>(std::bit_width(std::max<std::size_t>(maxsize_, 2) - 1));
        if (maxsize_ != std::size_t{1} << power_) limit_ = maxsize_;
    }
    arena& memory = arena::instance();
    rings_[0].store(make_ring(0), std::memory_order_release);
    if (!counts_tasks) return;
    try {
        tasks_ = memory.offset_of(memory.create<task_ledger>());
    } catch (...) {
        memory.deallocate(rings_[0].load(std::memory_order_relaxed), message_ring::bytes(power_, inline_size_));
        throw;
    }
}

inline message_queue::~message_queue() {
    arena& memory = arena::instance();
    for (std::uint32_t i = 0; i != most_rings; ++i) {
        arena_offset const block = rings_[i].load(std::memory_order_acquire);
        if (block == 0) break;
        ring(i).free_messages();
        memory.deallocate(block, message_ring::bytes(power_ + i, inline_size_));
    }
    if (tasks_ != 0) memory.destroy(tasks());
}

inline arena_offset message_queue::make_ring(std::uint32_t number) const {
    arena& memory = arena::instance();
    arena_offset const block = memory.allocate(message_ring::bytes(power_ + number, inline_size_));
    ::new (static_cast<void*>(memory.at(block))) message_ring(power_ + number, inline_size_);
    return block;
}

inline void message_queue::append_ring(std::uint32_t after) {
    std::uint32_t const number = after + 1;
    if (number == most_rings) throw std::bad_alloc();
    if (rings_[number].load(std::memory_order_acquire) == 0) {
        arena_offset const made = make_ring(number);
        arena_offset none = 0;
        if (!rings_[number].compare_exchange_strong(none, made, std::memory_order_acq_rel)) {
            // Somebody was faster.
            arena::instance().deallocate(made, message_ring::bytes(power_ + number, inline_size_));
        }
    }
    producing_.compare_exchange_strong(after, number, std::memory_order_acq_rel);
}

template <class Write>
bool message_queue::try_put(short_participant self, Write const& write) {
    for (;;) {
        std::uint32_t const number = producing_.load(std::memory_order_acquire);
        message_ring& place = ring(number);
        if (grows_ && maxsize_ != unlimited && size() >= maxsize_) return false;
        auto const result = place.try_put(limit_, self, write);
        if (result == message_ring::outcome::done) return true;
        if (result == message_ring::outcome::ended) continue;
        if (!grows_) return false;
        if (!place.repair_tail(self)) append_ring(number);
    }
}

template <class Read>
bool message_queue::try_get(short_participant self, Read const& read) noexcept {
    return find_message([&](message_ring& place) { return place.try_get(self, read); });
}

inline bool message_queue::has_message() noexcept {
    auto const look = [](message_ring& place) { return place.look(); };
    while (!find_message(look)) {
        if (!ring(consuming_.load(std::memory_order_acquire)).repair_head()) return false;
    }
    return true;
}

template <class Look>
bool message_queue::find_message(Look const& look) noexcept {
    for (;;) {
        std::uint32_t number = consuming_.load(std::memory_order_acquire);
        message_ring& place = ring(number);
        auto result = look(place);
        if (result == message_ring::outcome::done) return true;
        if (result == message_ring::outcome::blocked) {
            if (producing_.load(std::memory_order_acquire) == number) return false;
            result = place.try_end();
            if (result == message_ring::outcome::blocked) return false;
        }
        if (result == message_ring::outcome::ended)
            consuming_.compare_exchange_strong(number, number + 1, std::memory_order_acq_rel);
    }
}

inline bool message_queue::repair(short_participant self) noexcept {
    message_ring& place = ring(consuming_.load(std::memory_order_acquire));
    bool const head = place.repair_head();
    bool const tail = place.repair_tail(self);
    if (head || tail) not_full_.notify_all();
    return head || tail;
}

template <class Write>
bool message_queue::put_message(short_participant self, Write const& write, platform::deadline until) {
    if (!try_put(self, write) && !put_later(self, write, until)) return false;
    not_empty_.notify_one(); // with a fence, as whoever watches has one between counting himself and looking
    if (watchers_.load(std::memory_order_relaxed) != 0) [[unlikely]]
        arena::instance().bell().notify_all();
    return true;
}

/// When there was no room at once.
template <class Write>
bool message_queue::put_later(short_participant self, Write const& write, platform::deadline until) {
    auto const attempt = [&] { return try_put(self, write); };
    while (repair(self)) {
        if (attempt()) return true;
    }
    if (until == platform::deadline::min()) return false;
    // Readers wake writers only now and then, so writers look for themselves, less and less often.
    platform::clock::duration nap = std::chrono::milliseconds(1);
    // Writer and reader of a full ring work on the same slot and take its cache line from each other at every step.
    // It is faster to let the reader get ahead first, as long as that does not take long.
    unsigned patience = 100;
    std::uint64_t const lead = std::min<std::uint64_t>(maxsize_ / 4, 64);
    auto const patient_attempt = [&] {
        if (!grows_ && lead > 1 && patience != 0 && !ring(0).has_room_for(lead, limit_)) {
            --patience;
            return false;
        }
        return attempt();
    };
    auto const before_sleep = [&] {
        if (repair(self)) return platform::clock::duration(0);
        return std::exchange(nap, std::min<platform::clock::duration>(2 * nap, longest_nap));
    };
    return not_full_.await(patient_attempt, until, before_sleep);
}

template <class Write>
bool message_queue::put(Write const& write, platform::deadline until) {
    auto const self = short_participant::self();
    task_ledger* const ledger = tasks();
    if (ledger == nullptr) return put_message(self, write, until);
    task_ledger::adding counted(*ledger);
    counted.added = put_message(self, write, until);
    return counted.added;
}

template <class Read>
bool message_queue::get(Read const& read, platform::deadline until) {
    auto const self = short_participant::self();
    task_ledger* const ledger = tasks();
    auto const attempt = [&] {
        if (ledger != nullptr) ledger->hold();
        if (try_get(self, read)) return true;
        if (ledger != nullptr) ledger->let_go();
        return false;
    };
    if (attempt()) {
        spin_experience::of_this_thread().gained();
    } else if (!get_later(self, attempt, until)) {
        return false;
    }
    if (maxsize_ != unlimited) wake_writers();
    return true;
}

/// When there was no message at once.
template <class Attempt>
bool message_queue::get_later(short_participant self, Attempt const& attempt, platform::deadline until) {
    if (until == platform::deadline::min()) {
        while (repair(self)) {
            if (attempt()) return true;
        }
        return false;
    }
    bool slept = false;
    auto const before_sleep = [&]() -> platform::clock::duration {
        if (repair(self)) return {};
        slept = true;
        // Somebody is just leaving the slot that has to carry the mark of the end; he will not call.
        if (producing_.load(std::memory_order_relaxed) != consuming_.load(std::memory_order_relaxed))
            return std::chrono::milliseconds(1);
        return longest_nap;
    };
    if (!not_empty_.await(attempt, until, before_sleep)) return false;
    // Woken for a message that could not be taken yet because another was still being written in front of it, a reader
    // goes back to sleep; so who gets one after a sleep looks whether there are more, and passes the call on.
    if (slept && count() != 0) not_empty_.notify_one();
    return true;
}

/// A writer that is woken for each place that becomes free fills it and sleeps again, and every message costs two
/// switches between processes. So writers are let sleep until the queue is half empty, or for the time of a wake-up.
inline void message_queue::wake_writers() noexcept {
    if (!not_full_.someone_waits()) return;
    thread_local std::uint64_t last_time = 0;
    std::uint64_t const now = platform::ticks();
    if (count() > maxsize_ / 2 && now - last_time < 50 * platform::ticks_per_microsecond()) return;
    last_time = now;
    not_full_.notify_one();
}

inline std::size_t message_queue::count() const noexcept {
    std::size_t sum = 0;
    std::uint32_t const last = producing_.load(std::memory_order_acquire);
    for (std::uint32_t i = consuming_.load(std::memory_order_acquire); i <= last; ++i) sum += ring(i).size();
    return sum;
}

inline std::size_t message_queue::size() noexcept {
    while (ring(consuming_.load(std::memory_order_acquire)).repair_head()) {
    }
    return count();
}

inline std::uint64_t message_queue::position() const noexcept {
    std::uint64_t sum = 0;
    std::uint32_t const last = producing_.load(std::memory_order_seq_cst);
    for (std::uint32_t i = 0; i <= last; ++i) sum += ring(i).position();
    return sum;
}

} // namespace multiprocessing::inline v0::detail
