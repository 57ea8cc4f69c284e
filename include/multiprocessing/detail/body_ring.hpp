#pragma once

#include <multiprocessing/detail/arena.hpp>
#include <multiprocessing/detail/digest.hpp>
#include <multiprocessing/detail/participants.hpp>
#include <multiprocessing/detail/waiting.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/platform/stream.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <system_error>
#include <utility>

/// The way that long messages between related processes take: their headers go over the stream, so that order, the end
/// and poll are those of the stream, but their bodies through shared memory, in which one copies in while the other copies
/// out. It is a shortcut and nothing else: whenever something is odd, the body goes over the stream too.
namespace multiprocessing::inline v0::detail {

/// One direction of a Pipe. Lies in the arena; all zero is its initial state.
class body_ring {
public:
    /// Bodies of this size and more take this way.
    static constexpr std::uint64_t worth_it = 32 * 1024;

    ~body_ring() { release(); }

    /// From now on nothing goes this way: somebody who does not know of it may hold the other end.
    void switch_off() noexcept { off_.store(true, std::memory_order_seq_cst); }

    /// Before the header is sent. False: the body has to go over the stream. Otherwise `write` or `cancel` has to follow.
    bool begin_writing() noexcept;
    void cancel() noexcept { writer_.store(0, std::memory_order_release); }
    /// Where the next body begins; goes into the header.
    std::uint64_t position() const noexcept { return written_.load(std::memory_order_relaxed); }
    /// Returns when all of it is in the ring. False: the stream has ended, nobody reads it.
    bool write(byte_view body, platform::native_handle stream) noexcept;

    /// The body of a message, piece by piece; from construction to destruction.
    class reader {
    public:
        reader() noexcept = default;
        /// `position` and `size` as the header says. Throws OSError if they cannot be.
        reader(body_ring& ring, std::uint64_t position, std::uint64_t size);
        reader(reader&& other) noexcept
            : ring_(std::exchange(other.ring_, nullptr)), position_(other.position_), end_(other.end_) {}
        reader& operator=(reader&& other) noexcept {
            std::swap(ring_, other.ring_);
            std::swap(position_, other.position_);
            std::swap(end_, other.end_);
            return *this;
        }
        ~reader() { finish(); }

        explicit operator bool() const noexcept { return ring_ != nullptr; }
        /// At least one byte, at most place.size(); 0: the writer died and there is no more.
        std::size_t read(std::span<std::byte> place) noexcept;
        /// When the message has been read, or is given up.
        void finish() noexcept;

    private:
        body_ring* ring_ = nullptr;
        std::uint64_t position_ = 0;
        std::uint64_t end_ = 0;
    };

    /// Gives the memory back, when one of the ends is gone.
    void release() noexcept;

private:
    static constexpr std::uint64_t capacity = 256 * 1024;
    static constexpr std::uint64_t step = capacity / 4; // how much is copied between two looks at the other side

    std::byte* memory() const noexcept { return arena::instance().at(block_.load(std::memory_order_acquire)); }

    enum class outcome { written, ended, abandoned };
    outcome put(byte_view bytes, platform::native_handle stream) noexcept;
    outcome wait_for_room(std::uint64_t position, platform::native_handle stream) noexcept;

