#pragma once

#include <multiprocessing/detail/arena.hpp>
#include <multiprocessing/detail/fork_generation.hpp>
#include <multiprocessing/platform/clock.hpp>
#include <multiprocessing/platform/liveness.hpp>
#include <multiprocessing/platform/self.hpp>

#include <atomic>
#include <cstdint>

/// Who takes part in the shared memory, and who is dead. Whatever a process may hold when it is killed (a lock, an item
/// on the way) carries its participant, so that whoever waits for it can find out.
namespace multiprocessing::inline v0::detail {

/// A process of the tree: its seat and how often the seat had been taken. Fits into a word; 0 is nobody.
class participant {
public:
    constexpr participant() noexcept = default;
    constexpr explicit participant(std::uint64_t word) noexcept : word_(word) {}
    constexpr participant(std::size_t seat, std::uint32_t generation) noexcept
        : word_(std::uint64_t{generation} << 32 | (seat + 1)) {}

    constexpr std::uint64_t word() const noexcept { return word_; }
    constexpr std::size_t seat() const noexcept { return (word_ & 0xffffffff) - 1; }
    constexpr std::uint32_t generation() const noexcept { return static_cast<std::uint32_t>(word_ >> 32); }
    constexpr explicit operator bool() const noexcept { return word_ != 0; }
    constexpr bool operator==(participant const&) const noexcept = default;

    /// This process. It takes a seat on first use; a forked child takes its own.
    static participant self();

    /// Whether the process still runs. Exact, also for zombies; about a microsecond.
    bool is_alive() const noexcept;

    /// Its process id, 0 once the seat has been taken by another one.
    platform::process_id pid() const noexcept;

private:
    static participant sit_down();

    std::uint64_t word_ = 0;
};

// ---- implementation

// A seat's word holds the generation in its upper and the process id in its lower half.

inline participant participant::self() {
    struct cache {
        std::atomic<std::uint64_t> word{0};
        std::atomic<std::uint32_t> generation{0}; // that the word is for
        std::atomic<std::uint32_t> claimed{0};    // that a thread sits down for
    };
    static cache own;
    std::uint32_t const forks = fork_generation();
    while (own.generation.load(std::memory_order_acquire) != forks) {
        // One thread sits down for all of this process: what a lock notes as its owner must not change afterwards.
        std::uint32_t before = own.claimed.load(std::memory_order_relaxed);
        if (before == forks || !own.claimed.compare_exchange_strong(before, forks, std::memory_order_acq_rel)) {
            platform::yield();
            continue;
        }
        try {
            own.word.store(sit_down().word(), std::memory_order_relaxed);
        } catch (...) {
            own.claimed.store(before, std::memory_order_release);
            throw;
        }
        own.generation.store(forks, std::memory_order_release);
    }
    return participant(own.word.load(std::memory_order_relaxed));
}

inline participant participant::sit_down() {
    arena& memory = arena::instance();
    auto const pid = platform::current_process_id();
    for (std::size_t tried = 0; tried < seat_count; ++tried) {
        // Neighbours in time begin at different seats.
        std::size_t const number = (static_cast<std::size_t>(pid) + tried) % seat_count;
        std::uint64_t old = memory.seat(number).load(std::memory_order_acquire);
        auto const before = static_cast<platform::process_id>(old & 0xffffffff);
        if (before != 0 && platform::seat_is_taken(memory.segment(), number, before)) continue;
        std::error_code error;
        platform::take_seat(memory.segment(), number, pid, error);
        if (error) continue; // somebody was faster
        auto const generation = static_cast<std::uint32_t>(old >> 32) + 1;
        std::uint64_t const word = std::uint64_t{generation} << 32 | static_cast<std::uint32_t>(pid);
        if (memory.seat(number).compare_exchange_strong(old, word, std::memory_order_acq_rel)) {
            return {number, generation};
        }
    }
    throw ProcessError("multiprocessing: more than " + std::to_string(seat_count) + " processes in one tree");
}

inline platform::process_id participant::pid() const noexcept {
    if (word_ == 0) return 0;
    std::uint64_t const word = arena::instance().seat(seat()).load(std::memory_order_acquire);
    return word >> 32 == generation() ? static_cast<platform::process_id>(word & 0xffffffff) : 0;
}

inline bool participant::is_alive() const noexcept {
    auto const process = pid();
    return process != 0 && platform::seat_is_taken(arena::instance().segment(), seat(), process);
}

} // namespace multiprocessing::inline v0::detail
