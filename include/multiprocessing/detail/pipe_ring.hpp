#pragma once

#include <multiprocessing/detail/arena.hpp>
#include <multiprocessing/detail/digest.hpp>
#include <multiprocessing/detail/participants.hpp>
#include <multiprocessing/detail/robust_lock.hpp>
#include <multiprocessing/detail/waiting.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

/// The memory through which the messages of a Pipe go, in one direction. Any number of processes may write and read, one
/// of each at a time, and any of them may be killed anywhere.
///
/// The ring is a stream of records: a message, or a piece of one that is longer than an eighth of the ring, so that one
/// side copies in while the other copies out. A record exists when `written` has moved behind it, and is gone when `taken`
/// has; both move over whole records only. So what is in the ring is in order whoever dies:
///
///   a writer died    its record was never there, and pieces that were are followed by no more: the reader finds the
///                    beginning of another message, or a lock whose owner is dead, and gives the message up;
///   a reader died    the record is still there for the next one, which passes over pieces whose beginning it has not seen.
///
/// How somebody learns that there is something in the ring is the matter of pipe_end.hpp.
namespace multiprocessing::inline v0::detail {

/// Stands in front of each record.
struct pipe_record {
    enum class kind : std::uint8_t {
        whole, ///< a message
        first, ///< the first piece of one; the size of all of it comes before the bytes
        next   ///< a further piece
    };

    std::uint32_t size = 0; // of what follows, without padding
    kind what = kind::whole;
    std::uint8_t handles = 0; // which handles came for it over the stream; 0: none
    std::uint16_t reserved = 0;
};
static_assert(sizeof(pipe_record) == sizeof(std::uint64_t));

/// Lies in the arena.
class pipe_ring {
public:
    pipe_ring() noexcept = default;
    ~pipe_ring() { free_blocks(); }
    pipe_ring(pipe_ring const&) = delete;
    pipe_ring& operator=(pipe_ring const&) = delete;

    bool is_empty() const noexcept {
        return written_.load(std::memory_order_seq_cst) == taken_.load(std::memory_order_acquire);
    }

    /// From now on messages go over the stream: somebody who does not know of the ring may hold one of the ends.
    void switch_off() noexcept { off_.store(true, std::memory_order_seq_cst); }
    bool is_off() const noexcept { return off_.load(std::memory_order_seq_cst); }
    /// Whether nobody will write any more once it is off, nor is just writing.
    bool is_abandoned();

    /// For the reading side, when one of its handles is closed: writers shall look whether there is anybody left.
    void note_closing() noexcept {
        closings_.fetch_add(1, std::memory_order_release);
        room_.notify_all();
    }
    std::uint32_t closings() const noexcept { return closings_.load(std::memory_order_acquire); }

    /// The bell. A reader that is going to look at the stream for news asks to be told there; what is put into the ring
    /// after that, rings.
    void ask() noexcept { asked_.fetch_add(1, std::memory_order_seq_cst); }
    bool is_answered() const noexcept {
        return asked_.load(std::memory_order_relaxed) == answered_.load(std::memory_order_relaxed);
    }

    /// Whether a writer that lives is at a message with several parts.
    bool has_writer() const noexcept { return participant(writer_.load(std::memory_order_acquire)).is_alive(); }

    /// What one writer may do; from construction to destruction. `notify()` of the functions is called for each record
    /// that is there; `is_gone()` is asked before a sleep whether there are no readers any more.
    class writer {
    public:
        explicit writer(pipe_ring& ring) : ring_(ring) {
            // What a dead writer has left is complete as far as it goes.
            if (ring.writing_.lock() == locking::inherited) ring.writer_.store(0, std::memory_order_release);
            ring.learn_again();
        }
        ~writer() {
            if (signed_) ring_.writer_.store(0, std::memory_order_release);
            ring_.writing_.unlock();
        }
        writer(writer const&) = delete;
        writer& operator=(writer const&) = delete;

        /// False: the ring is switched off, or there is no memory for it; then it is switched off.
        bool prepare(std::size_t message_size) noexcept {
            return !ring_.is_off() && ring_.provide_memory(message_size);
        }

        /// Before the handles of a message are sent: a number for them that no earlier ones on the way have.
        std::uint8_t number_handles() {
            sign();
            return ring_.handles_ = static_cast<std::uint8_t>(ring_.handles_ % most_handles + 1);
        }

        /// Puts a message. False: there are no readers.
        template <class Notify, class IsGone>
        bool put(byte_view message, std::uint8_t handles, Notify const& notify, IsGone const& is_gone);

        /// Whether a reader has asked for the bell since it rang last; to be followed by ringing it, and `answered`.
        bool is_asked() noexcept { return (asked_ = ring_.asked_.load(std::memory_order_seq_cst)) != ring_.answered_; }
        void answered() noexcept { ring_.answered_.store(asked_, std::memory_order_relaxed); }

