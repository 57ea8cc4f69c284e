#pragma once

#include <multiprocessing/detail/arena.hpp>
#include <multiprocessing/detail/entry_point.hpp>
#include <multiprocessing/platform/clock.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <new>
#include <optional>

/// The work of one call, as it lies in the arena: nothing is sent for an item.
///
/// Workers claim chunks of items. A claim is one compare-and-swap of the chunk's word, which holds the worker and the
/// length; the cursor is moved on afterwards, by whoever comes. So a worker may be killed at any instruction: what it
/// had claimed stands in the table under its number, and nothing is claimed that does not stand there.
namespace multiprocessing::inline v0::detail {

/// The number of a worker in its crew.
using worker_number = std::uint32_t;

/// One item that threw; the exception follows.
struct failure_record {
    arena_offset next;
    std::uint64_t index;
    std::int64_t when; // ticks of the monotonic clock, which all processes share
    std::uint64_t size;

    std::byte* bytes() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
};

/// A piece of memory that a worker has put results into.
struct result_region {
    arena_offset next;
    std::uint64_t size;
};

/// What all batches of a call have in common.
struct call_description {
    entry_id function;         ///< what works on it: a batch_function
    arena_offset callable = 0; ///< serialised, or an address in processes that were forked for this call
    std::uint64_t callable_size = 0;
    arena_offset input = 0;
    std::uint64_t input_extra = 0; ///< depends on the kind of input
    arena_offset output = 0;
    arena_offset marks = 0;   ///< a byte for each item that has a result, if somebody waits for each; 0: none
    std::uint64_t origin = 0; ///< which item of the user's input is item 0 of the call
    std::uint32_t attempt = 1;
    std::uint32_t deaths = 0; ///< how many workers its items have cost
    std::uint32_t label = 0;  ///< the number of the call's label
    std::uint32_t timed = 0;  ///< workers note when an item begins, and may be told that it took too long
};

/// Items [first, first + count) of a call.
///
/// After deaths and failures there are more batches of a call than one: remainders, and items that are tried again. They
/// share its arrays, so that an item is at the same place in all of them.
struct batch : call_description {
    struct chunk {
        std::uint64_t number;
        std::uint64_t begin; // items, counted from `first`
        std::uint64_t end;
    };

    // The rest of what the owner writes before anybody sees the batch.
    std::uint64_t first = 0;
    std::uint64_t count = 0;
    std::uint64_t chunksize = 0; ///< 0: by the guided rule
    std::uint64_t smallest = 1;  ///< chunk by the guided rule
    std::uint64_t table_size = 0;
    std::uint64_t workers = 1;
    std::uint64_t sequence = 0;             ///< its place among the batches of a crew
    std::atomic<std::uint32_t> given_up{0}; ///< nothing more of it shall be begun

    // What the workers write.
    std::atomic<arena_offset> next{0}; ///< the batch after this one
    alignas(64) std::atomic<std::uint64_t> cursor{0};
    alignas(64) std::atomic<std::uint64_t> remaining{0}; ///< items; not exact once a worker has died
    std::atomic<std::uint64_t> pace{0};                  ///< nanoseconds per item of a recent chunk, 0: unknown
    std::atomic<arena_offset> failures{0};               ///< the latest first
    std::atomic<arena_offset> regions{0};

    /// A batch in a block of its own, with room for the table behind it.
    static batch* make(std::uint64_t first, std::uint64_t count, std::uint64_t chunksize, std::uint64_t workers);
    /// Another batch for some items of this one.
    batch* again(std::uint64_t from, std::uint64_t how_many) const;
    static void free(batch* object) noexcept;

    /// Claims the next chunk for a worker; empty: all are claimed.
    std::optional<chunk> take(worker_number worker) noexcept;
    /// A chunk that take() gave is done. True: it was the last one of the batch.
    bool finish(chunk const& done) noexcept;

    /// Chunks that stand under the number of a worker that is dead, or everything, for its owner.
    template <class Visit>
    void visit_claims(Visit&& visit) noexcept;
    /// Whether there are items that nobody has claimed, and somebody may.
    bool is_open() const noexcept {
        return (cursor.load(std::memory_order_acquire) & item_mask) < count &&
               given_up.load(std::memory_order_relaxed) == 0;
    }
    /// Whether every item is done, by the table, which is exact whatever has died.
    bool done_by_table() noexcept;

    static constexpr std::uint64_t done_mark = 0xffff; ///< in place of a worker

    std::atomic<std::uint64_t>* table() noexcept { return reinterpret_cast<std::atomic<std::uint64_t>*>(this + 1); }

private:
    // The cursor: number of the next chunk above the first item that no chunk has. A chunk's word: worker + 1 above the
    // length; 0: not claimed.
    static constexpr unsigned item_bits = 40;
    static constexpr std::uint64_t item_mask = (std::uint64_t{1} << item_bits) - 1;
    static constexpr unsigned length_bits = 48;
    static constexpr std::uint64_t length_mask = (std::uint64_t{1} << length_bits) - 1;
    static constexpr std::uint64_t most_chunks = 4096;        // by the guided rule
    static constexpr std::uint64_t probe = 16;                // first chunks, while the pace is unknown
    static constexpr std::uint64_t longest_chunk = 4'000'000; // nanoseconds

