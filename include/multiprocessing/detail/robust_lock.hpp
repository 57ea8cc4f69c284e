#pragma once

#include <multiprocessing/detail/participants.hpp>
#include <multiprocessing/detail/waiting.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/platform/park.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

/// The lock in shared memory that all others are made of, and that does not stay locked when its holder is killed.
namespace multiprocessing::inline v0::detail {

/// A number of the calling thread that no other thread of this process ever has; never 0. A forked child keeps it for
/// its one thread.
inline std::uint32_t this_thread_number() noexcept;

/// Whether this is the first thread of its process.
inline bool is_main_thread() noexcept;

/// How an attempt to lock ended.
enum class locking {
    timed_out,
    locked,
    inherited, ///< locked, but the holder before had died: what the lock protects may be half changed
};

/// Belongs to the process, and the thread, that locked it. The owner is a part of the word that is locked, so there is
/// no instruction at which a kill would leave it locked by nobody. Whoever waits looks after every nap whether the
/// owner lives. All zero is the initial state.
class robust_lock {
public:
    /// Blocks at most until the deadline; deadline::min() is one try.
    locking lock(platform::deadline until = platform::never);
    /// The same, but the thread that holds it locks it once more.
    locking lock_again(platform::deadline until = platform::never);

    /// Unlocks, whoever holds it. False if nobody does.
    bool unlock() noexcept;
    /// The counterpart of lock_again. False if this thread does not hold it.
    bool unlock_once();

    bool is_locked() const noexcept { return word_.load(std::memory_order_relaxed) != 0; }
    /// Whether the calling thread holds it, or at least another one of this process.
    bool is_mine() const;
    bool is_of_this_process() const;

    /// How often lock_again has locked it: may be read and set by the holder.
    std::uint32_t depth() const noexcept { return depth_; }
    void depth(std::uint32_t depth) noexcept { depth_ = depth; }

    /// For the holder: whoever sleeps on `word` is woken when the lock is unlocked, since he needs it. The word begins a
    /// block of the arena; it may be gone by then.
    void wake_at_unlock(std::atomic<std::uint32_t>& word) noexcept;

    /// For who inherited it: unlocks, and throws OwnerDiedError.
    [[noreturn]] void give_up_and_throw();
    /// For who keeps what he inherited.
    OwnerDiedError owner_died() const;

private:
    // The word: 0, or the owner's seat plus 1 (13 bits), the generation of that seat (18 bits), and whether somebody
    // sleeps. A seat comes to the same 18 bits again after it was taken a quarter of a million times.
    static constexpr std::uint32_t sleepers = 0x8000'0000;
    static constexpr std::uint32_t seat_bits = 13;
    static_assert(seat_count < 1 << seat_bits);

    static std::uint64_t this_holder();
    static std::uint64_t find_this_holder();
    static std::uint32_t word_of(std::uint64_t holder) noexcept { return static_cast<std::uint32_t>(holder >> 32); }
    static participant owner_of(std::uint32_t word) noexcept;
    static void wake(std::uint32_t sleeper) noexcept;
    bool try_to_take(std::uint32_t word) noexcept;
    locking lock_slowly(std::uint32_t self, platform::deadline until);

    std::atomic<std::uint32_t> word_{0};
    std::uint32_t depth_ = 0;
    std::atomic<std::uint64_t> holder_{0}; // process and thread, 0 again before the word is unlocked
    std::uint32_t deceased_ = 0;           // process id of the last owner that died
    std::uint32_t sleeper_ = 0;            // the block of who is to be woken
};

// ---- implementation

/// The calling thread as the locks know it.
struct thread_identity {
    std::uint32_t number = 0;
    std::uint32_t numbered_at = 0; // the generation of forks
    std::uint32_t known_at = 0;    // the same, of what follows
    std::uint64_t holder = 0;      // process and number