    private:
        void sign() {
            ring_.writer_.store(participant::self().word(), std::memory_order_release);
            signed_ = true;
        }
        template <class IsGone>
        bool wait_for_room(std::uint64_t end, std::uint64_t size, IsGone const& is_gone);

        pipe_ring& ring_;
        bool signed_ = false;
        std::uint32_t asked_ = 0;
    };

    /// What one reader may do once it has the lock, until it gives it back.
    bool lock_reading(platform::deadline until) {
        if (reading_.lock(until) == locking::timed_out) return false;
        learn_again();
        return true;
    }
    void unlock_reading() noexcept { reading_.unlock(); }
    bool is_reader() const noexcept { return reading_.is_of_this_process(); }
    /// Whether there is a record; `at` is where the last one ended.
    bool has_record(std::uint64_t at) noexcept {
        if (seen_ == at) seen_ = written_.load(std::memory_order_acquire);
        return seen_ != at;
    }
    std::uint64_t taken() const noexcept { return taken_.load(std::memory_order_relaxed); }
    void take_until(std::uint64_t position) noexcept;
    void copy_out(std::uint64_t position, std::span<std::byte> place) const noexcept;

    /// When nobody will write any more, or nobody read: gives the memory back, unless somebody is at it, or there is
    /// something that may still be read.
    void release_memory(bool nobody_reads);

    static std::uint64_t padded(std::uint64_t size) noexcept { return (size + 7) / 8 * 8; }
    static constexpr std::uint8_t most_handles = 31; // numbers, not handles

private:
    // A Pipe that carries only short messages does with little memory; with the first longer one it gets more.
    static constexpr std::array<std::uint64_t, 3> sizes{64 * 1024, 256 * 1024, 1024 * 1024};
    static constexpr std::uint64_t comfortable = 32; // so many messages fit, or else there shall be more memory
    static constexpr std::uint64_t parts = 8;        // a message longer than such a part of the ring goes in pieces

    struct area {
        std::byte* bytes;
        std::uint64_t size;

        void copy_in(std::uint64_t position, byte_view bytes_in) const noexcept;
    };
    /// Which of the areas a record is in that begins at the position.
    std::size_t number_of_area(std::uint64_t position) const noexcept {
        std::size_t number = sizes.size() - 1;
        while (position < begins_[number].load(std::memory_order_acquire)) --number;
        return number;
    }
    area area_of(std::uint64_t position) const noexcept {
        std::size_t const number = number_of_area(position);
        return {arena::instance().at(blocks_[number].load(std::memory_order_acquire)), sizes[number]};
    }
    /// Other processes have left behind what they know of the other side. The thread sanitizer wants that to be heard from
    /// that side itself.
    void learn_again() const noexcept {
#if defined(MULTIPROCESSING_THREAD_SANITIZER)
        written_.load(std::memory_order_acquire);
        taken_.load(std::memory_order_acquire);
#endif
    }
    void free_blocks() noexcept;
    bool provide_memory(std::size_t message_size) noexcept;
    bool provide(std::size_t number) noexcept;

    // What writers, what readers, and what all of them change lies apart: in lines of the cache that come in pairs.
    alignas(64) robust_lock writing_{};
    std::uint64_t room_until_ = 0; // as far as is known, there is room until here
    std::atomic<std::uint64_t> writer_{0};
    std::atomic<std::uint32_t> answered_{0};
    std::uint8_t handles_ = 0;
    [[maybe_unused]] std::byte padding1_[64]{};
    alignas(64) std::atomic<std::uint64_t> written_{0};
    [[maybe_unused]] std::byte padding2_[64]{};
    alignas(64) robust_lock reading_{};
    std::uint64_t seen_ = 0; // as far as is known, there are records until here
    [[maybe_unused]] std::byte padding3_[64]{};
    alignas(64) std::atomic<std::uint64_t> taken_{0};
    [[maybe_unused]] std::byte padding4_[64]{};
    static constexpr std::uint64_t unused = ~std::uint64_t{0};
    alignas(64) std::array<std::atomic<arena_offset>, sizes.size()> blocks_{};
    std::array<std::atomic<std::uint64_t>, sizes.size()> begins_{0, unused, unused}; // the first record in each area
    std::atomic<std::uint32_t> asked_{1};
    std::atomic<std::uint32_t> closings_{0};
    std::atomic<bool> off_{false};
    event_count room_{};
};

/// What the two ends of a Pipe share: in each direction one ring. End i writes into ring i.
struct pipe_rings {
    pipe_ring ring[2];
};

// ---- implementation

inline bool pipe_ring::is_abandoned() {
    // With the lock, because a writer that has it may have looked before the ring was switched off.
    if (!is_off() || writing_.lock(platform::deadline::min()) == locking::timed_out) return false;
    writing_.unlock();
    return true;
}

inline bool pipe_ring::provide(std::size_t number) noexcept {
    if (blocks_[number].load(std::memory_order_relaxed) != 0) return true;
    try {
        blocks_[number].store(arena::instance().allocate(sizes[number]), std::memory_order_release);
        return true;
    } catch (...) {
        return false;
    }
}

inline bool pipe_ring::provide_memory(std::size_t message_size) noexcept {
    std::uint64_t const position = written_.load(std::memory_order_relaxed);
    std::size_t const now = number_of_area(position);
    std::size_t wanted = now;
    while (wanted + 1 < sizes.size() && message_size > sizes[wanted] / comfortable) ++wanted;
    if (wanted != now && provide(wanted)) {
        // Nothing has been written from here on; what is in the area before stays there until it is taken.
        begins_[wanted].store(position, std::memory_order_release);
        room_until_ = position;
        return true;
    }
    if (provide(now)) return true;
    switch_off();
    return false;
}

inline void pipe_ring::release_memory(bool nobody_reads) {
    // With both locks: that a side is gone was heard from the system, which does not order what it did to the memory.
    if (writing_.lock(platform::deadline::min()) == locking::timed_out) return;
    if (reading_.lock(platform::deadline::min()) != locking::timed_out) {
        if (nobody_reads || is_empty()) free_blocks();
        reading_.unlock();
    }
    writing_.unlock();
}

inline void pipe_ring::free_blocks() noexcept {
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        arena_offset const block = blocks_[i].exchange(0, std::memory_order_acq_rel);
        if (block != 0) arena::instance().deallocate(block, sizes[i]);
    }
}

