#pragma once

#include <multiprocessing/platform/clock.hpp>
#include <multiprocessing/platform/park.hpp>
#include <multiprocessing/platform/self.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

/// How everything in this library waits: look, spin briefly, then sleep.
///
/// Waking another processor takes as long as thousands of hand-overs between processes that are awake, so a waiter
/// first spins for about the price of one wake-up. It yields while it spins, since the one it waits for may need this
/// very processor; but a yield that comes back late has lost its time to somebody who computes, and unless enough
/// arrived meanwhile to pay for it (the gain rule), waiters stop spinning for a while.
namespace multiprocessing::inline v0::detail {

/// The longest sleep in one piece. A wake-up may die with the process that owed it, therefore a sleeper looks around
/// now and then whatever happens; at this rate that costs nothing.
inline constexpr auto longest_nap = std::chrono::milliseconds(100);

/// A place in shared memory where processes wait for something to change. All zero is its initial state. It holds no
/// state of a single waiter: a killed one leaves at most a superfluous wake-up behind.
class event_count {
public:
    /// Waits until `attempt()` returns true; at most until the deadline. The state that `attempt` looks at has to be
    /// changed before notify is called. Returns what the last attempt returned.
    template <class Attempt>
    bool await(Attempt&& attempt, platform::deadline until) {
        return await(attempt, until, [] { return longest_nap; });
    }

    /// The same for who has to look at more than the state before he sleeps: `before_sleep()` says how long the sleep
    /// may be; zero: something has changed, there shall be another attempt at once.
    template <class Attempt, class BeforeSleep>
    bool await(Attempt&& attempt, platform::deadline until, BeforeSleep&& before_sleep);

    /// Whether there is a waiter that is not being woken already, for who has reasons to put off waking him.
    bool someone_waits() const noexcept {
        std::atomic_thread_fence(std::memory_order_seq_cst);
        std::uint64_t const state = sleepers_.load(std::memory_order_relaxed);
        return static_cast<std::uint32_t>(state) > state >> 32;
    }

    /// Wakes one waiter, if there is one that is not being woken already. Cheap without waiters.
    void notify_one() noexcept;
    void notify_all() noexcept;

private:
    void leave() noexcept;

    /// Counted as a sleeper for as long as it exists, also if an attempt throws.
    class sleeper {
    public:
        explicit sleeper(event_count& place) noexcept : place_(place) {
            place_.sleepers_.fetch_add(1, std::memory_order_seq_cst);
            // Before the attempt, as notify has one after the change.
            std::atomic_thread_fence(std::memory_order_seq_cst);
        }
        ~sleeper() { place_.leave(); }
        sleeper(sleeper const&) = delete;
        sleeper& operator=(sleeper const&) = delete;

    private:
        event_count& place_;
    };

    // Low half: how many sleep or are about to. High half: how many of these have been signalled; never more, so that
    // there is at most one wake-up on the way to each.
    std::atomic<std::uint64_t> sleepers_;
    std::atomic<std::uint32_t> epoch_;
};

/// What a thread has learnt about spinning.
class spin_experience {
public:
    static spin_experience& of_this_thread() noexcept {
        thread_local spin_experience experience;
        return experience;
    }

    /// Called once per wait that did not succeed at once.
    bool should_spin() noexcept;
    /// Called for each thing that was there at once: what a long yield has brought.
    void gained() noexcept { ++gains_; }

    /// Whether this process may use one processor only, which the other side is likely to need as well.
    bool is_confined() noexcept;

    /// Spins until `attempt()` succeeds or spinning is no longer worth it.
    template <class Attempt>
    bool spin(Attempt&& attempt) noexcept(noexcept(attempt()));

private:
    static constexpr std::uint64_t budget_us = 50;     // about one wake-up of another processor
    static constexpr std::uint64_t long_yield_us = 20; // somebody else computes here
    static constexpr std::uint64_t worth_us = 3;       // what a message costs that is waited for asleep
    static constexpr std::uint64_t forget_us = 1000;
    static constexpr std::uint64_t recount_us = 1'000'000;
    static constexpr unsigned worst = 4;
    static constexpr unsigned looks = 64; // between two yields
    static constexpr unsigned looks_if_confined = 4;

    void punish() noexcept {
        quiet_until_ = platform::ticks() + ((budget_us << penalty_) * platform::ticks_per_microsecond());
        penalty_ = std::min(penalty_ + 1, worst);
    }

