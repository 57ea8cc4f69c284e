#pragma once

#include <multiprocessing/detail/batch_worker.hpp>
#include <multiprocessing/process.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

/// The workers of a pool, and their owner: starts them, hands them batches, and puts right what their deaths leave.
namespace multiprocessing::inline v0::detail {

/// An item that has no result: an exception from a worker, or the death of one.
struct failed_item {
    std::uint64_t index;
    std::int64_t when;
    std::exception_ptr error;
};

/// The batches of one call. After deaths there are more of them than the one it began with. Private to the owner.
struct crew_call {
    std::vector<batch*> batches;
    std::vector<failed_item> lost; ///< with their workers
    bool inexact = false;          ///< a worker has died in it: only the tables tell what is done

    bool is_done() noexcept {
        for (auto* const work : batches) {
            if (inexact ? !work->done_by_table() : work->remaining.load(std::memory_order_acquire) != 0) return false;
        }
        return true;
    }
};

struct crew_options {
    unsigned workers = 1;
    std::uint64_t chunks_per_worker = 0;
    std::optional<StartMethod> method;
    std::string name = "PoolWorker";
    std::shared_ptr<process_target> initializer;
};

class crew {
public:
    explicit crew(crew_options options);
    ~crew();
    crew(crew const&) = delete;
    crew& operator=(crew const&) = delete;

    /// Has the call's first batch, which stands in it, worked on. Does not block.
    void submit(crew_call& call);
    /// Waits until the call is done; false: it is not by the deadline. Throws if the crew is broken or ended.
    bool wait(crew_call& call, platform::deadline until);
    /// Forgets a call, and frees its batches as soon as no worker looks at them. If it is not done, the crew is ended
    /// first: afterwards nobody touches the memory of the call.
    void release(crew_call& call) noexcept;

    /// No more batches; workers leave when nothing is left to do.
    void close() noexcept;
    /// Ends the workers now, whatever they do. Calls that are waited for end with ProcessError.
    void terminate() noexcept;
    /// After close or terminate: waits until all workers have ended.
    void join();

    bool is_closed() const noexcept { return order() != crew_board::work; }
    unsigned size() const noexcept { return options_.workers; }
    char const* state_name() const noexcept {
        constexpr char const* names[] = {"RUN", "CLOSE", "TERMINATE"};
        return names[order()];
    }
    std::vector<std::int64_t> pids();
    StartMethod method() const noexcept {
        return options_.method.value_or(process_state::instance().start_method.value_or(default_start_method));
    }
    /// Throws if this process is not the one that made the crew.
    void require_owner() const;

private:
    static constexpr auto patrol = std::chrono::milliseconds(10); // how soon a death is noticed

    std::uint32_t order() const noexcept { return board_->orders.load(std::memory_order_acquire); }
    worker_slot& slot(std::size_t number) noexcept { return board_->slot(static_cast<worker_number>(number)); }

    // With mutex_ held:
    void append(batch* work) noexcept;
    void hire(std::size_t number);
    void look_after_workers();
    void bury(std::size_t number, std::int64_t pid, int exitcode);
    void settle_claims(crew_call& call, std::size_t number, std::uint64_t item, std::int64_t pid, int exitcode);
    bool is_hopeless(int exitcode) noexcept;
    void take_failure(std::size_t number);
    void free_retired() noexcept;
    bool is_named(batch const* work) noexcept;

    crew_options options_;
    std::int64_t owner_ = platform::current_process_id();
    arena_block memory_;
    crew_board* board_ = nullptr;

    std::mutex mutex_;
    std::vector<std::unique_ptr<Process>> workers_; // one per slot; null: left, and not replaced
    std::vector<std::unique_ptr<Process>> leaving_; // have done their share
    std::vector<crew_call*> calls_;
    std::deque<batch*> line_; // batches in the order of their submission, from the front on
    batch* last_ = nullptr;
    std::vector<batch*> released_; // may be freed once they are behind the front and no worker names them
    std::exception_ptr broken_;
    unsigned hired_ = 0;
    unsigned stillborn_ = 0; // the weight of the workers in a row that ended before they could work
};

/// A worker process.
class crew_worker : public SpawnableProcess<crew_worker> {
public:
    crew_worker() = default;
    crew_worker(
        ProcessOptions options, arena_offset board, worker_number number, std::shared_ptr<process_target> initializer)
        : SpawnableProcess(std::move(options)), board_(board), number_(number), initializer_(std::move(initializer)) {}