    alignas(64) std::atomic<std::uint64_t> written_{0};
    std::atomic<std::uint64_t> writer_{0}; // participant that is writing a body
    std::atomic<arena_offset> block_{0};   // the memory, made when it is needed first
    std::atomic<bool> off_{false};
    alignas(64) std::atomic<std::uint64_t> taken_{0};
    std::atomic<std::uint64_t> reader_{0}; // participant that is reading one
    event_count arrival_{};
    event_count room_{};
};

/// What the two ends of a Pipe share: in each direction one ring. End i writes into ring i.
struct pipe_rings {
    body_ring ring[2];
};

// ---- implementation

inline bool body_ring::begin_writing() noexcept {
    if (off_.load(std::memory_order_acquire)) return false;
    std::uint64_t nobody = 0;
    if (!writer_.compare_exchange_strong(nobody, participant::self().word(), std::memory_order_acq_rel)) {
        switch_off(); // a writer died within a body. It stays noted, so that the reader finds out.
        return false;
    }
    if (block_.load(std::memory_order_acquire) != 0) return true;
    try {
        block_.store(arena::instance().allocate(capacity), std::memory_order_release);
        return true;
    } catch (...) { // no memory: the stream does without
        cancel();
        return false;
    }
}

inline bool body_ring::write(byte_view body, platform::native_handle stream) noexcept {
    outcome const done = put(body, stream);
    cancel();
    arrival_.notify_all(); // whoever waits for more than there is finds that nobody writes any more
    return done != outcome::ended;
}

inline body_ring::outcome body_ring::put(byte_view bytes, platform::native_handle stream) noexcept {
    std::byte* const ring = memory();
    std::uint64_t position = written_.load(std::memory_order_relaxed);
    while (!bytes.empty()) {
        std::uint64_t const used = position - taken_.load(std::memory_order_acquire);
        if (used >= capacity) {
            outcome const waited = wait_for_room(position, stream);
            if (waited != outcome::written) return waited;
            continue;
        }
        std::uint64_t const at = position % capacity;
        auto const count =
            static_cast<std::size_t>(std::min({std::uint64_t{bytes.size()}, capacity - used, capacity - at, step}));
        std::memcpy(ring + at, bytes.data(), count);
        position += count;
        written_.store(position, std::memory_order_release);
        arrival_.notify_one();
        bytes = bytes.subspan(count);
    }
    return outcome::written;
}

inline body_ring::outcome body_ring::wait_for_room(std::uint64_t position, platform::native_handle stream) noexcept {
    auto const has_room = [&] { return position - taken_.load(std::memory_order_acquire) < capacity; };
    while (!room_.await(has_room, platform::clock::now() + longest_nap)) {
        if (platform::stream_has_ended(stream)) return outcome::ended;
        participant const reading(reader_.load(std::memory_order_acquire));
        if (reading && !reading.is_alive()) {
            // It took the header with it: the rest of this message belongs to nobody. The next ones go over the stream.
            switch_off();
            return outcome::abandoned;
        }
    }
    return outcome::written;
}

inline body_ring::reader::reader(body_ring& ring, std::uint64_t position, std::uint64_t size)
    : ring_(&ring), position_(position), end_(position + size) {
    std::uint64_t const taken = ring.taken_.load(std::memory_order_relaxed);
    if (ring.block_.load(std::memory_order_acquire) == 0 || position < taken || position - taken > capacity) {
        ring_ = nullptr;
        throw OSError(std::make_error_code(std::errc::message_size), "bad message length");
    }
    ring.reader_.store(participant::self().word(), std::memory_order_release);
    if (position != taken) { // a reader died; what it left belongs to a message that is lost
        ring.taken_.store(position, std::memory_order_release);
        ring.room_.notify_all();
    }
}

inline std::size_t body_ring::reader::read(std::span<std::byte> place) noexcept {
    std::uint64_t written = ring_->written_.load(std::memory_order_acquire);
    if (written == position_) {
        auto const arrived = [&] {
            written = ring_->written_.load(std::memory_order_acquire);
            return written != position_;
        };
        // The writer is noted until it has written all, so that without one there is nothing to wait for.
        auto const settled = [&] { return arrived() || ring_->writer_.load(std::memory_order_acquire) == 0; };
        while (!ring_->arrival_.await(settled, platform::clock::now() + longest_nap)) {
            if (!participant(ring_->writer_.load(std::memory_order_acquire)).is_alive()) break;
        }
        if (!arrived()) return 0;
    }
    std::uint64_t const at = position_ % capacity;
    auto const count = static_cast<std::size_t>(
        std::min({std::uint64_t{place.size()}, std::min(written, end_) - position_, capacity - at, step}));
    std::memcpy(place.data(), ring_->memory() + at, count);
    position_ += count;
    ring_->taken_.store(position_, std::memory_order_release);
    // A writer that sleeps is woken when it can write a good deal.
    if (written - position_ <= capacity / 2) ring_->room_.notify_one();
    return count;
}

inline void body_ring::reader::finish() noexcept {
    if (ring_ == nullptr) return;
    if (position_ == end_) ring_->reader_.store(0, std::memory_order_release);
    ring_ = nullptr;
}

inline void body_ring::release() noexcept {
    if (auto const block = block_.exchange(0, std::memory_order_acq_rel)) arena::instance().deallocate(block, capacity);
}

} // namespace multiprocessing::inline v0::detail
