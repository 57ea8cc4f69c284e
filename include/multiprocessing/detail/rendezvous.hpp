#pragma once

#include <multiprocessing/detail/participants.hpp>
#include <multiprocessing/detail/robust_lock.hpp>
#include <multiprocessing/detail/waiting.hpp>
#include <multiprocessing/errors.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

/// A fixed number of parties meet, and go on together: what a Barrier shares.
namespace multiprocessing::inline v0::detail {

/// Lies in the arena with `bytes_behind(parties)` behind it: who has arrived. Whoever waits looks after every nap whether
/// all of these still live; if not, the barrier breaks.
class rendezvous {
public:
    explicit rendezvous(std::uint32_t parties) noexcept;
    static std::size_t bytes_behind(std::uint32_t parties) noexcept {
        return parties * sizeof(std::atomic<std::uint64_t>);
    }

    /// Blocks until all have arrived. The last one calls `action`, if there is one, before the others go on. Returns
    /// the order of arrival. Throws BrokenBarrierError.
    template <class Action>
    std::uint32_t wait(platform::deadline until, Action const* action);

    void reset();
    void abort();
    std::uint32_t parties() const noexcept { return parties_; }
    std::uint32_t waiting() const noexcept { return broken() ? 0 : arrived_.load(std::memory_order_relaxed); }
    bool broken() const noexcept { return broken_.load(std::memory_order_relaxed) != 0; }

private:
    /// Holds the lock. A party that died while it held it has broken the barrier.
    class section {
    public:
        explicit section(rendezvous& all) : all_(all) {
            if (all_.lock_.lock() == locking::inherited) all_.break_up();
        }
        ~section() { all_.lock_.unlock(); }
        section(section const&) = delete;
        section& operator=(section const&) = delete;

    private:
        rendezvous& all_;
    };

    std::atomic<std::uint64_t>* places() noexcept { return reinterpret_cast<std::atomic<std::uint64_t>*>(this + 1); }
    std::uint32_t cycle() const noexcept {
        return static_cast<std::uint32_t>(cycles_.load(std::memory_order_acquire) >> 32);
    }
    bool has_passed(std::uint32_t cycle) const noexcept;
    void await_end(std::uint32_t cycle, platform::deadline until);
    bool all_live() noexcept;

    // Only in a section.
    void end_cycle(bool passed) noexcept;
    void break_up() noexcept;

    robust_lock lock_;
    std::atomic<std::uint32_t> arrived_{0};
    std::atomic<std::uint32_t> broken_{0};
    // Upper half: how many cycles have ended. Lower half: for each of the last 32, the last one in bit 0, whether the
    // parties have met; so that one who wakes up late learns how his has ended.
    std::atomic<std::uint64_t> cycles_{0};
    event_count ended_;
    std::uint32_t parties_;
};

// ---- implementation

inline rendezvous::rendezvous(std::uint32_t parties) noexcept : ended_(), parties_(parties) {
    for (std::uint32_t i = 0; i < parties; ++i) ::new (static_cast<void*>(places() + i)) std::atomic<std::uint64_t>(0);
}

template <class Action>
std::uint32_t rendezvous::wait(platform::deadline until, Action const* action) {
    auto const self = participant::self().word();
    std::uint32_t index = 0;
    std::uint32_t mine = 0;
    for (bool entered = false; !entered;) {
        {
            section const guard(*this);
            if (broken()) throw BrokenBarrierError();
            mine = cycle();
            index = arrived_.load(std::memory_order_relaxed);
            entered = index < parties_;
            if (entered) {
                places()[index].store(self, std::memory_order_relaxed);
                arrived_.store(index + 1, std::memory_order_relaxed);
                if (index + 1 == parties_ && action == nullptr) {
                    end_cycle(true);
                    return index;
                }
            }
        }
        if (!entered) await_end(mine, platform::never); // the action of the cycle before still runs
    }
    if (index + 1 < parties_) {
        await_end(mine, until);
    } else {
        try {
            (*action)();
        } catch (...) {
            section const guard(*this);
            if (cycle() == mine) break_up();
            throw;
        }
        section const guard(*this);
        if (cycle() == mine) end_cycle(true);
    }
    if (!has_passed(mine)) throw BrokenBarrierError();
    return index;
}

inline void rendezvous::await_end(std::uint32_t mine, platform::deadline until) {
    auto const has_ended = [&] { return cycle() != mine; };
    while (!ended_.await(has_ended, std::min(until, platform::clock::now() + longest_nap))) {
        section const guard(*this);
        if (has_ended()) return;
        bool const late = platform::clock::now() >= until;
        bool const all_here = arrived_.load(std::memory_order_relaxed) == parties_; // the action runs: nobody is late
        if (!all_live() || (late && !all_here)) {
            break_up();
            return;
        }
        if (late) until = platform::never;
    }
}

inline bool rendezvous::all_live() noexcept {
    std::uint32_t const arrived = arrived_.load(std::memory_order_relaxed);
    return std::all_of(places(), places() + arrived, [](auto const& place) {
        return participant(place.load(std::memory_order_relaxed)).is_alive();
    });
}

inline bool rendezvous::has_passed(std::uint32_t cycle) const noexcept {
    std::uint64_t const all = cycles_.load(std::memory_order_acquire);
    auto const later = static_cast<std::uint32_t>(all >> 32) - cycle; // at least 1
    return later > 32 || (all >> (later - 1) & 1) != 0;
}

inline void rendezvous::end_cycle(bool passed) noexcept {
    std::uint64_t const all = cycles_.load(std::memory_order_relaxed);
    arrived_.store(0, std::memory_order_relaxed);
    cycles_.store(((all >> 32) + 1) << 32 | ((all << 1) & 0xffff'ffff) | (passed ? 1 : 0), std::memory_order_release);
    ended_.notify_all();
}

inline void rendezvous::break_up() noexcept {
    broken_.store(1, std::memory_order_relaxed);
    end_cycle(false);
}

inline void rendezvous::reset() {
    section const guard(*this);
    if (arrived_.load(std::memory_order_relaxed) != 0) end_cycle(false);
    broken_.store(0, std::memory_order_relaxed);
}

inline void rendezvous::abort() {
    section const guard(*this);
    break_up();
}

} // namespace multiprocessing::inline v0::detail