    void run() override;

private:
    friend class boost::serialization::access;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& board_& number_;
        if constexpr (Archive::is_saving::value) {
            bool const present = initializer_ != nullptr;
            archive& present;
            if (present) {
                if (!initializer_->travels()) throw PicklingError(cannot_travel_text);
                archive << initializer_->factory();
                initializer_->save(archive);
            }
        } else {
            bool present = false;
            archive& present;
            if (present) made_ = find_entry<process_factory>(archive.template make<entry_id>())(archive);
        }
    }

    arena_offset board_ = 0;
    worker_number number_ = 0;
    std::shared_ptr<process_target> initializer_;
    std::unique_ptr<Process> made_; // the initialiser as it arrived here
};

// ---- implementation

inline void crew_worker::run() {
    platform::ignore_interrupts(); // Ctrl-C is for the owner, which ends its call and its workers
    platform::obey_termination();
    auto& board = *arena::instance().at<crew_board>(board_);
    auto& slot = board.slot(number_);
    try {
        if (initializer_) initializer_->run();
        if (made_) made_->run();
    } catch (...) {
        auto const& state = process_state::instance();
        auto* const record =
            make_failure(0, std::current_exception(), {state.name, platform::current_process_id(), std::nullopt});
        slot.failure.store(arena::instance().offset_of(record), std::memory_order_release);
        slot.phase.store(worker_slot::failed, std::memory_order_release);
        board.call_owner();
        multiprocessing::exit(1);
    }
    slot.phase.store(worker_slot::ready, std::memory_order_release);
    batch_worker(board, number_).serve();
    slot.phase.store(worker_slot::retired, std::memory_order_release);
    board.call_owner(); // nothing in the slot is touched from here on
}

inline crew::crew(crew_options options) : options_(std::move(options)) {
    arena& memory = arena::instance();
    memory_ = arena_block(sizeof(crew_board) + options_.workers * sizeof(worker_slot));
    board_ = ::new (static_cast<void*>(memory_.get())) crew_board;
    board_->size = options_.workers;
    board_->chunks_per_worker = options_.chunks_per_worker;
    for (std::size_t i = 0; i < options_.workers; ++i) ::new (static_cast<void*>(&slot(i))) worker_slot;
    last_ = batch::make(0, 0, 0, 1); // the front is never nothing
    line_.push_back(last_);
    released_.push_back(last_);
    board_->front.store(memory.offset_of(last_), std::memory_order_release);
    workers_.resize(options_.workers);
    try {
        for (std::size_t i = 0; i < options_.workers; ++i) hire(i);
    } catch (...) {
        terminate();
        join();
        batch::free(last_);
        throw;
    }
}

inline crew::~crew() {
    if (owner_ != platform::current_process_id()) { // a forked child: nothing here is its own
        for (auto& worker : workers_) static_cast<void>(worker.release());
        static_cast<void>(memory_.release());
        return;
    }
    terminate();
    try {
        join();
    } catch (...) {
    }
    for (auto* const work : released_) batch::free(work);
}

inline void crew::require_owner() const {
    if (owner_ != platform::current_process_id()) {
        throw AssertionError("a pool can only be used by the process that made it");
    }
}

inline void crew::hire(std::size_t number) {
    slot(number).reset();
    auto worker = std::make_unique<crew_worker>(
        ProcessOptions{
            .name = options_.name + '-' + std::to_string(hired_ + 1), .daemon = true, .method = options_.method},
        memory_.offset(),
        static_cast<worker_number>(number),
        options_.initializer);
    worker->start();
    ++hired_;
    workers_[number] = std::move(worker);
}

inline void crew::append(batch* work) noexcept {
    last_->next.store(arena::instance().offset_of(work), std::memory_order_release);
    last_ = work;
    board_->submitted.fetch_add(1, std::memory_order_release);
    if (work->count == 1) {
        board_->idle.notify_one();
    } else {
        board_->idle.notify_all();
    }
}

inline void crew::submit(crew_call& call) {
    std::scoped_lock const guard(mutex_);
    if (is_closed()) throw ValueError("Pool not running");
    if (broken_) std::rethrow_exception(broken_);
    calls_.reserve(calls_.size() + 1);
    released_.reserve(released_.size() + line_.size() + 2); // release() may not fail
    line_.push_back(call.batches.front());
    calls_.push_back(&call);
    append(call.batches.front());
    free_retired();
}

