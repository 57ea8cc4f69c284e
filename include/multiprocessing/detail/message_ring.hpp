#pragma once

#include <multiprocessing/detail/arena.hpp>
#include <multiprocessing/detail/participants.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>

/// A ring of messages in shared memory for any number of writers and readers, of which any may be killed anywhere.
///
/// The messages of a ring are numbered; message n lies in slot n % capacity. A slot is one word and room for a message.
/// The word says all there is to know: which round of the ring it is in, whether it is free, being written, full, or
/// being read, and in the second and fourth case which process is at it. One compare-and-swap takes the slot and signs
/// the word, so there is no moment at which a slot belongs to a process that nobody could name. Whoever stands before a
/// slot that does not get on can therefore ask whether its owner is alive, and if not, go on in its place:
///
///   a writer died       the slot becomes a hole: free for the next round, readers pass over it;
///   a reader died       the slot becomes free, its message is lost with the reader.
///
/// `head` and `tail` only say where to look first. They are moved by whoever finds that the slot they point to has been
/// taken, so it does not matter when the one who took it dies before he has moved them. A slot can be taken only by
/// someone who saw the counter there, hence in order, and the round in the word makes every value unique: who was
/// asleep for a long time fails to swap and looks again.
namespace multiprocessing::inline v0::detail {

/// Messages up to this size lie in the slot, larger ones in a block of the arena.
inline constexpr std::size_t largest_inline_message = 256;

/// A process, short enough to share a word with other things. Only asked about while it holds something.
class short_participant {
public:
    static constexpr unsigned bits = 29;

    constexpr explicit short_participant(std::uint32_t value) noexcept : value_(value) {}
    static short_participant self() {
        participant const whole = participant::self();
        return short_participant(
            (whole.generation() << seat_bits | static_cast<std::uint32_t>(whole.seat())) & ((1U << bits) - 1));
    }

    constexpr std::uint32_t value() const noexcept { return value_; }
    bool is_alive() const noexcept {
        std::uint32_t const seat = value_ % seat_count;
        std::uint64_t const word = arena::instance().seat(seat).load(std::memory_order_acquire);
        auto const generation = static_cast<std::uint32_t>(word >> 32);
        std::uint32_t const difference = (generation ^ (value_ >> seat_bits)) & ((1U << (bits - seat_bits)) - 1);
        if (difference != 0) return false; // somebody else sits there now
        return participant(seat, generation).is_alive();
    }

private:
    static constexpr auto seat_bits = static_cast<unsigned>(std::bit_width(seat_count - 1));
    static_assert(std::has_single_bit(seat_count) && seat_bits < bits);

    std::uint32_t value_;
};

/// What is in a slot.
enum class slot_state : std::uint32_t {
    free,    ///< for the message of this round
    writing, ///< taken for it
    full,    ///< there it is
    reading, ///< and somebody takes it out
    ended    ///< there will be no messages from here on: the next ring has them
};

/// The word of a slot: round, owner, state.
class slot_word {
public:
    constexpr explicit slot_word(std::uint64_t value) noexcept : value_(value) {}
    constexpr slot_word(std::uint32_t round, slot_state state, std::uint32_t owner = 0) noexcept
        : value_(std::uint64_t{round} << 32 | std::uint64_t{owner} << state_bits | static_cast<std::uint32_t>(state)) {}

    constexpr std::uint64_t value() const noexcept { return value_; }
    constexpr slot_state state() const noexcept { return static_cast<slot_state>(value_ & ((1U << state_bits) - 1)); }
    constexpr short_participant owner() const noexcept {
        return short_participant(static_cast<std::uint32_t>(value_ & 0xffffffff) >> state_bits);
    }
    /// How many rounds this word is ahead of `round`; negative: behind. Rounds are counted modulo 2^32.
    constexpr std::int32_t ahead_of(std::uint32_t round) const noexcept {
        return static_cast<std::int32_t>(static_cast<std::uint32_t>(value_ >> 32) - round);
    }
    constexpr bool operator==(slot_word const&) const noexcept = default;

private:
    static constexpr unsigned state_bits = 32 - short_participant::bits;

