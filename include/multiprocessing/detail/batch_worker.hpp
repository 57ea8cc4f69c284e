#pragma once

#include <multiprocessing/detail/archive.hpp>
#include <multiprocessing/detail/batch.hpp>
#include <multiprocessing/detail/event_log.hpp>
#include <multiprocessing/detail/exceptions.hpp>
#include <multiprocessing/detail/process_state.hpp>
#include <multiprocessing/detail/running_task.hpp>
#include <multiprocessing/detail/waiting.hpp>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>

/// A worker's side of a batch: what it claims, what it reports, and what it notes down for the case of its death.
namespace multiprocessing::inline v0::detail {

/// What the owner of a crew can see of a worker at any time, also of a dead one.
///
/// The owner may condemn a worker that is at a certain item, or a certain batch, by a mark in the word that says so. The
/// worker sees the mark when it wants to go on, and goes nowhere any more; so it is never killed for something else.
struct alignas(64) worker_slot {
    enum state : std::uint32_t { starting, ready, retired, failed };

    static constexpr std::uint64_t condemned = std::uint64_t{1} << 63; ///< in `item`
    static constexpr std::uint64_t claimed = std::uint64_t{1} << 62;   ///< in place of an item: none is begun yet
    static constexpr arena_offset abandoned = 1;                       ///< in `batch`, whose positions are even

    std::atomic<arena_offset> batch{0}; ///< the batch that it may be touching; it is not freed meanwhile
    /// The item that runs, counted in its batch, plus 1. When a chunk is done but not yet marked so: its end, plus 1.
    /// 0: none.
    std::atomic<std::uint64_t> item{0};
    std::atomic<std::int64_t> began{0}; ///< when the item began, in ticks of the clock, in a timed batch; 0: none runs
    std::atomic<std::uint32_t> phase{starting};
    std::atomic<arena_offset> failure{0}; ///< why the initialiser failed: a failure_record

    // What it did so far, for insights. Times are ticks of the clock.
    std::atomic<std::int64_t> hired{0};
    std::atomic<std::int64_t> ready_since{0}; ///< 0: not yet
    std::atomic<std::uint64_t> items{0};
    std::atomic<std::uint64_t> chunks{0};
    std::atomic<std::int64_t> working{0};
    event_log events;

    void reset() noexcept {
        hired.store(platform::clock::now().time_since_epoch().count(), std::memory_order_relaxed);
        ready_since.store(0, std::memory_order_relaxed);
        items.store(0, std::memory_order_relaxed);
        chunks.store(0, std::memory_order_relaxed);
        working.store(0, std::memory_order_relaxed);
        batch.store(0, std::memory_order_relaxed);
        item.store(0, std::memory_order_relaxed);
        began.store(0, std::memory_order_relaxed);
        phase.store(starting, std::memory_order_relaxed);
        failure.store(0, std::memory_order_release);
    }
};

/// What a crew shares. The slots of its workers follow.
struct crew_board {
    enum order : std::uint32_t { work, finish, leave };

    std::atomic<arena_offset> front{0};      ///< the batch that is being claimed from
    std::atomic<std::uint64_t> submitted{0}; ///< how many batches there were: what idle workers wait for
    std::atomic<std::uint64_t> finished{0};  ///< how many became done, and chunks of streams: what the owner waits for
    std::atomic<std::uint32_t> orders{work};
    std::uint32_t size = 0;
    std::uint32_t notes_items = 0;       ///< whether workers note when each item begins and ends
    std::uint32_t processor_shares = 1;  ///< how many processes the processors are shared by
    std::uint64_t chunks_per_worker = 0; ///< maxtasksperchild; 0: any number
    alignas(64) event_count idle{};
    alignas(64) event_count done{};
    std::atomic<std::uint32_t> attention{0}; ///< something happened to a worker that its owner should look at

