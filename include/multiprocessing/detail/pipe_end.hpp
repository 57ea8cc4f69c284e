#pragma once

#include <multiprocessing/detail/digest.hpp>
#include <multiprocessing/detail/pipe_ring.hpp>
#include <multiprocessing/detail/shared_object.hpp>
#include <multiprocessing/detail/unique_handle.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/platform/handle_passing.hpp>
#include <multiprocessing/platform/poll.hpp>
#include <multiprocessing/platform/stream.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

/// How an end of a Pipe uses its ring and its stream together. Messages go through the ring. The stream says when it has
/// ended, carries handles of the system, and is the bell: whenever there is something in the ring, there is a byte on the
/// stream, so that whoever looks at its handle sees the truth. That byte costs little, because it stays there while
/// messages come and go: only a reader that is about to sleep, or to look at the handle, asks for a new ring and takes the
/// old one away. As long as he finds messages, nobody makes a system call.
///
/// Three kinds of bytes: the bell; a number that stands for the handles that came with it; anything else is the beginning
/// of a message on the stream, after the ring was switched off.
namespace multiprocessing::inline v0::detail {

/// One end in this process. One thread may send while another one receives.
class pipe_end {
public:
    pipe_end() noexcept = default;
    /// Of the two ends this is the first or the second.
    pipe_end(shared_object<pipe_rings> rings, bool is_second) noexcept
        : rings_(std::move(rings)), is_second_(is_second) {}

    explicit operator bool() const noexcept { return static_cast<bool>(rings_); }
    shared_object<pipe_rings> const& rings() const noexcept { return rings_; }
    bool is_second() const noexcept { return is_second_; }

    /// From now on all messages go over the stream, and the stream shows what is in the ring before them.
    void use_stream_only(platform::native_handle stream) const noexcept;
    /// After the stream has been closed.
    void note_closing() const noexcept { inbound().note_closing(); }

    /// Sends a message. False: it has to go over the stream.
    bool send(
        byte_view message,
        std::span<platform::native_handle const> handles,
        platform::native_handle stream,
        std::error_code& error);

    /// Whether nothing will ever come through the ring any more: only the stream counts.
    bool is_over() const noexcept { return is_over_.load(std::memory_order_acquire); }

    /// What there is to be received.
    enum class arrival {
        nothing,
        message, ///< in the ring
        stream,  ///< on the stream: a message, or the end
        soon     ///< nothing yet, although the stream has something
    };
    /// Waits for it until the deadline.
    arrival await(platform::native_handle stream, platform::deadline until) const;
    /// Looks, and before it finds nothing it asks for the bell. `rang`: the handle was seen to be readable. Waits only for
    /// others who look. For who is not over.
    arrival look(platform::native_handle stream, bool rang, platform::deadline until) const;
    /// What to do when something comes soon.
    static void nap() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }

    /// Begins to receive. False: there is no message in the ring. Handles that come with it go to `handles`; without, they
    /// are closed.
    bool begin(
        platform::native_handle stream,
        platform::deadline until,
        std::vector<unique_handle>* handles,
        bool& handles_lost);
    bool is_receiving() const noexcept { return receiving_; }
    std::uint64_t size() const noexcept { return left_; }
    /// At least one byte of the message, at most place.size(). 0: its writer has died, there is no more.
    std::size_t read(std::span<std::byte> place, platform::native_handle stream, platform::deadline until);
    /// When all has been read, or the message is given up.
    void finish(platform::native_handle stream) noexcept;

    /// At the end of the stream: the memory is needed no more.
    void release_memory(platform::native_handle stream) noexcept;

    /// Whether a byte on the stream is no part of a message.
    static bool is_signal(std::byte byte) noexcept { return byte == bell || is_number(byte); }

private:
    static constexpr std::byte bell{0x81}; // as the sizes in front of messages on the stream never begin
    static constexpr std::byte first_number{0xc0};
    static bool is_number(std::byte byte) noexcept {
        return byte >= first_number && byte <= std::byte{0xc0 + pipe_ring::most_handles};
    }