    std::uint64_t next_size(std::uint64_t begin) const noexcept;
};

/// What a worker calls for a batch: it claims chunks until there are none. See batch_io.hpp.
class batch_worker;
using batch_function = void(batch& work, batch_worker& worker);

// ---- implementation

inline batch* batch::make(std::uint64_t first, std::uint64_t count, std::uint64_t chunksize, std::uint64_t workers) {
    std::uint64_t const least = std::max<std::uint64_t>(1, (count + most_chunks - 1) / most_chunks);
    std::uint64_t const unit = chunksize != 0 ? chunksize : least;
    std::uint64_t const chunks = count / unit + 1;
    // The numbers have 24 and 40 bits.
    if (count > item_mask || chunks >= std::uint64_t{1} << 24) throw std::bad_alloc();
    std::size_t const size = sizeof(batch) + static_cast<std::size_t>(chunks) * sizeof(std::atomic<std::uint64_t>);
    arena& memory = arena::instance();
    auto* const made = ::new (static_cast<void*>(memory.at(memory.allocate(size)))) batch;
    made->first = first;
    made->count = count;
    made->chunksize = chunksize;
    made->smallest = least;
    made->table_size = chunks;
    made->workers = workers;
    made->remaining.store(count, std::memory_order_relaxed);
    for (std::uint64_t i = 0; i < chunks; ++i) ::new (made->table() + i) std::atomic<std::uint64_t>(0);
    return made;
}

inline batch* batch::again(std::uint64_t from, std::uint64_t how_many) const {
    batch* const made = make(from, how_many, chunksize, workers);
    static_cast<call_description&>(*made) = *this;
    return made;
}

inline void batch::free(batch* object) noexcept {
    std::size_t const size =
        sizeof(batch) + static_cast<std::size_t>(object->table_size) * sizeof(std::atomic<std::uint64_t>);
    arena::instance().deallocate(arena::instance().offset_of(object), size);
}

// Guided: a share of what is left, so that many items need few claims and the end is fine-grained. A chunk is also kept
// short in time, as far as the pace is known: then one slow stretch, or one death, does not hold much up.
inline std::uint64_t batch::next_size(std::uint64_t begin) const noexcept {
    std::uint64_t const left = count - begin;
    if (chunksize != 0) return std::min(chunksize, left);
    std::uint64_t size = left / (4 * workers);
    std::uint64_t const nanoseconds = pace.load(std::memory_order_relaxed);
    size = std::min(size, nanoseconds == 0 ? probe : longest_chunk / nanoseconds);
    return std::min(std::max(size, smallest), left);
}

inline std::optional<batch::chunk> batch::take(worker_number worker) noexcept {
    std::uint64_t position = cursor.load(std::memory_order_acquire);
    for (;;) {
        std::uint64_t const number = position >> item_bits;
        std::uint64_t const begin = position & item_mask;
        if (begin >= count) return std::nullopt;
        std::uint64_t word = table()[number].load(std::memory_order_acquire);
        bool mine = false;
        if (word == 0) {
            std::uint64_t const claim = (std::uint64_t{worker} + 1) << length_bits | next_size(begin);
            mine = table()[number].compare_exchange_strong(word, claim, std::memory_order_acq_rel);
            if (mine) word = claim;
        }
        std::uint64_t const end = begin + (word & length_mask);
        std::uint64_t const moved = (number + 1) << item_bits | end;
        if (cursor.compare_exchange_strong(position, moved, std::memory_order_acq_rel)) position = moved;
        if (mine) return chunk{number, begin, end};
    }
}

inline bool batch::finish(chunk const& done) noexcept {
    std::uint64_t const length = done.end - done.begin;
    table()[done.number].store(done_mark << length_bits | length, std::memory_order_release);
    return remaining.fetch_sub(length, std::memory_order_acq_rel) == length;
}

template <class Visit>
void batch::visit_claims(Visit&& visit) noexcept {
    std::uint64_t begin = 0;
    for (std::uint64_t number = 0; begin < count && number < table_size; ++number) {
        std::uint64_t const word = table()[number].load(std::memory_order_acquire);
        if (word == 0) return;
        std::uint64_t const length = word & length_mask;
        std::uint64_t const owner = word >> length_bits;
        visit(
            chunk{number, begin, begin + length},
            owner == done_mark ? std::nullopt : std::optional(static_cast<worker_number>(owner - 1)));
        begin += length;
    }
}

inline bool batch::done_by_table() noexcept {
    std::uint64_t done = 0;
    visit_claims([&](chunk const& one, std::optional<worker_number> owner) {
        if (!owner) done += one.end - one.begin;
    });
    return done == count;
}

} // namespace multiprocessing::inline v0::detail