inline bool crew::wait(crew_call& call, platform::deadline until) {
    auto const settled = [&] { return call.is_done(); };
    for (;;) {
        auto const nap = std::min(until, platform::clock::now() + patrol);
        board_->done.await([&] { return settled() || board_->attention.load(std::memory_order_acquire) != 0; }, nap);
        {
            std::scoped_lock const guard(mutex_);
            if (settled()) return true;
            look_after_workers();
            if (settled()) return true;
            if (broken_) std::rethrow_exception(broken_);
            if (order() == crew_board::leave) throw ProcessError("the pool was terminated");
        }
        if (until != platform::never && platform::clock::now() >= until) return false;
    }
}

inline void crew::release(crew_call& call) noexcept {
    if (!call.is_done()) {
        terminate();
        try {
            join();
        } catch (...) {
        }
    }
    std::scoped_lock const guard(mutex_);
    std::erase(calls_, &call);
    released_.insert(released_.end(), call.batches.begin(), call.batches.end());
    call.batches.clear();
    free_retired();
}

inline bool crew::is_named(batch const* work) noexcept {
    arena_offset const position = arena::instance().offset_of(work);
    for (std::size_t i = 0; i < options_.workers; ++i) {
        if (slot(i).batch.load(std::memory_order_seq_cst) == position) return true;
    }
    return false;
}

inline void crew::free_retired() noexcept {
    auto* const front = arena::instance().at<batch>(board_->front.load(std::memory_order_seq_cst));
    while (!line_.empty() && line_.front() != front) line_.pop_front();
    std::erase_if(released_, [&](batch* work) {
        bool const behind = std::find(line_.begin(), line_.end(), work) == line_.end();
        if (!behind || is_named(work)) return false;
        batch::free(work);
        return true;
    });
}

// ---- deaths

inline void crew::look_after_workers() {
    board_->attention.store(0, std::memory_order_seq_cst);
    std::erase_if(leaving_, [](auto const& worker) { return !worker->is_alive(); });
    for (std::size_t i = 0; i < workers_.size(); ++i) {
        if (!workers_[i]) continue;
        auto const phase = slot(i).phase.load(std::memory_order_acquire);
        if (phase == worker_slot::retired) {
            leaving_.push_back(std::move(workers_[i]));
        } else if (phase == worker_slot::failed) {
            take_failure(i);
            leaving_.push_back(std::move(workers_[i]));
        } else if (auto const status = workers_[i]->exitcode()) {
            auto const pid = workers_[i]->pid().value_or(0);
            workers_[i].reset();
            if (phase == worker_slot::starting && is_hopeless(*status) && !broken_ && order() != crew_board::leave) {
                broken_ = std::make_exception_ptr(
                    WorkerDiedError(pid, *status, platform::signal_name(-*status), std::nullopt));
            }
            bury(i, pid, *status);
        } else if (phase == worker_slot::ready) {
            stillborn_ = 0;
        }
        // Whoever closed the pool still wants everything done that was submitted before.
        bool const needed = order() == crew_board::work || (order() == crew_board::finish && !calls_.empty());
        if (!workers_[i] && needed && !broken_) {
            try {
                hire(i);
            } catch (...) {
                // Fewer workers do the work as well; without any, nobody would.
                if (std::none_of(workers_.begin(), workers_.end(), [](auto const& one) { return one != nullptr; })) {
                    broken_ = std::current_exception();
                }
            }
        }
    }
    if (broken_) board_->done.notify_all();
}

/// A worker has ended before it could work: would the next one do so too? One that was killed says little, somebody may
/// be killing at random; one that crashes or exits does it again.
inline bool crew::is_hopeless(int exitcode) noexcept {
    auto const signal = platform::signal_name(-exitcode);
    unsigned const blame = signal == "SIGKILL" || signal == "SIGTERM" ? 1 : 34;
    stillborn_ += blame;
    return stillborn_ > 100;
}

inline void crew::take_failure(std::size_t number) {
    auto* const record = arena::instance().at<failure_record>(slot(number).failure.load(std::memory_order_acquire));
    broken_ = load_exception({record->bytes(), static_cast<std::size_t>(record->size)});
    free_failure(record);
}