    static thread_identity& of_this_thread() noexcept {
        thread_local constinit thread_identity mine;
        return mine;
    }
    MULTIPROCESSING_ONE_PER_PROCESS static std::uint32_t next_number() noexcept {
        static std::atomic<std::uint32_t> last{0};
        return last.fetch_add(1, std::memory_order_relaxed) + 1;
    }
};

inline std::uint32_t this_thread_number() noexcept {
    auto& mine = thread_identity::of_this_thread();
    if (mine.number == 0) {
        mine.number = thread_identity::next_number();
        mine.numbered_at = fork_generation();
    }
    return mine.number;
}

/// Static objects are made by the first thread.
inline std::uint32_t const main_thread_number = this_thread_number();

inline bool is_main_thread() noexcept {
    // A thread that has gone through a fork is the only one that did.
    return this_thread_number() == main_thread_number ||
           thread_identity::of_this_thread().numbered_at != fork_generation();
}

inline std::uint64_t robust_lock::this_holder() {
    auto const& mine = thread_identity::of_this_thread();
    if (mine.known_at == fork_generation()) [[likely]]
        return mine.holder;
    return find_this_holder();
}

inline std::uint64_t robust_lock::find_this_holder() {
    auto& mine = thread_identity::of_this_thread();
    std::uint64_t const self = participant::self().word();
    std::uint32_t const word =
        (static_cast<std::uint32_t>(self) | static_cast<std::uint32_t>(self >> 32) << seat_bits) & ~sleepers;
    mine.holder = std::uint64_t{word} << 32 | this_thread_number();
    mine.known_at = fork_generation();
    return mine.holder;
}

inline participant robust_lock::owner_of(std::uint32_t word) noexcept {
    std::uint32_t const seat = (word & ((1U << seat_bits) - 1)) - 1;
    auto const generation =
        static_cast<std::uint32_t>(arena::instance().seat(seat).load(std::memory_order_acquire) >> 32);
    bool const still_his = ((generation << seat_bits ^ word) & ~sleepers) >> seat_bits == 0;
    return still_his ? participant(seat, generation) : participant();
}

inline locking robust_lock::lock(platform::deadline until) {
    std::uint64_t const holder = this_holder();
    locking result = locking::locked;
    if (!try_to_take(word_of(holder))) [[unlikely]] {
        result = lock_slowly(word_of(holder), until);
        if (result == locking::timed_out) return result;
    }
    holder_.store(holder, std::memory_order_relaxed);
    return result;
}

inline locking robust_lock::lock_again(platform::deadline until) {
    std::uint64_t const holder = this_holder();
    locking result = locking::locked;
    if (!try_to_take(word_of(holder))) [[unlikely]] {
        if (holder_.load(std::memory_order_relaxed) == holder) {
            ++depth_;
            return result;
        }
        result = lock_slowly(word_of(holder), until);
        if (result == locking::timed_out) return result;
    }
    holder_.store(holder, std::memory_order_relaxed);
    depth_ = 1;
    return result;
}

inline bool robust_lock::try_to_take(std::uint32_t word) noexcept {
    std::uint32_t free = 0;
    return word_.compare_exchange_strong(free, word, std::memory_order_acquire, std::memory_order_relaxed);
}

inline locking robust_lock::lock_slowly(std::uint32_t self, platform::deadline until) {
    bool const once = until == platform::deadline::min();
    if (!once && spin_experience::of_this_thread().should_spin()) {
        // A lock is held for a short time or for a long one; only the short time is worth spinning for.
        std::uint64_t const end = platform::ticks() + 2 * platform::ticks_per_microsecond();
        do {
            platform::relax();
            if (!is_locked() && try_to_take(self)) return locking::locked;
        } while (platform::ticks() < end);
    }
    std::uint32_t with_sleepers = self;
    platform::deadline look_at = platform::never; // when to find out whether the owner lives
    for (;;) {
        if (!is_locked() && try_to_take(with_sleepers)) return locking::locked;
        std::uint32_t seen = word_.load(std::memory_order_relaxed);
        if (seen == 0) continue;
        std::uint32_t const owner = seen & ~sleepers;
        auto const now = once ? until : platform::clock::now();
        bool const late = now >= until;
        if (look_at == platform::never) look_at = now + longest_nap;
        if (late || now >= look_at) {
            look_at = now + longest_nap;
            participant const process = owner_of(owner);
            auto const pid = process.pid(); // is forgotten when somebody else takes the seat
            if (owner != self && !process.is_alive()) {
                if (!word_.compare_exchange_strong(
                        seen, self | sleepers, std::memory_order_acquire, std::memory_order_relaxed)) {
                    continue;
                }
                // Mended while it is ours: if we are killed as well, the next one finds the same.
                depth_ = 0;
                deceased_ = static_cast<std::uint32_t>(pid);
                return locking::inherited;
            }
        }
        if (late) return locking::timed_out;
        if ((seen & sleepers) == 0 &&
            !word_.compare_exchange_strong(
                seen, seen | sleepers, std::memory_order_relaxed, std::memory_order_relaxed)) {
            continue;
        }
        with_sleepers = self | sleepers; // there may be more who sleep
        platform::park(word_, owner | sleepers, std::min(until, look_at));
    }
}

inline bool robust_lock::unlock() noexcept {
    holder_.store(0, std::memory_order_relaxed);
    std::uint32_t const sleeper = std::exchange(sleeper_, 0);
    std::uint32_t const before = word_.exchange(0, std::memory_order_release);
    // A process that is killed before it wakes a sleeper costs that one the rest of its nap.
    if ((before & sleepers) != 0) platform::unpark(word_, 1);
    if (sleeper != 0) [[unlikely]]
        wake(sleeper);
    return before != 0;
}

inline void robust_lock::wake_at_unlock(std::atomic<std::uint32_t>& word) noexcept {
    if (sleeper_ != 0) wake(sleeper_);
    sleeper_ = static_cast<std::uint32_t>(arena::instance().offset_of(&word) / arena_alignment);
}

inline void robust_lock::wake(std::uint32_t sleeper) noexcept {
    platform::unpark(*arena::instance().at<std::atomic<std::uint32_t>>(sleeper * arena_offset{arena_alignment}), 1);
}

inline bool robust_lock::unlock_once() {
    if (!is_mine() || depth_ == 0) return false;
    if (--depth_ == 0) unlock();
    return true;
}

inline bool robust_lock::is_of_this_process() const {
    return (word_.load(std::memory_order_relaxed) & ~sleepers) == word_of(this_holder());
}

inline bool robust_lock::is_mine() const { return holder_.load(std::memory_order_relaxed) == this_holder(); }

inline void robust_lock::give_up_and_throw() {
    auto error = owner_died();
    unlock();
    throw error;
}

inline OwnerDiedError robust_lock::owner_died() const {
    std::string const who = deceased_ != 0 ? "process " + std::to_string(deceased_) : std::string("the process");
    return OwnerDiedError(who + " died while it held the lock");
}

} // namespace multiprocessing::inline v0::detail