    std::uint64_t value_;
};

/// Where a message is that does not fit into its slot.
struct block_reference {
    arena_offset block = 0;
    std::size_t block_size = 0; // as asked for when it was allocated
};

/// A word, and behind it room for one message. The one who has signed the word may use the rest.
class message_slot {
public:
    explicit message_slot(slot_word initial) noexcept : word(initial.value()) {}

    std::atomic<std::uint64_t> word;

    std::byte* message() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
    std::size_t size() const noexcept { return size_ & ~in_block; }
    bool is_in_block() const noexcept { return (size_ & in_block) != 0; }
    block_reference block() noexcept { return *std::launder(reinterpret_cast<block_reference*>(message())); }

    /// To be followed by filling message().
    void set_inline(std::size_t size) noexcept { size_ = size; }
    void set_block(std::size_t size, block_reference reference) noexcept {
        size_ = size | in_block;
        ::new (static_cast<void*>(message())) block_reference(reference);
    }
    void free_block() noexcept {
        if (is_in_block()) arena::instance().deallocate(block().block, block().block_size);
    }

private:
    static constexpr std::size_t in_block = std::size_t{1} << 63;

    std::size_t size_ = 0;
};

class message_ring {
public:
    enum class outcome {
        done,
        blocked, ///< no place, or no message, for the time being
        ended    ///< go to the next ring
    };

    /// A ring of 2^power slots, each with room for `inline_size` bytes, in a block of the arena of `bytes()`.
    message_ring(unsigned power, std::size_t inline_size) noexcept;
    static std::size_t bytes(unsigned power, std::size_t inline_size) noexcept {
        return sizeof(message_ring) + (stride_for(inline_size) << power);
    }
    /// Gives back the blocks of the messages that are left. For the last one who knows the ring.
    void free_messages() noexcept;

    /// Takes a slot, lets `write(slot)` fill it, and publishes it. `limit`: most messages at a time; 0: as many as fit.
    template <class Write>
    outcome try_put(std::uint64_t limit, short_participant self, Write const& write) noexcept;

    /// Takes the next message, lets `read(slot)` copy it, and frees the slot.
    template <class Read>
    outcome try_get(short_participant self, Read const& read) noexcept;

    /// done: a message stands where the next one would be taken.
    outcome look() noexcept;

    /// Says to writers and readers that the next ring goes on from here. done: there is something to be read first;
    /// blocked: somebody is at the slot that would have to carry the mark.
    outcome try_end() noexcept;

    /// Go on in place of dead processes: at the slot of the next message to be read, or to be written. Both return
    /// whether anything has changed.
    bool repair_head() noexcept;
    bool repair_tail(short_participant self) noexcept;

    /// Whether there is room for so many messages at least. Looks only at the slot of the one that has to be read for
    /// it.
    bool has_room_for(std::uint64_t count, std::uint64_t limit) noexcept {
        std::uint64_t const end = tail_.load(std::memory_order_acquire) + count;
        std::uint64_t const most = limit != 0 ? limit : capacity();
        return end <= most || has_reader(end - most - 1);
    }

    /// Messages, counted as one by those that are put and taken meanwhile.
    std::size_t size() const noexcept {
        std::uint64_t const head = head_.load(std::memory_order_acquire);
        std::uint64_t const tail = tail_.load(std::memory_order_acquire);
        return tail > head ? static_cast<std::size_t>(tail - head) : 0;
    }
    std::size_t capacity() const noexcept { return std::size_t{1} << power_; }
    /// A number that grows with every message that is put or taken.
    std::uint64_t position() const noexcept {
        return head_.load(std::memory_order_seq_cst) + tail_.load(std::memory_order_seq_cst);
    }

private:
    /// Several small slots share a line of the cache, and none lies in two.
    static std::size_t stride_for(std::size_t inline_size) noexcept {
        std::size_t const size = sizeof(message_slot) + std::max(inline_size, sizeof(block_reference));
        if (size <= arena_alignment) return std::bit_ceil(size);
        return (size + arena_alignment - 1) / arena_alignment * arena_alignment;
    }