    /// What a look at the stream finds.
    enum class front {
        nothing,
        ring,   ///< something in the ring after all
        frame,  ///< a message that does not go through the ring
        end,    ///< nobody holds the other end any more, and the ring is empty
        numbers ///< handles whose message is about to appear in the ring
    };
    front look_with_lock(platform::native_handle stream, bool rang) const;
    bool find_handles(
        std::uint8_t number,
        platform::native_handle stream,
        std::vector<unique_handle>* handles,
        bool& handles_lost) const;
    pipe_record begin_record(std::uint64_t at);
    bool await_piece(platform::native_handle stream, platform::deadline until);

    /// Gives the lock of the readers back.
    class reading_lock {
    public:
        explicit reading_lock(pipe_ring& ring) noexcept : ring_(&ring) {}
        ~reading_lock() {
            if (ring_ != nullptr) ring_->unlock_reading();
        }
        reading_lock(reading_lock const&) = delete;
        reading_lock& operator=(reading_lock const&) = delete;
        void keep() noexcept { ring_ = nullptr; }

    private:
        pipe_ring* ring_;
    };

    pipe_ring& outbound() const noexcept { return rings_->ring[is_second_ ? 1 : 0]; }
    pipe_ring& inbound() const noexcept { return rings_->ring[is_second_ ? 0 : 1]; }

    shared_object<pipe_rings> rings_;
    bool is_second_ = false;

    // Of the sender: when it last made sure that somebody is there.
    std::uint64_t checked_at_ = 0;
    std::uint32_t checked_closings_ = 0;
    mutable std::atomic<bool> ended_{false};

    // Of the receiver.
    mutable std::atomic<bool> is_over_{false}; // nothing will ever come through the ring
    bool receiving_ = false;                   // has the lock, and this is left of the message:
    std::uint64_t left_ = 0;
    std::uint64_t position_ = 0; // of the next byte
    std::uint64_t part_left_ = 0;
    std::uint64_t record_end_ = 0;
};

// ---- implementation

inline bool is_past(platform::deadline until) noexcept {
    return until != platform::never && platform::clock::now() >= until;
}

/// That time, if it comes before the memory has to be looked at again in any case.
inline platform::deadline soon(platform::deadline until) noexcept {
    return until == platform::deadline::min() ? until : std::min(until, platform::clock::now() + longest_nap);
}

/// Whether the handle becomes readable before the deadline, or before the memory is looked at again.
inline bool becomes_readable(platform::native_handle stream, platform::deadline until) {
    bool ready = false;
    std::error_code error;
    platform::poll({&stream, 1}, {&ready, 1}, soon(until), error);
    if (error) throw OSError(error, "waiting for a message");
    return ready;
}

// ---- sending

inline bool pipe_end::send(
    byte_view message,
    std::span<platform::native_handle const> handles,
    platform::native_handle stream,
    std::error_code& error) {
    pipe_ring& ring = outbound();
    if (ring.is_off()) return false;
    pipe_ring::writer writer(ring);

    // Who closes an end tells it in the memory, but a process that is killed does not. To ask the system costs more than a
    // message, so it is asked as often as a process could have died and been waited for; and the bell would tell as well.
    constexpr std::uint64_t death_us = 10;
    std::uint64_t const now = platform::ticks();
    std::uint32_t const closings = ring.closings();
    bool const is_due = now - checked_at_ > death_us * platform::ticks_per_microsecond() && !writer.is_asked();
    if (is_due || closings != checked_closings_ || ended_.load(std::memory_order_relaxed)) {
        if (platform::stream_has_ended(stream)) {
            error = std::make_error_code(std::errc::broken_pipe);
            return true;
        }
        checked_at_ = now;
        checked_closings_ = closings;
    }
    if (!writer.prepare(message.size())) return false;

    std::uint8_t number = 0;
    if (!handles.empty()) {
        number = writer.number_handles();
        std::byte const byte = static_cast<std::byte>(std::to_integer<unsigned>(first_number) + number);
        platform::write_stream(stream, {&byte, 1}, {}, handles, error);
        if (error) return true;
    }
    auto const notify = [&] {
        // After handles always: the reader may take the last bell away to get to them.
        if (!writer.is_asked() && number == 0) return;
        std::error_code failure;
        platform::write_byte_at_once(stream, bell, failure);
        if (failure) error = failure;
        writer.answered();
    };
    auto const is_gone = [&] { return platform::stream_has_ended(stream); };
    if (!writer.put(message, number, notify, is_gone)) error = std::make_error_code(std::errc::broken_pipe);
    return true;
}