inline void pipe_ring::area::copy_in(std::uint64_t position, byte_view bytes_in) const noexcept {
    if (bytes_in.empty()) return;
    std::uint64_t const at = position % size;
    auto const before_end = static_cast<std::size_t>(std::min<std::uint64_t>(bytes_in.size(), size - at));
    std::memcpy(bytes + at, bytes_in.data(), before_end);
    if (before_end != bytes_in.size()) std::memcpy(bytes, bytes_in.data() + before_end, bytes_in.size() - before_end);
}

inline void pipe_ring::copy_out(std::uint64_t position, std::span<std::byte> place) const noexcept {
    if (place.empty()) return;
    area const ring = area_of(position);
    std::uint64_t const at = position % ring.size;
    auto const before_end = static_cast<std::size_t>(std::min<std::uint64_t>(place.size(), ring.size - at));
    std::memcpy(place.data(), ring.bytes + at, before_end);
    if (before_end != place.size()) std::memcpy(place.data() + before_end, ring.bytes, place.size() - before_end);
}

inline void pipe_ring::take_until(std::uint64_t position) noexcept {
    std::uint64_t const before = taken_.load(std::memory_order_relaxed);
    taken_.store(position, std::memory_order_release);
    // A writer that sleeps is woken twice in a round: often enough for any record, and seldom enough to be worth it.
    std::uint64_t const half = area_of(before).size / 2;
    if (before / half != position / half) room_.notify_all();
}

template <class IsGone>
bool pipe_ring::writer::wait_for_room(std::uint64_t end, std::uint64_t size, IsGone const& is_gone) {
    bool gone = false;
    auto const settled = [&] {
        ring_.room_until_ = ring_.taken_.load(std::memory_order_acquire) + size;
        return gone || ring_.room_until_ >= end;
    };
    auto const before_sleep = [&]() -> platform::clock::duration {
        gone = is_gone();
        return gone ? platform::clock::duration(0) : longest_nap;
    };
    ring_.room_.await(settled, platform::never, before_sleep);
    return !gone;
}

template <class Notify, class IsGone>
bool pipe_ring::writer::put(byte_view message, std::uint8_t handles, Notify const& notify, IsGone const& is_gone) {
    std::uint64_t position = ring_.written_.load(std::memory_order_relaxed);
    area const place = ring_.area_of(position);
    std::uint64_t const longest = place.size / parts - 2 * sizeof(pipe_record);
    std::uint64_t const total = message.size();
    pipe_record record;
    record.handles = handles;
    if (total > longest) {
        record.what = pipe_record::kind::first;
        if (!signed_) sign();
    }
    do {
        auto const part = message.first(static_cast<std::size_t>(std::min<std::uint64_t>(message.size(), longest)));
        bool const is_first = record.what == pipe_record::kind::first;
        std::uint64_t const head = sizeof record + (is_first ? sizeof total : 0);
        std::uint64_t const end = position + head + padded(part.size());
        if (end > ring_.room_until_ && !wait_for_room(end, place.size, is_gone)) return false;
        record.size = static_cast<std::uint32_t>(part.size());
        place.copy_in(position, std::as_bytes(std::span(&record, 1)));
        if (is_first) place.copy_in(position + sizeof record, std::as_bytes(std::span(&total, 1)));
        place.copy_in(position + head, part);
        ring_.written_.store(end, std::memory_order_seq_cst); // before the look whether a reader has asked
        notify();
        position = end;
        message = message.subspan(part.size());
        record = {.what = pipe_record::kind::next};
    } while (!message.empty());
    return true;
}

} // namespace multiprocessing::inline v0::detail