    std::uint64_t quiet_until_ = 0; // do not spin before this tick
    std::uint64_t lost_ = 0;        // ticks that the last long yield took; 0: settled
    std::uint64_t gains_ = 0;       // things received since
    unsigned penalty_ = 0;
    std::uint64_t looked_at_ = 0; // when the processors were counted
    bool confined_ = false;
};

/// For who has just given a reader so many bytes. A reader that needs the same processor had better have them now: it would
/// have to get them from memory when more has been written after them.
inline void let_reader_run(std::size_t size) noexcept;

// ---- implementation

inline bool spin_experience::is_confined() noexcept {
    // It may change, but asking costs more than a wait.
    if (platform::ticks() - looked_at_ > recount_us * platform::ticks_per_microsecond()) {
        confined_ = platform::process_cpu_count() < 2;
        looked_at_ = platform::ticks();
    }
    return confined_;
}

inline bool spin_experience::should_spin() noexcept {
    std::uint64_t const now = platform::ticks();
    std::uint64_t const rate = platform::ticks_per_microsecond();
    if (lost_ != 0) {
        if (gains_ * worth_us * rate < lost_) punish();
        lost_ = 0;
    }
    if (now > quiet_until_ + forget_us * rate) penalty_ = 0;
    return now >= quiet_until_;
}

template <class Attempt>
bool spin_experience::spin(Attempt&& attempt) noexcept(noexcept(attempt())) {
    std::uint64_t const rate = platform::ticks_per_microsecond();
    unsigned const looks_per_yield = is_confined() ? looks_if_confined : looks;
    std::uint64_t begin = platform::ticks();
    for (unsigned round = 1;; ++round) {
        platform::relax();
        if (attempt()) {
            if (lost_ == 0) penalty_ = 0;
            return true;
        }
        if (round % looks_per_yield == 0) {
            std::uint64_t const before = platform::ticks();
            platform::yield();
            std::uint64_t const yielded = platform::ticks() - before;
            if (yielded > long_yield_us * rate) {
                lost_ = yielded;
                gains_ = 0;
                return attempt();
            }
        }
        if (platform::ticks() - begin > budget_us * rate) break;
    }
    punish();
    return false;
}

inline void let_reader_run(std::size_t size) noexcept {
    constexpr std::size_t large = 64 * 1024; // takes far longer to write than a yield does
    if (size >= large && spin_experience::of_this_thread().is_confined()) platform::yield();
}

template <class Attempt, class BeforeSleep>
bool event_count::await(Attempt&& attempt, platform::deadline until, BeforeSleep&& before_sleep) {
    auto& experience = spin_experience::of_this_thread();
    if (attempt()) {
        experience.gained();
        return true;
    }
    if (until == platform::deadline::min()) return false;
    if (experience.should_spin() && experience.spin(attempt)) return true;
    for (;;) {
        {
            // The epoch is read before the sleepers are counted: a signal that another waiter used up must not be
            // missed.
            std::uint32_t const seen = epoch_.load(std::memory_order_seq_cst);
            sleeper const counted(*this);
            if (attempt()) return true;
            auto const nap = std::min<platform::clock::duration>(before_sleep(), longest_nap);
            if (nap.count() > 0) {
                auto const now = platform::clock::now();
                if (now < until) platform::park(epoch_, seen, std::min(until, now + nap));
            }
        }
        if (attempt()) return true;
        if (until != platform::never && platform::clock::now() >= until) return false;
    }
}

inline void event_count::notify_one() noexcept {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    std::uint64_t state = sleepers_.load(std::memory_order_relaxed);
    while (static_cast<std::uint32_t>(state) > state >> 32) {
        if (sleepers_.compare_exchange_weak(state, state + (std::uint64_t{1} << 32), std::memory_order_seq_cst)) {
            epoch_.fetch_add(1, std::memory_order_seq_cst);
            platform::unpark(epoch_, 1);
            return;
        }
    }
}

inline void event_count::notify_all() noexcept {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    std::uint64_t state = sleepers_.load(std::memory_order_relaxed);
    while (static_cast<std::uint32_t>(state) > state >> 32) {
        std::uint64_t const all = static_cast<std::uint32_t>(state);
        if (sleepers_.compare_exchange_weak(state, all | all << 32, std::memory_order_seq_cst)) {
            epoch_.fetch_add(1, std::memory_order_seq_cst);
            platform::unpark(epoch_, platform::everybody);
            return;
        }
    }
}

inline void event_count::leave() noexcept {
    std::uint64_t state = sleepers_.load(std::memory_order_relaxed);
    std::uint64_t after = 0;
    do {
        after = state - 1;
        if (state >> 32 != 0) after -= std::uint64_t{1} << 32;
    } while (!sleepers_.compare_exchange_weak(state, after, std::memory_order_seq_cst));
}

} // namespace multiprocessing::inline v0::detail