inline void crew::bury(std::size_t number, std::int64_t pid, int exitcode) {
    std::uint64_t const item = slot(number).item.load(std::memory_order_acquire);
    slot(number).batch.store(0, std::memory_order_seq_cst);
    for (auto* const call : calls_) settle_claims(*call, number, item, pid, exitcode);
}

inline void
crew::settle_claims(crew_call& call, std::size_t number, std::uint64_t item, std::int64_t pid, int exitcode) {
    call.inexact = true;
    std::vector<batch*> remainders;
    for (auto* const work : call.batches) {
        work->visit_claims([&](batch::chunk const& claim, std::optional<worker_number> owner) {
            if (owner != number) return;
            std::uint64_t rest = claim.begin;
            if (item > claim.begin && item <= claim.end) { // it ran item - 1
                std::uint64_t const index = work->first + item - 1;
                call.lost.push_back(
                    {index,
                     platform::clock::now().time_since_epoch().count(),
                     std::make_exception_ptr(WorkerDiedError(pid, exitcode, platform::signal_name(-exitcode), index))});
                rest = item;
            } else if (item == claim.end + 1) { // the chunk was done
                rest = claim.end;
            }
            if (rest < claim.end) {
                auto* const again = batch::make(work->first + rest, claim.end - rest, work->chunksize, work->workers);
                again->function = work->function;
                again->callable = work->callable;
                again->callable_size = work->callable_size;
                again->input = work->input;
                again->input_extra = work->input_extra;
                again->output = work->output;
                remainders.push_back(again);
            }
            work->finish(claim);
        });
    }
    for (auto* const again : remainders) {
        line_.push_back(again);
        call.batches.push_back(again);
        append(again);
    }
    released_.reserve(released_.size() + line_.size() + call.batches.size() + 1);
    board_->done.notify_all();
}

// ---- the end

inline void crew::close() noexcept {
    std::uint32_t expected = crew_board::work;
    board_->orders.compare_exchange_strong(expected, crew_board::finish, std::memory_order_acq_rel);
    board_->idle.notify_all();
}

inline void crew::terminate() noexcept {
    board_->orders.store(crew_board::leave, std::memory_order_seq_cst);
    board_->idle.notify_all();
    board_->done.notify_all();
    std::scoped_lock const guard(mutex_);
    for (std::size_t i = 0; i < workers_.size(); ++i) {
        // Those that wait for work leave by themselves, and tidily.
        if (!workers_[i] || slot(i).phase.load(std::memory_order_acquire) == worker_slot::retired) continue;
        if (slot(i).item.load(std::memory_order_seq_cst) == 0 &&
            slot(i).phase.load(std::memory_order_acquire) == worker_slot::ready) {
            continue;
        }
        try {
            workers_[i]->terminate();
        } catch (...) {
        } // not permitted? join will find out
    }
}

inline void crew::join() {
    if (order() == crew_board::work) throw ValueError("Pool is still running");
    constexpr auto grace = std::chrono::seconds(1);
    auto const patience = platform::clock::now() + grace;
    for (;;) {
        bool anybody = false;
        {
            std::scoped_lock const guard(mutex_);
            look_after_workers();
            bool const kill = order() == crew_board::leave && platform::clock::now() > patience;
            for (auto* const group : {&workers_, &leaving_}) {
                for (auto const& worker : *group) {
                    if (!worker || !worker->is_alive()) continue;
                    anybody = true;
                    if (kill) worker->kill(); // it ignored SIGTERM
                }
            }
        }
        if (!anybody) return;
        std::vector<platform::native_handle> sentinels;
        {
            std::scoped_lock const guard(mutex_);
            for (auto* const group : {&workers_, &leaving_}) {
                for (auto const& worker : *group) {
                    if (worker && worker->is_alive()) sentinels.push_back(worker->sentinel());
                }
            }
        }
        auto const ready = std::make_unique<bool[]>(sentinels.size());
        std::error_code error;
        platform::poll(sentinels, {ready.get(), sentinels.size()}, platform::clock::now() + patrol, error);
    }
}

inline std::vector<std::int64_t> crew::pids() {
    std::scoped_lock const guard(mutex_);
    std::vector<std::int64_t> all;
    for (auto const& worker : workers_) {
        if (worker) all.push_back(worker->pid().value_or(0));
    }
    return all;
}

} // namespace multiprocessing::inline v0::detail
