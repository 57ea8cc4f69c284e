#pragma once

#include <multiprocessing/detail/crew.hpp>

#include <algorithm>

/// The bodies of crew.hpp that look after workers: who has died, who takes too long, and what that means for the calls.
namespace multiprocessing::inline v0::detail {

inline void crew::patrol_if_due() {
    if (board_->attention.load(std::memory_order_acquire) != 0 ||
        platform::clock::now() - last_patrol_ >= patrol_interval) {
        look_after_workers();
    }
}

/// Whether there is something that nobody has begun.
inline bool crew::has_work() const noexcept {
    return std::any_of(calls_.begin(), calls_.end(), [](auto const& call) {
        return std::any_of(
            call->batches.begin(), call->batches.end(), [](owned_batch const& each) { return each.work->is_open(); });
    });
}

inline void crew::look_after_workers() {
    board_->attention.store(0, std::memory_order_seq_cst);
    last_patrol_ = platform::clock::now();
    if (order() == crew_board::finish) advance_all();
    check_times();
    std::erase_if(leaving_, [](auto const& worker) { return !worker->is_alive(); });
    for (std::size_t i = 0; i < workers_.size(); ++i) {
        if (!workers_[i]) continue;
        take_notes(i);
        look_at_worker(i);
    }
    for (std::size_t i = 0; i < workers_.size(); ++i) {
        // Whoever closed the pool still wants everything done that was submitted before.
        bool const needed = order() == crew_board::work || (order() == crew_board::finish && has_work());
        if (workers_[i] || !needed || broken_) continue;
        try {
            hire(i);
        } catch (...) {
            // Fewer workers do the work as well; without any, nobody would.
            if (std::none_of(workers_.begin(), workers_.end(), [](auto const& one) { return one != nullptr; })) {
                broken_ = std::current_exception();
            }
        }
    }
    for (auto at = calls_.begin(); at != calls_.end();) {
        auto& call = **at++;
        if (broken_) {
            end(call, broken_, true);
        } else if (call.attempts > 1 || call.in_stream) {
            harvest(call);
        }
    }
}

inline void crew::look_at_worker(std::size_t i) {
    auto const phase = slot(i).phase.load(std::memory_order_acquire);
    if (phase == worker_slot::retired) {
        record_end(i, workers_[i]->pid().value_or(0));
        leaving_.push_back(std::move(workers_[i]));
    } else if (phase == worker_slot::failed) {
        take_failure(i);
        leaving_.push_back(std::move(workers_[i]));
    } else if (auto const status = workers_[i]->exitcode()) {
        auto const pid = workers_[i]->pid().value_or(0);
        if (phase == worker_slot::ready) stillborn_ = 0;
        record_end(i, pid);
        workers_[i].reset();
        if (phase == worker_slot::starting && is_hopeless(*status) && !broken_ && order() != crew_board::leave) {
            broken_ =
                std::make_exception_ptr(WorkerDiedError(pid, *status, platform::signal_name(-*status), std::nullopt));
        }
        bury(i, pid, *status);
    } else if (phase == worker_slot::ready) {
        stillborn_ = 0;
    }
}

/// What the worker has written down about its items.
inline void crew::take_notes(std::size_t number) {
    if (!options_.records->wants_items()) return;
    auto const pid = workers_[number]->pid().value_or(0);
    notes_[number].read(slot(number).events, [&](item_event const& event) { options_.records->item(pid, event); });
}

inline void crew::record_end(std::size_t number, std::int64_t pid) {
    take_notes(number);
    notes_[number].end(slot(number).events);
    auto worker = insights_of(number);
    worker.pid = pid;
    worker.name = workers_[number]->name();
    options_.records->worker_ended(std::move(worker));
}

/// Condemns workers whose item takes too long. They cannot begin another one in the meantime.
inline void crew::check_times() {
    auto const now = platform::clock::now().time_since_epoch();
    for (auto const& call : calls_) {
        if (call->timeout.count() == 0) continue;
        for (auto const& each : call->batches) {
            arena_offset const position = arena::instance().offset_of(each.work);
            for (std::size_t i = 0; i < workers_.size(); ++i) {
                if (!workers_[i] || slot(i).batch.load(std::memory_order_seq_cst) != position) continue;
                std::uint64_t item = slot(i).item.load(std::memory_order_seq_cst);
                std::int64_t const began = slot(i).began.load(std::memory_order_seq_cst);
                if (began == 0 || now - platform::clock::duration(began) < call->timeout) continue;
                if (item == 0 || (item & (worker_slot::condemned | worker_slot::claimed)) != 0) continue;
                if (slot(i).item.compare_exchange_strong(
                        item, item | worker_slot::condemned, std::memory_order_seq_cst)) {
                    workers_[i]->kill();
                }
            }
        }
    }
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
    for (auto at = calls_.begin(); at != calls_.end();) {
        auto& call = **at++;
        try {
            settle_claims(call, number, item, pid, exitcode);
        } catch (...) { // no memory for what would have to be done again
            end(call, std::current_exception(), true);
        }
    }
}

inline void
crew::settle_claims(crew_call& call, std::size_t number, std::uint64_t item, std::int64_t pid, int exitcode) {
    bool const too_slow = (item & worker_slot::condemned) != 0;
    item &= ~worker_slot::condemned;
    if (item == worker_slot::claimed) item = 0;
    call.inexact_ = true;
    for (auto const& each : call.batches) { // there become more of them
        auto& work = *each.work;
        work.visit_claims([&](batch::chunk const& claim, std::optional<worker_number> owner) {
            if (owner != number) return;
            std::uint64_t rest = claim.begin;
            if (item > claim.begin && item <= claim.end) { // it ran item - 1
                std::uint64_t const index = work.first + item - 1;
                auto const reported = work.origin + index;
                auto const now = platform::clock::now().time_since_epoch().count();
                auto const began = slot(number).began.load(std::memory_order_relaxed);
                options_.records->died(too_slow);
                options_.records->item_lost(
                    pid,
                    {reported, began == 0 ? now : began, now, work.attempt, work.label, true},
                    too_slow ? "TaskTimeoutError" : "WorkerDiedError");
                auto error = too_slow ? std::make_exception_ptr(TaskTimeoutError(pid, reported, work.attempt))
                                      : std::make_exception_ptr(WorkerDiedError(
                                            pid, exitcode, platform::signal_name(-exitcode), reported, work.attempt));
                item_failed(
                    call,
                    work,
                    {index, platform::clock::now().time_since_epoch().count(), std::move(error)},
                    !too_slow);
                rest = item;
            } else if (item == claim.end + 1) { // the chunk was done
                rest = claim.end;
            }
            if (rest < claim.end) add(call, work.again(work.first + rest, claim.end - rest));
            work.finish(claim);
        });
    }
    board_->finished.fetch_add(1, std::memory_order_release);
    board_->done.notify_all();
}

} // namespace multiprocessing::inline v0::detail