    worker_slot& slot(worker_number number) noexcept { return reinterpret_cast<worker_slot*>(this + 1)[number]; }
    void call_owner() noexcept {
        attention.store(1, std::memory_order_release);
        done.notify_all();
    }
};

/// Exceptions and results carry who produced them.
failure_record* make_failure(std::uint64_t index, std::exception_ptr error, throw_site const& site);
void free_failure(failure_record* record) noexcept;
/// Gives back memory that results were in.
void free_regions(arena_offset first) noexcept;

/// Memory in the arena that results are written into, one behind the other; each is found by its position.
class result_sink final : public byte_sink {
public:
    explicit result_sink(batch& owner) noexcept : owner_(owner) {}

    /// Before a result: its length comes first.
    void begin_result() {
        start_ = size();
        std::uint64_t const unknown = 0;
        write(&unknown, sizeof unknown);
    }
    /// After it: its position.
    arena_offset end_result() noexcept {
        std::uint64_t const length = size() - start_ - sizeof(std::uint64_t);
        std::memcpy(begin_ + start_, &length, sizeof length);
        position_ += (8 - size() % 8) % 8 <= static_cast<std::size_t>(end_ - position_) ? (8 - size() % 8) % 8 : 0;
        return arena::instance().offset_of(begin_ + start_);
    }
    /// Instead of it: the result could not be written.
    void drop_result() noexcept { position_ = begin_ + start_; }

private:
    void grow(std::size_t at_least) override;

    batch& owner_;
    std::size_t start_ = 0;
    std::size_t next_size_ = 4096;
};

class batch_worker {
public:
    /// has_enough: asked after each chunk; the worker leaves if it says so.
    batch_worker(crew_board& board, worker_number number, std::function<bool()> has_enough = {})
        : board_(board), number_(number), slot_(board.slot(number)), has_enough_(std::move(has_enough)),
          events_(slot_.events), notes_items_(board.notes_items != 0) {}

    /// The next chunk to work on; the one before is done. Empty: leave this batch alone.
    std::optional<batch::chunk> next(batch& work) noexcept;

    /// Before an item: from now on a death costs this item.
    void begin(std::uint64_t item) noexcept {
        if (timed_ || notes_items_) note_time();
        task_.index = base_ + item;
        set_item(item + 1);
    }
    /// After an item that has a result.
    void mark(std::uint64_t item) noexcept {
        if (marks_ == nullptr) return;
        // Beforehand: whoever sees the mark may want no more of this pool, and end this process.
        if (notes_items_) note_end(platform::clock::now().time_since_epoch().count());
        marks_[item].store(1, std::memory_order_release);
    }

    /// The exception that is being handled is the outcome of an item.
    void fail(batch& work, std::uint64_t item) { fail(work, item, std::current_exception()); }
    void fail(batch& work, std::uint64_t item, std::exception_ptr error);

    /// Works on batches until it is told to leave, or has done its share.
    void serve();

private:
    batch* protect_front() noexcept;
    bool may_go_on() const noexcept {
        return board_.orders.load(std::memory_order_relaxed) != crew_board::leave && !enough_ &&
               (board_.chunks_per_worker == 0 || chunks_ < board_.chunks_per_worker);
    }
    void finish_chunk(batch& work) noexcept;
    void note_time() noexcept;
    void note_end(std::int64_t now) noexcept;
    void set_item(std::uint64_t item) noexcept;
    void set_batch(arena_offset batch) noexcept;
    [[noreturn]] void await_the_end() noexcept;

    crew_board& board_;
    worker_number number_;
    worker_slot& slot_;
    std::function<bool()> has_enough_;
    bool enough_ = false;
    event_log::writer events_;
    bool notes_items_;
    std::int64_t item_began_ = 0; // the item whose end is to be noted; 0: none
    std::optional<batch::chunk> current_;
    platform::clock::time_point began_;
    std::uint64_t chunks_ = 0;
    std::uint64_t item_ = 0; // what the slot says
    arena_offset batch_ = 0; // likewise

