#pragma once

#include <multiprocessing/detail/crew_call.hpp>
#include <multiprocessing/detail/crew_worker.hpp>
#include <multiprocessing/detail/pool_records.hpp>

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

/// The workers of a pool, and their owner: starts them, hands them batches, and puts right what their deaths leave.
///
/// Whoever waits for a call looks after the workers meanwhile. Only for what has to happen while nobody waits, such as
/// callbacks, there is a thread: the attendant, begun when it is needed first.
namespace multiprocessing::inline v0::detail {

struct crew_options {
    unsigned workers = 1;
    std::uint64_t chunks_per_worker = 0;
    std::optional<StartMethod> method;
    std::string name = "PoolWorker";
    worker_routine routine;
    std::shared_ptr<pool_records> records; ///< never null
    bool one_call = false;                 ///< the first call is the only one: afterwards the workers leave
};

class crew : public std::enable_shared_from_this<crew> {
public:
    static std::shared_ptr<crew> make(crew_options options);
    ~crew();
    crew(crew const&) = delete;
    crew& operator=(crew const&) = delete;

    /// Has the call's first batch, which stands in it, worked on. Does not block. Throws if the crew is broken or closed;
    /// the batch is the crew's in any case.
    void submit(std::shared_ptr<crew_call> const& call, bool of_stream = false);
    /// Between these two calls workers stay, although the crew is closed: there will be more.
    void begin_stream() noexcept { streams_.fetch_add(1, std::memory_order_seq_cst); }
    void end_stream() noexcept;
    /// Waits until the call is ready; false: it is not by the deadline.
    bool wait(crew_call& call, platform::deadline until);
    /// The same until a condition holds that the call's progress may change.
    template <class Condition>
    bool wait(crew_call& call, platform::deadline until, Condition&& condition);
    /// Gives a call up, with this for an outcome. Workers that are at it are ended, unless they may finish their items.
    /// False: it was finished already.
    bool cancel(crew_call& call, std::exception_ptr outcome, bool end_workers = true);
    /// From now on the workers are looked after also while nobody waits.
    void attend();
    /// Other workers, for a call that cannot be given to these, share the fate of these.
    void lodge(std::shared_ptr<crew> guest);

    /// Whether all calls are finished.
    bool is_idle();

    /// No more batches; workers leave when nothing is left to do.
    void close() noexcept;
    /// Ends the workers now, whatever they do. Calls that are not finished end with ProcessError.
    void terminate() noexcept;
    /// After close or terminate: waits until all workers have ended.
    void join();

    bool is_closed() const noexcept { return closed_.load(std::memory_order_acquire); }
    unsigned size() const noexcept { return options_.workers; }
    crew_options const& options() const noexcept { return options_; }
    char const* state_name() const noexcept {
        constexpr char const* names[] = {"RUN", "CLOSE", "TERMINATE"};
        return names[order() == crew_board::leave ? 2 : is_closed()];
    }
    std::vector<std::int64_t> pids();
    /// How many items of a call are done; nearly exact.
    std::uint64_t items_done(crew_call const& call);
    /// Adds what the workers that live have done, after those that have ended.
    void report(Insights& insights);
    StartMethod method() const noexcept {
        return options_.method.value_or(process_state::instance().start_method.value_or(default_start_method));
    }
    /// Whether this process is the one that made the crew.
    bool is_owned() const noexcept { return owner_ == platform::current_process_id(); }
    void require_owner() const;

private:
    static constexpr auto patrol_interval = std::chrono::milliseconds(10); // how soon a death is noticed

    /// Holds the mutex. What was dropped meanwhile is destroyed after it is free again: that may run the user's code.
    class session {
    public:
        explicit session(crew& owner) : owner_(owner), lock_(owner.mutex_) {}
        ~session() {
            std::list<std::shared_ptr<crew_call>> calls;
            std::list<owned_batch> batches;
            calls.swap(owner_.dropped_);
            batches.swap(owner_.dropped_batches_);
            lock_.unlock();
        }
        session(session const&) = delete;
        session& operator=(session const&) = delete;

