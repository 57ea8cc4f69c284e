#pragma once

#include <multiprocessing/detail/crew_attendant.hpp>
#include <multiprocessing/detail/crew_care.hpp>

#include <algorithm>
#include <cstdio>

/// The bodies of crew.hpp: calls, and the end. What deaths leave is in crew_care.hpp.
namespace multiprocessing::inline v0::detail {

/// Gives back a batch and what workers have left in it.
inline void dispose(batch* work) noexcept {
    for (arena_offset at = work->failures.load(std::memory_order_acquire); at != 0;) {
        auto* const record = arena::instance().at<failure_record>(at);
        at = record->next;
        free_failure(record);
    }
    free_regions(work->regions.load(std::memory_order_acquire));
    batch::free(work);
}

inline std::shared_ptr<crew> crew::make(crew_options options) {
    std::shared_ptr<crew> const made(new crew(std::move(options)));
    try {
        for (std::size_t i = 0; i < made->options_.workers; ++i) made->hire(i);
    } catch (...) {
        made->terminate();
        made->join();
        throw;
    }
    return made;
}

inline crew::crew(crew_options options) : options_(std::move(options)) {
    memory_ = arena_block(sizeof(crew_board) + options_.workers * sizeof(worker_slot));
    board_ = ::new (static_cast<void*>(memory_.get())) crew_board;
    board_->size = options_.workers;
    board_->chunks_per_worker = options_.chunks_per_worker;
    board_->processor_shares = process_state::instance().processor_shares * options_.workers;
    for (std::size_t i = 0; i < options_.workers; ++i) ::new (static_cast<void*>(&slot(i))) worker_slot;
    board_->notes_items = options_.records->wants_items();
    workers_.resize(options_.workers);
    notes_.resize(options_.workers);
    last_ = batch::make(0, 0, 0, 1); // the front is never nothing
    retired_.push_back({last_, nullptr});
    board_->front.store(arena::instance().offset_of(last_), std::memory_order_release);
}

inline crew::~crew() {
    if (!is_owned()) { // a forked child: nothing here is its own
        for (auto& worker : workers_) static_cast<void>(worker.release());
        for (auto& worker : leaving_) static_cast<void>(worker.release());
        static_cast<void>(attendant_.release());
        static_cast<void>(memory_.release());
        return;
    }
    terminate();
    try {
        join();
    } catch (...) {
    }
    if (attendant_) attendant_->detach(); // this is it, dropping the last handle
    for (auto const& each : retired_) dispose(each.work);
}

inline void crew::require_owner() const {
    if (!is_owned()) throw AssertionError("a pool can only be used by the process that made it");
}

inline void crew::hire(std::size_t number) {
    slot(number).reset();
    auto worker = std::make_unique<crew_worker>(
        ProcessOptions{
            .name = options_.name + '-' + std::to_string(hired_ + 1), .daemon = true, .method = options_.method},
        memory_.offset(),
        static_cast<worker_number>(number),
        options_.routine);
    worker->start();
    ++hired_;
    options_.records->worker_began(worker->pid().value_or(0), worker->name());
    workers_[number] = std::move(worker);
}

// ---- calls

inline void crew::append(batch* work) noexcept {
    work->sequence = last_->sequence + 1;
    last_->next.store(arena::instance().offset_of(work), std::memory_order_release);
    last_ = work;
    board_->submitted.fetch_add(1, std::memory_order_release);
    if (work->count == 1) {
        board_->idle.notify_one();
    } else {
        board_->idle.notify_all();
    }
}

inline void crew::submit(std::shared_ptr<crew_call> const& call, bool of_stream) {
    batch* const work = call->batches.front().work;
    try {
        session const guard(*this);
        if (of_stream ? order() == crew_board::leave : is_closed()) throw ValueError("Pool not running");
        if (broken_) std::rethrow_exception(broken_);
        // What is done need not be kept for whoever comes for it late, or never.
        if (calls_.size() >= calls_at_sweep_) {
            advance_all();
            calls_at_sweep_ = std::max<std::size_t>(64, 2 * calls_.size());
        } else if (!calls_.empty()) {
            advance(*calls_.front());
        }
        free_retired();
        call->regions.reserve(1);
        calls_.push_back(call);
        call->place_ = std::prev(calls_.end());
        append(work);
        if (options_.one_call) close();
    } catch (...) {
        call->batches.clear();
        batch::free(work);
        throw;
    }
    nudges_.fetch_add(1, std::memory_order_release);
    if (is_attended_.load(std::memory_order_acquire)) board_->done.notify_all();
}

template <class Condition>
bool crew::wait(crew_call& call, platform::deadline until, Condition&& condition) {
    for (;;) {
        std::uint64_t seen = 0;
        {
            session const guard(*this);
            seen = board_->finished.load(std::memory_order_acquire);
            advance(call);
            if (condition()) return true;
            patrol_if_due();
            advance(call);
            if (condition()) return true;
        }
        auto const now = platform::clock::now();
        if (until != platform::never && now >= until) return false;
        board_->done.await(
            [&] {
                return call.is_ready() || board_->finished.load(std::memory_order_acquire) != seen ||
                       board_->attention.load(std::memory_order_acquire) != 0;
            },
            std::min(until, now + patrol_interval));
    }
}

inline bool crew::wait(crew_call& call, platform::deadline until) {
    if (call.is_ready()) return true;
    require_owner();
    return wait(call, until, [&] { return call.is_ready(); });
}

inline bool crew::cancel(crew_call& call, std::exception_ptr outcome, bool end_workers) {
    require_owner();
    session const guard(*this);
    if (advance(call)) return false;
    end(call, std::move(outcome), end_workers);
    return true;
}

/// Whether the call is finished; if it just became so, that is done what is due then.
inline bool crew::advance(crew_call& call) {
    if (call.is_finished()) return true;
    if (!call.is_done()) return false;
    harvest(call);
    if (!call.is_done()) return false; // something is tried again
    finish(call);
    return true;
}

inline void crew::advance_all() {
    for (auto at = calls_.begin(); at != calls_.end();) advance(**at++);
}

/// What workers have reported: tried again, or for good.
inline void crew::harvest(crew_call& call) {
    for (auto const& each : call.batches) { // there become more of them
        for (arena_offset at = each.work->failures.exchange(0, std::memory_order_acquire); at != 0;) {
            auto* const record = arena::instance().at<failure_record>(at);
            at = record->next;
            failed_item item{
                record->index, record->when, load_exception({record->bytes(), static_cast<std::size_t>(record->size)})};
            free_failure(record);
            item_failed(call, *each.work, std::move(item), false);
        }
    }
}

inline void crew::item_failed(crew_call& call, batch const& work, failed_item item, bool by_death) {
    auto const deaths = work.deaths + (by_death ? 1u : 0u);
    if (work.attempt < call.attempts && deaths < call.most_deaths) {
        try {
            auto* const again = work.again(item.index, 1);
            again->attempt = work.attempt + 1;
            again->deaths = deaths;
            add(call, again);
            options_.records->retried();
            return;
        } catch (std::bad_alloc const&) {
        } // then it is not tried again
    }
    call.failed.push_back(std::move(item));
}

inline void crew::add(crew_call& call, batch* again) {
    try {
        call.regions.reserve(std::max(call.regions.capacity(), 2 * call.batches.size() + 2));
        call.batches.push_back({again, nullptr});
    } catch (...) {
        batch::free(again);
        throw;
    }
    append(again);
}

/// The call will not be worked on any more. Workers may still be at it, so its memory stays until they are elsewhere.
inline void crew::end(crew_call& call, std::exception_ptr outcome, bool end_workers) noexcept {
    call.ended = std::move(outcome);
    for (auto const& each : call.batches) each.work->given_up.store(1, std::memory_order_seq_cst);
    for (std::size_t i = 0; end_workers && i < workers_.size(); ++i) {
        arena_offset at = slot(i).batch.load(std::memory_order_seq_cst);
        bool const concerned = std::any_of(call.batches.begin(), call.batches.end(), [&](owned_batch const& each) {
            return arena::instance().offset_of(each.work) == at;
        });
        if (!concerned || slot(i).item.load(std::memory_order_seq_cst) == 0 || !workers_[i]) continue;
        if (!slot(i).batch.compare_exchange_strong(at, at | worker_slot::abandoned, std::memory_order_seq_cst))
            continue;
        try {
            workers_[i]->kill();
        } catch (...) {
        } // it waits at the end of its item
    }
    finish(call);
}

inline void crew::finish(crew_call& call) noexcept {
    auto const self = *call.place_;
    for (auto& each : call.batches) {
        if (call.ended) {
            each.keeps = self;
        } else {
            call.regions.push_back(each.work->regions.exchange(0, std::memory_order_acquire));
        }
    }
    call.total_ = call.batches.front().work->count;
    call.pace = call.batches.front().work->pace;
    retired_.splice(retired_.end(), call.batches);
    auto& next = call.announced_by_attendant ? to_announce_ : dropped_;
    next.splice(next.end(), calls_, call.place_);
    call.finished_.store(true, std::memory_order_release);
    nudges_.fetch_add(1, std::memory_order_release);
    board_->done.notify_all();
}

inline bool crew::is_named(batch const* work) noexcept {
    arena_offset const position = arena::instance().offset_of(work);
    for (std::size_t i = 0; i < options_.workers; ++i) {
        if ((slot(i).batch.load(std::memory_order_seq_cst) & ~worker_slot::abandoned) == position) return true;
    }
    return false;
}

inline void crew::free_retired() noexcept {
    auto const front = arena::instance().at<batch>(board_->front.load(std::memory_order_seq_cst))->sequence;
    for (auto at = retired_.begin(); at != retired_.end();) {
        auto const each = at++;
        if (each->work->sequence >= front || is_named(each->work)) continue;
        dispose(each->work);
        dropped_batches_.splice(dropped_batches_.end(), retired_, each);
    }
}

// ---- the end

inline void crew::close() noexcept {
    closed_.store(true, std::memory_order_seq_cst);
    if (streams_.load(std::memory_order_seq_cst) == 0) let_workers_leave();
}

inline void crew::end_stream() noexcept {
    if (streams_.fetch_sub(1, std::memory_order_seq_cst) == 1 && closed_.load(std::memory_order_seq_cst)) {
        let_workers_leave();
    }
}

inline void crew::let_workers_leave() noexcept {
    std::uint32_t expected = crew_board::work;
    board_->orders.compare_exchange_strong(expected, crew_board::finish, std::memory_order_acq_rel);
    board_->idle.notify_all();
}

inline void crew::terminate() noexcept {
    closed_.store(true, std::memory_order_seq_cst);
    board_->orders.store(crew_board::leave, std::memory_order_seq_cst);
    board_->idle.notify_all();
    board_->done.notify_all();
    session const guard(*this);
    for (auto const& guest : guests_) guest->terminate();
    auto const reason = std::make_exception_ptr(ProcessError("the pool was terminated"));
    while (!calls_.empty()) end(*calls_.front(), reason, false);
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
    if (!is_closed()) throw ValueError("Pool is still running");
    let_workers_leave();
    constexpr auto grace = std::chrono::seconds(1);
    auto const patience = platform::clock::now() + grace;
    for (;;) {
        std::vector<platform::native_handle> sentinels;
        {
            session const guard(*this);
            look_after_workers();
            bool const kill = order() == crew_board::leave && platform::clock::now() > patience;
            for (auto* const group : {&workers_, &leaving_}) {
                for (auto const& worker : *group) {
                    if (!worker || !worker->is_alive()) continue;
                    sentinels.push_back(worker->sentinel());
                    if (kill) worker->kill(); // it ignored SIGTERM
                }
            }
        }
        if (sentinels.empty()) break;
        auto const ready = std::make_unique<bool[]>(sentinels.size());
        std::error_code error;
        platform::poll(sentinels, {ready.get(), sentinels.size()}, platform::clock::now() + patrol_interval, error);
    }
    std::vector<std::shared_ptr<crew>> guests;
    {
        session const guard(*this);
        guests.swap(guests_);
        // Nobody is left who could look at calls that were given up; and they refer to this.
        for (auto& each : retired_) {
            if (each.keeps) dropped_.push_back(std::move(each.keeps));
        }
    }
    for (auto const& guest : guests) {
        guest->close();
        guest->join();
    }
    dismiss_attendant();
}

inline void crew::lodge(std::shared_ptr<crew> guest) {
    std::vector<std::shared_ptr<crew>> gone;
    {
        session const guard(*this);
        if (is_closed()) throw ValueError("Pool not running");
        for (auto& each : guests_) {
            if (each->is_closed() && each->is_idle()) gone.push_back(std::move(each));
        }
        std::erase(guests_, nullptr);
        guests_.push_back(std::move(guest));
    }
    for (auto const& each : gone) each->join();
}

inline bool crew::is_idle() {
    session const guard(*this);
    advance_all();
    return calls_.empty();
}

inline std::uint64_t crew::items_done(crew_call const& call) {
    session const guard(*this);
    return call.items_done();
}

inline WorkerInsights crew::insights_of(std::size_t number) const {
    auto const& slot = board_->slot(static_cast<worker_number>(number));
    auto const load = [](auto const& word) { return word.load(std::memory_order_relaxed); };
    auto const since = [](std::int64_t ticks) {
        return platform::clock::now().time_since_epoch() - platform::clock::duration(ticks);
    };
    WorkerInsights result;
    result.items = load(slot.items);
    result.chunks = load(slot.chunks);
    result.working = platform::clock::duration(load(slot.working));
    auto const hired = load(slot.hired);
    auto const ready = load(slot.ready_since);
    result.start_up = ready == 0 ? since(hired) : platform::clock::duration(ready - hired);
    if (ready != 0) result.waiting = std::max<std::chrono::nanoseconds>(since(ready) - result.working, {});
    return result;
}

inline void crew::report(Insights& insights) {
    session const guard(*this);
    for (std::size_t i = 0; i < workers_.size(); ++i) {
        if (!workers_[i]) continue;
        take_notes(i);
        auto worker = insights_of(i);
        worker.pid = workers_[i]->pid().value_or(0);
        worker.name = workers_[i]->name();
        insights.workers.push_back(std::move(worker));
    }
}

inline crew_owner::~crew_owner() {
    if (!crew_ || !crew_->is_owned()) return;
    crew_->terminate();
    try {
        crew_->join();
    } catch (...) {
    } // the system refused; the exit of this process ends the workers
    try {
        crew_->options().records->close();
    } catch (std::exception const& error) {
        std::fprintf(stderr, "multiprocessing: %s\n", error.what());
    }
}

inline std::vector<std::int64_t> crew::pids() {
    session const guard(*this);
    std::vector<std::int64_t> all;
    for (auto const& worker : workers_) {
        if (worker) all.push_back(worker->pid().value_or(0));
    }
    return all;
}

} // namespace multiprocessing::inline v0::detail