    // Of the batch that is worked on:
    bool timed_ = false;
    std::atomic<std::uint8_t>* marks_ = nullptr;
    std::uint64_t base_ = 0;
    std::uint32_t label_ = 0;
    bool item_failed_ = false;
    running_task task_;
};

// ---- implementation

inline failure_record* make_failure(std::uint64_t index, std::exception_ptr error, throw_site const& site) {
    byte_buffer buffer;
    save_exception(buffer, error, site);
    arena& memory = arena::instance();
    auto* const record = memory.at<failure_record>(memory.allocate(sizeof(failure_record) + buffer.size()));
    *record = {0, index, platform::clock::now().time_since_epoch().count(), buffer.size()};
    std::memcpy(record->bytes(), buffer.data(), buffer.size());
    return record;
}

inline void free_failure(failure_record* record) noexcept {
    arena& memory = arena::instance();
    memory.deallocate(memory.offset_of(record), sizeof(failure_record) + static_cast<std::size_t>(record->size));
}

inline void free_regions(arena_offset first) noexcept {
    arena& memory = arena::instance();
    while (first != 0) {
        auto const region = *memory.at<result_region>(first);
        memory.deallocate(first, static_cast<std::size_t>(region.size));
        first = region.next;
    }
}

/// Puts a record at the head of a list that others may be changing.
template <class Record>
void push_record(std::atomic<arena_offset>& list, Record* record) noexcept {
    arena_offset const position = arena::instance().offset_of(record);
    record->next = list.load(std::memory_order_relaxed);
    while (!list.compare_exchange_weak(record->next, position, std::memory_order_release, std::memory_order_relaxed)) {
    }
}

inline void result_sink::grow(std::size_t at_least) {
    // What was written for the current result moves into a new region; results before it stay where they are.
    std::size_t const written = begin_ == nullptr ? 0 : size() - start_;
    std::size_t const header = sizeof(result_region);
    std::size_t const size = std::max(next_size_, header + written + at_least);
    arena& memory = arena::instance();
    std::size_t const whole = arena::block_size(size);
    auto* const region = memory.at<result_region>(memory.allocate(size));
    region->size = size;
    auto* const place = reinterpret_cast<std::byte*>(region) + header;
    if (written != 0) std::memcpy(place, begin_ + start_, written);
    push_record(owner_.regions, region);
    begin_ = place;
    position_ = place + written;
    end_ = reinterpret_cast<std::byte*>(region) + whole;
    start_ = 0;
    next_size_ = std::min<std::size_t>(whole * 2, std::size_t{1} << 18);
}

// Only in a timed batch may an item be condemned; elsewhere a store does.
inline void batch_worker::set_item(std::uint64_t item) noexcept {
    std::uint64_t known = std::exchange(item_, item);
    if (!timed_) {
        slot_.item.store(item, std::memory_order_release);
    } else if (!slot_.item.compare_exchange_strong(known, item, std::memory_order_seq_cst)) {
        await_the_end();
    }
}

inline void batch_worker::set_batch(arena_offset batch) noexcept {
    arena_offset known = std::exchange(batch_, batch);
    if (!slot_.batch.compare_exchange_strong(known, batch, std::memory_order_seq_cst)) await_the_end();
}

/// The owner has decided that this process is to be killed.
inline void batch_worker::await_the_end() noexcept {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

/// The beginning of an item, and the end of the one before unless it is noted already, are one moment.
inline void batch_worker::note_time() noexcept {
    auto const now = platform::clock::now().time_since_epoch().count();
    slot_.began.store(now, std::memory_order_relaxed);
    if (notes_items_) note_end(now);
    item_began_ = now;
}

/// Of the item that was begun, if its end is not noted yet.
inline void batch_worker::note_end(std::int64_t now) noexcept {
    if (item_began_ == 0) return;
    try {
        events_.append({task_.index, item_began_, now, task_.attempt, label_, item_failed_});
    } catch (...) {
    } // no memory: it is not noted
    item_began_ = 0;
    item_failed_ = false;
}

inline void batch_worker::finish_chunk(batch& work) noexcept {
    auto const done = *std::exchange(current_, std::nullopt);
    auto const items = done.end - done.begin;
    if (notes_items_) note_time();
    item_began_ = 0;
    slot_.began.store(0, std::memory_order_relaxed);
    set_item(done.end + 1);
    auto const spent = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(platform::clock::now() - began_).count());
    slot_.items.store(slot_.items.load(std::memory_order_relaxed) + items, std::memory_order_relaxed);
    slot_.chunks.store(chunks_ + 1, std::memory_order_relaxed);
    slot_.working.store(
        slot_.working.load(std::memory_order_relaxed) + static_cast<std::int64_t>(spent), std::memory_order_relaxed);
    work.pace.store(std::max<std::uint64_t>(1, spent / items), std::memory_order_relaxed);
    bool const tell = work.finish(done) || marks_ != nullptr;
    set_item(0);
    if (tell) {
        board_.finished.fetch_add(1, std::memory_order_release);
        board_.done.notify_all();
    }
    ++chunks_;
    if (has_enough_) enough_ = has_enough_();
}

inline std::optional<batch::chunk> batch_worker::next(batch& work) noexcept {
    if (current_) finish_chunk(work);
    running_task::of_this_thread() = nullptr;
    if (!may_go_on() || work.given_up.load(std::memory_order_relaxed) != 0) return std::nullopt;
    current_ = work.take(number_);
    if (!current_) return std::nullopt;
    timed_ = work.timed != 0;
    marks_ = work.marks == 0 ? nullptr : arena::instance().at<std::atomic<std::uint8_t>>(work.marks) + work.first;
    base_ = work.origin + work.first;
    task_.attempt = work.attempt;
    label_ = work.label;
    // Who gives a batch up looks at this word afterwards, so one of the two sees the other.
    item_ = worker_slot::claimed;
    slot_.item.store(item_, std::memory_order_seq_cst);
    if (work.given_up.load(std::memory_order_seq_cst) != 0) {
        set_item(0);
        current_.reset();
        return std::nullopt;
    }
    running_task::of_this_thread() = &task_;
    began_ = platform::clock::now();
    return current_;
}

inline void batch_worker::fail(batch& work, std::uint64_t item, std::exception_ptr error) {
    item_failed_ = true;
    if (notes_items_) note_end(platform::clock::now().time_since_epoch().count()); // as in mark()
    auto const& state = process_state::instance();
    std::uint64_t const index = work.first + item;
    push_record(
        work.failures, make_failure(index, error, {state.name, platform::current_process_id(), work.origin + index}));
    if (marks_ != nullptr) board_.call_owner();
}

inline batch* batch_worker::protect_front() noexcept {
    // The owner frees a batch only if it is behind the front and no slot names it; so it is named first, and then
    // looked at whether it still was at the front.
    for (;;) {
        arena_offset const front = board_.front.load(std::memory_order_seq_cst);
        set_batch(front);
        if (board_.front.load(std::memory_order_seq_cst) == front) return arena::instance().at<batch>(front);
    }
}

inline void batch_worker::serve() {
    std::uint64_t seen = 0;
    while (may_go_on()) {
        seen = board_.submitted.load(std::memory_order_acquire);
        batch* const work = protect_front();
        if (work->count != 0) find_entry<batch_function>(work->function)(*work, *this);
        if (!may_go_on()) break;
        if (arena_offset const after = work->next.load(std::memory_order_acquire)) {
            arena_offset front = arena::instance().offset_of(work);
            board_.front.compare_exchange_strong(front, after, std::memory_order_seq_cst);
            continue;
        }
        set_batch(0);
        if (board_.orders.load(std::memory_order_acquire) != crew_board::work) return;
        board_.idle.await(
            [&] {
                return board_.submitted.load(std::memory_order_acquire) != seen ||
                       board_.orders.load(std::memory_order_acquire) != crew_board::work;
            },
            platform::never);
    }
    set_batch(0);
}

} // namespace multiprocessing::inline v0::detail