    private:
        crew& owner_;
        std::unique_lock<std::mutex> lock_;
    };

    explicit crew(crew_options options);
    std::uint32_t order() const noexcept { return board_->orders.load(std::memory_order_acquire); }
    worker_slot& slot(std::size_t number) noexcept { return board_->slot(static_cast<worker_number>(number)); }

    // With mutex_ held:
    void append(batch* work) noexcept;
    void hire(std::size_t number);
    bool advance(crew_call& call);
    void advance_all();
    void harvest(crew_call& call);
    void item_failed(crew_call& call, batch const& work, failed_item item, bool by_death);
    void add(crew_call& call, batch* again);
    void end(crew_call& call, std::exception_ptr outcome, bool end_workers) noexcept;
    void finish(crew_call& call) noexcept;
    void patrol_if_due();
    void look_after_workers();
    void look_at_worker(std::size_t number);
    bool has_work() const noexcept;
    void check_times();
    void bury(std::size_t number, std::int64_t pid, int exitcode);
    void settle_claims(crew_call& call, std::size_t number, std::uint64_t item, std::int64_t pid, int exitcode);
    bool is_hopeless(int exitcode) noexcept;
    void take_failure(std::size_t number);
    void take_notes(std::size_t number);
    void record_end(std::size_t number, std::int64_t pid);
    WorkerInsights insights_of(std::size_t number) const;
    void free_retired() noexcept;
    bool is_named(batch const* work) noexcept;

    void let_workers_leave() noexcept;
    void run_attendant(std::shared_ptr<crew> self);
    bool attend_once();
    void dismiss_attendant() noexcept;

    crew_options options_;
    std::int64_t owner_ = platform::current_process_id();
    arena_block memory_;
    crew_board* board_ = nullptr;

    std::atomic<bool> closed_{false};
    std::atomic<std::uint32_t> streams_{0};

    std::mutex mutex_;
    std::vector<std::unique_ptr<Process>> workers_; // one per slot; null: left, and not replaced
    std::vector<event_log::reader> notes_;          // likewise
    std::vector<std::unique_ptr<Process>> leaving_; // have done their share
    std::list<std::shared_ptr<crew_call>> calls_;   // that are not finished
    std::size_t calls_at_sweep_ = 64;               // when to look through all of them next
    std::list<owned_batch> retired_;                // done or given up, but perhaps still looked at
    std::list<std::shared_ptr<crew_call>> dropped_;
    std::list<owned_batch> dropped_batches_;
    std::vector<std::shared_ptr<crew>> guests_;
    batch* last_ = nullptr;
    platform::clock::time_point last_patrol_{};
    std::exception_ptr broken_;
    unsigned hired_ = 0;
    unsigned stillborn_ = 0; // the weight of the workers in a row that ended before they could work

    std::unique_ptr<std::thread> attendant_; // begun with mutex_, ended with joining_
    std::thread::id attendant_id_;
    std::atomic<bool> is_attended_{false};
    std::list<std::shared_ptr<crew_call>> to_announce_;
    std::mutex joining_;
    std::atomic<std::uint64_t> nudges_{0}; // of the attendant: something has changed that no worker did
    bool dismissed_ = false;
};

/// What a pool holds: with it the crew is ended, although results may still refer to that.
class crew_owner {
public:
    crew_owner() = default;
    explicit crew_owner(std::shared_ptr<crew> owned) noexcept : crew_(std::move(owned)) {}
    ~crew_owner();
    crew_owner(crew_owner&&) noexcept = default;
    crew_owner& operator=(crew_owner&& other) noexcept {
        std::swap(crew_, other.crew_);
        return *this;
    }

    crew* operator->() const noexcept { return crew_.get(); }
    std::shared_ptr<crew> const& get() const noexcept { return crew_; }

private:
    std::shared_ptr<crew> crew_;
};

} // namespace multiprocessing::inline v0::detail

#include <multiprocessing/detail/crew_impl.hpp>