    message_slot& slot(std::uint64_t number) noexcept {
        return *std::launder(reinterpret_cast<message_slot*>(
            reinterpret_cast<std::byte*>(this + 1) + (number & (capacity() - 1)) * stride_));
    }
    std::uint32_t round_of(std::uint64_t number) const noexcept { return static_cast<std::uint32_t>(number >> power_); }
    static slot_word load(message_slot const& slot) noexcept {
        return slot_word(slot.word.load(std::memory_order_acquire));
    }
    static bool swap(message_slot& slot, slot_word from, slot_word to) noexcept {
        auto value = from.value();
        return slot.word.compare_exchange_strong(
            value, to.value(), std::memory_order_acq_rel, std::memory_order_relaxed);
    }
    /// Message `number` has been taken: the counter must not stay there.
    static void pass(std::atomic<std::uint64_t>& counter, std::uint64_t number) noexcept {
        counter.compare_exchange_strong(number, number + 1, std::memory_order_acq_rel, std::memory_order_relaxed);
    }
    bool has_reader(std::uint64_t number) noexcept;

    // Two cache lines each: processors fetch them in pairs.
    unsigned power_;
    std::size_t stride_;
    [[maybe_unused]] std::byte padding1_[128 - 2 * sizeof(std::size_t)];
    std::atomic<std::uint64_t> tail_{0}; // the next message to be written
    [[maybe_unused]] std::byte padding2_[128 - sizeof(std::uint64_t)];
    std::atomic<std::uint64_t> head_{0}; // the next message to be read
    [[maybe_unused]] std::byte padding3_[128 - sizeof(std::uint64_t)];
};

// ---- implementation

inline message_ring::message_ring(unsigned power, std::size_t inline_size) noexcept
    : power_(power), stride_(stride_for(inline_size)) {
    static_assert(sizeof(message_ring) % arena_alignment == 0);
    std::byte* const first = reinterpret_cast<std::byte*>(this + 1);
    for (std::size_t i = 0; i != capacity(); ++i)
        ::new (static_cast<void*>(first + i * stride_)) message_slot(slot_word(0, slot_state::free));
}

inline void message_ring::free_messages() noexcept {
    for (std::uint64_t i = 0; i != capacity(); ++i) {
        auto const state = load(slot(i)).state();
        if (state == slot_state::full || state == slot_state::reading) slot(i).free_block();
    }
}

template <class Write>
message_ring::outcome message_ring::try_put(std::uint64_t limit, short_participant self, Write const& write) noexcept {
    for (;;) {
        std::uint64_t const number = tail_.load(std::memory_order_acquire);
        std::uint32_t const round = round_of(number);
        message_slot& place = slot(number);
        slot_word const word = load(place);
        if (word == slot_word(round, slot_state::free)) {
            if (limit != 0 && number >= limit && !has_reader(number - limit)) return outcome::blocked;
            if (!swap(place, word, slot_word(round, slot_state::writing, self.value()))) continue;
            pass(tail_, number);
            write(place);
            place.word.store(slot_word(round, slot_state::full).value(), std::memory_order_release);
            return outcome::done;
        }
        if (word == slot_word(round, slot_state::ended)) return outcome::ended;
        if (word.ahead_of(round) < 0) { // still the message of the round before
            if (tail_.load(std::memory_order_acquire) == number) return outcome::blocked;
        } else {
            pass(tail_, number); // somebody was faster
        }
    }
}

template <class Read>
message_ring::outcome message_ring::try_get(short_participant self, Read const& read) noexcept {
    for (;;) {
        std::uint64_t const number = head_.load(std::memory_order_acquire);
        std::uint32_t const round = round_of(number);
        message_slot& place = slot(number);
        slot_word const word = load(place);
        if (word == slot_word(round, slot_state::full)) {
            if (!swap(place, word, slot_word(round, slot_state::reading, self.value()))) continue;
            pass(head_, number);
            read(place);
            place.word.store(slot_word(round + 1, slot_state::free).value(), std::memory_order_release);
            return outcome::done;
        }
        if (word.ahead_of(round) > 0 || (word.ahead_of(round) == 0 && word.state() == slot_state::reading)) {
            pass(head_, number); // somebody was faster
        } else if (word == slot_word(round, slot_state::ended)) {
            return outcome::ended;
        } else if (head_.load(std::memory_order_acquire) == number) {
            return outcome::blocked; // free or being written
        }
    }
}

inline message_ring::outcome message_ring::look() noexcept {
    for (;;) {
        std::uint64_t const number = head_.load(std::memory_order_acquire);
        std::uint32_t const round = round_of(number);
        slot_word const word = load(slot(number));
        if (word == slot_word(round, slot_state::full)) return outcome::done;
        if (word == slot_word(round, slot_state::ended)) return outcome::ended;
        if (has_reader(number)) {
            pass(head_, number);
        } else if (head_.load(std::memory_order_acquire) == number) {
            return outcome::blocked; // free or being written
        }
    }
}

inline message_ring::outcome message_ring::try_end() noexcept {
    std::uint64_t const number = head_.load(std::memory_order_acquire);
    std::uint32_t const round = round_of(number);
    slot_word const ended(round, slot_state::ended);
    slot_word const word = load(slot(number));
    if (word == ended) return outcome::ended;
    if (word == slot_word(round, slot_state::free))
        return swap(slot(number), word, ended) ? outcome::ended : outcome::done;
    bool const is_taken =
        word.ahead_of(round) < 0 || (word.ahead_of(round) == 0 && word.state() == slot_state::writing);
    return is_taken ? outcome::blocked : outcome::done;
}

/// Whether a reader has taken this message already.
inline bool message_ring::has_reader(std::uint64_t number) noexcept {
    slot_word const word = load(slot(number));
    auto const ahead = word.ahead_of(round_of(number));
    return ahead > 0 || (ahead == 0 && word.state() == slot_state::reading);
}

inline bool message_ring::repair_head() noexcept {
    std::uint64_t const number = head_.load(std::memory_order_acquire);
    std::uint32_t const round = round_of(number);
    message_slot& place = slot(number);
    slot_word const word = load(place);
    if (has_reader(number)) {
        pass(head_, number);
        return true;
    }
    if (word.ahead_of(round) != 0 || word.state() != slot_state::writing || word.owner().is_alive()) return false;
    pass(tail_, number); // it may have died before it could
    swap(place, word, slot_word(round + 1, slot_state::free));
    pass(head_, number);
    return true;
}

inline bool message_ring::repair_tail(short_participant self) noexcept {
    std::uint64_t const number = tail_.load(std::memory_order_acquire);
    std::uint32_t const round = round_of(number);
    message_slot& place = slot(number);
    slot_word const word = load(place);
    if (word.ahead_of(round) != -1 || word.state() != slot_state::reading || word.owner().is_alive()) return false;
    pass(head_, number - capacity()); // it may have died before it could
    // Taken over as if it had been read here, so that exactly one process gives the block back.
    if (swap(place, word, slot_word(round - 1, slot_state::reading, self.value()))) {
        block_reference const left = place.is_in_block() ? place.block() : block_reference();
        place.word.store(slot_word(round, slot_state::free).value(), std::memory_order_release);
        // Last of all: whoever dies before it loses the block, but it is never given back twice.
        arena::instance().deallocate(left.block, left.block_size);
    }
    return true;
}

} // namespace multiprocessing::inline v0::detail
