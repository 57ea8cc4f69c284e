#pragma once

#include <multiprocessing/detail/batch_worker.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <list>
#include <memory>
#include <vector>

/// One call of a pool, as the owner of the workers sees it.
namespace multiprocessing::inline v0::detail {

/// An item that has no result: an exception from a worker, the death of one, or too long a time.
struct failed_item {
    std::uint64_t index; ///< in the call
    std::int64_t when;
    std::exception_ptr error;
};

/// A batch, and what has to be kept as long as workers may look at it although it was given up.
struct owned_batch {
    batch* work;
    std::shared_ptr<class crew_call> keeps;
};

/// What happened to a call so far. Its derived class says what the results are. Everything without a word about threads is
/// guarded by the crew's mutex.
class crew_call {
public:
    crew_call() = default;
    crew_call(crew_call const&) = delete;
    crew_call& operator=(crew_call const&) = delete;
    virtual ~crew_call() {
        for (auto const& each : batches) batch::free(each.work); // it was never submitted
    }

    // What its maker decides before it is submitted.
    std::chrono::nanoseconds timeout{0}; ///< for one item; 0: any time
    unsigned attempts = 1;               ///< of an item
    unsigned most_deaths = 3;            ///< of workers, by one item
    bool in_stream = false;              ///< somebody waits for single items
    bool shows_progress = false;         ///< by the attendant
    bool announced_by_attendant = false; ///< it counts as ready only after announce()

    std::list<owned_batch> batches;    ///< the first is what was submitted; none when the call is finished
    std::vector<failed_item> failed;   ///< for good
    std::vector<arena_offset> regions; ///< memory with results; when the call is finished
    std::exception_ptr ended;          ///< why the whole call was given up; null: it was not
    std::uint64_t pace = 0;            ///< nanoseconds per item, when it is finished; 0: unknown

    /// From any thread: nothing will change any more.
    bool is_finished() const noexcept { return finished_.load(std::memory_order_acquire); }
    /// From any thread: the outcome may be shown.
    bool is_ready() const noexcept {
        return is_finished() && (!announced_by_attendant || announced_.load(std::memory_order_acquire));
    }

    /// How many items have an outcome; nearly exact while workers run.
    std::uint64_t items_done() const noexcept;

protected:
    /// In the attendant's thread, when the call is finished and that was wanted: calls the user back. May not throw.
    virtual void announce() noexcept {}
    /// In the attendant's thread, now and then, if it was wanted.
    virtual void show_progress(std::uint64_t) noexcept {}

private:
    friend class crew;

    bool is_done() noexcept {
        for (auto const& each : batches) {
            auto& work = *each.work;
            if (inexact_ ? !work.done_by_table() : work.remaining.load(std::memory_order_acquire) != 0) return false;
        }
        return true;
    }

    bool inexact_ = false;    // a worker has died in it: only the tables tell what is done
    std::uint64_t total_ = 0; // items, when it is finished
    std::atomic<bool> finished_{false};
    std::atomic<bool> announced_{false};
    std::list<std::shared_ptr<crew_call>>::iterator place_; // in the crew's list of calls that are not finished
};

// ---- implementation

inline std::uint64_t crew_call::items_done() const noexcept {
    if (batches.empty()) return total_;
    std::uint64_t open = 0;
    for (auto const& each : batches) open += each.work->remaining.load(std::memory_order_acquire);
    std::uint64_t const all = batches.front().work->count;
    return open < all ? all - open : 0;
}

} // namespace multiprocessing::inline v0::detail