// ---- waiting

inline pipe_end::front pipe_end::look_with_lock(platform::native_handle stream, bool rang) const {
    pipe_ring& ring = inbound();
    if (!ring.is_empty()) return front::ring;
    rang = rang || ring.is_answered();
    // Before the old bell is taken away: what comes from now on rings again, behind it.
    ring.ask();
    while (rang) {
        std::error_code error;
        auto const next = platform::peek_stream(stream, error);
        if (error) throw OSError(error, "waiting for a message");
        // What has rung is in the ring, unless it has been taken.
        if (!ring.is_empty()) return front::ring;
        if (next.what == platform::stream_front::kind::nothing) break;
        if (next.what == platform::stream_front::kind::end) {
            ended_.store(true, std::memory_order_relaxed);
            return front::end;
        }
        if (is_number(next.value)) {
            if (ring.has_writer()) return front::numbers;
            if (!ring.is_empty()) return front::ring;
        } else if (next.value != bell) {
            return front::frame;
        }
        // The bell of a message that has been taken, or handles of one that never came.
        std::byte taken{};
        platform::read_stream(stream, {&taken, 1}, {}, error);
        if (error) throw OSError(error, "waiting for a message");
    }
    return ring.is_empty() ? front::nothing : front::ring;
}

inline pipe_end::arrival pipe_end::look(platform::native_handle stream, bool rang, platform::deadline until) const {
    pipe_ring& ring = inbound();
    if (!ring.is_empty()) return arrival::message;
    if (!ring.lock_reading(until)) return ring.is_empty() ? arrival::soon : arrival::message;
    reading_lock const lock(ring);
    bool const is_abandoned = ring.is_abandoned();
    front const seen = look_with_lock(stream, rang || is_abandoned);
    if (seen == front::ring) return arrival::message;
    if (seen == front::numbers) return arrival::soon;
    if (is_abandoned || seen == front::end) is_over_.store(true, std::memory_order_release);
    return seen == front::nothing ? arrival::nothing : arrival::stream;
}

inline pipe_end::arrival pipe_end::await(platform::native_handle stream, platform::deadline until) const {
    pipe_ring const& ring = inbound();
    auto const is_there = [&] { return !ring.is_empty(); };
    if (!is_over()) {
        auto& experience = spin_experience::of_this_thread();
        if (is_there()) {
            experience.gained();
            return arrival::message;
        }
        if (until != platform::deadline::min() && experience.should_spin() && experience.spin(is_there)) {
            return arrival::message;
        }
    }
    for (bool rang = false;;) {
        arrival seen = arrival::nothing;
        if (!is_over()) seen = look(stream, rang, soon(until));
        if (seen == arrival::message || seen == arrival::stream) return seen;
        if (seen == arrival::soon) nap();
        rang = becomes_readable(stream, until);
        if (is_there()) return arrival::message;
        if (rang && is_over()) return arrival::stream;
        if (is_past(until) && (!rang || seen == arrival::soon)) return arrival::nothing;
    }
}

inline void pipe_end::use_stream_only(platform::native_handle stream) const noexcept {
    for (auto& ring : rings_->ring) ring.switch_off();
    try {
        // Whoever receives just now does it when he is done.
        if (!is_over()) look(stream, true, platform::deadline::min());
    } catch (...) {
    } // the stream is in no state to be looked at
}

// ---- receiving

inline bool pipe_end::begin(
    platform::native_handle stream, platform::deadline until, std::vector<unique_handle>* handles, bool& handles_lost) {
    pipe_ring& ring = inbound();
    if (!ring.lock_reading(until)) throw TimeoutError("the other end did not answer in time");
    reading_lock lock(ring);
    for (;;) {
        std::uint64_t const at = ring.taken();
        if (!ring.has_record(at)) return false;
        pipe_record const record = begin_record(at);
        bool const is_lost = record.what == pipe_record::kind::next || // the reader of its beginning has died
                             (record.handles != 0 && !find_handles(record.handles, stream, handles, handles_lost));
        if (!is_lost) break;
        ring.take_until(record_end_);
    }
    lock.keep();
    receiving_ = true;
    return true;
}

inline pipe_record pipe_end::begin_record(std::uint64_t at) {
    pipe_ring const& ring = inbound();
    pipe_record record;
    ring.copy_out(at, std::as_writable_bytes(std::span(&record, 1)));
    position_ = at + sizeof record;
    part_left_ = record.size;
    if (record.what == pipe_record::kind::whole) left_ = record.size;
    if (record.what == pipe_record::kind::first) {
        ring.copy_out(position_, std::as_writable_bytes(std::span(&left_, 1)));
        position_ += sizeof left_;
    }
    record_end_ = position_ + pipe_ring::padded(record.size);
    return record;
}

inline bool pipe_end::find_handles(
    std::uint8_t number,
    platform::native_handle stream,
    std::vector<unique_handle>* handles,
    bool& handles_lost) const {
    for (;;) {
        std::error_code error;
        auto const next = platform::peek_stream(stream, error);
        if (error) throw OSError(error, "receiving a handle");
        if (next.what != platform::stream_front::kind::byte) return false; // a reader died that had taken them
        bool is_right = false;
        if (is_number(next.value)) {
            unsigned const found = std::to_integer<unsigned>(next.value) - std::to_integer<unsigned>(first_number);
            unsigned const behind = (number + pipe_ring::most_handles - found) % pipe_ring::most_handles;
            is_right = behind == 0;
            if (behind > pipe_ring::most_handles / 2) return false; // these are for a later message
        } else if (next.value != bell) {
            return false;
        }
        std::array<platform::native_handle, platform::handles_per_message> raw;
        auto const room = std::span(raw).first(is_right && handles != nullptr ? raw.size() : 0);
        std::byte taken{};
        auto const part = platform::read_stream(stream, {&taken, 1}, room, error);
        for (std::size_t i = 0; i < part.handles; ++i) handles->emplace_back(raw[i]);
        if (error) throw OSError(error, "receiving a handle");
        if (!is_right) continue;
        handles_lost = part.handles_lost && handles != nullptr;
        return true;
    }
}

inline std::size_t
pipe_end::read(std::span<std::byte> place, platform::native_handle stream, platform::deadline until) {
    if (part_left_ == 0 && !(left_ != 0 && await_piece(stream, until))) return 0;
    auto const count = static_cast<std::size_t>(std::min<std::uint64_t>(place.size(), part_left_));
    inbound().copy_out(position_, place.first(count));
    position_ += count;
    part_left_ -= count;
    left_ -= count;
    return count;
}

inline bool pipe_end::await_piece(platform::native_handle stream, platform::deadline until) {
    pipe_ring& ring = inbound();
    std::uint64_t const at = record_end_;
    ring.take_until(at);
    auto const is_there = [&] { return ring.has_record(at); };
    auto& experience = spin_experience::of_this_thread();
    bool found = is_there() || (experience.should_spin() && experience.spin(is_there));
    for (bool rang = false; !found; found = is_there()) {
        front const seen = look_with_lock(stream, rang);
        if (seen == front::ring) continue;
        // Who writes a message of several pieces is noted until the last of them is there.
        if (seen == front::end || !ring.has_writer()) {
            if (is_there()) break;
            return false;
        }
        if (seen == front::nothing) {
            rang = becomes_readable(stream, until);
        } else {
            nap();
        }
        if (is_past(until) && !is_there()) throw TimeoutError("the other end did not answer in time");
    }
    std::uint64_t const left = left_;
    bool const goes_on = begin_record(at).what == pipe_record::kind::next && part_left_ <= left;
    left_ = left;
    if (!goes_on) record_end_ = at; // another message: not for this one
    return goes_on;
}

inline void pipe_end::finish(platform::native_handle stream) noexcept {
    if (!std::exchange(receiving_, false)) return;
    pipe_ring& ring = inbound();
    if (!ring.is_reader()) return; // a forked copy of who is
    reading_lock const lock(ring);
    ring.take_until(record_end_);
    if (!ring.is_off()) return;
    try {
        look_with_lock(stream, true); // somebody may be looking at the stream himself
    } catch (OSError const&) {
    } // who receives next finds out
}

inline void pipe_end::release_memory(platform::native_handle stream) noexcept {
    // The other end may have closed one direction only.
    bool const is_gone = platform::stream_has_ended(stream);
    try {
        inbound().release_memory(false);
        if (is_gone) outbound().release_memory(true);
    } catch (...) {
    } // without a seat among the participants this process has no part in it
}

} // namespace multiprocessing::inline v0::detail
