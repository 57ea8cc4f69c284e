#pragma once

#include <multiprocessing/detail/crew.hpp>

#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

/// The bodies of crew.hpp about the attendant: the thread that looks after workers and calls while nobody waits.
namespace multiprocessing::inline v0::detail {

inline void crew::attend() {
    session const guard(*this);
    if (attendant_ || dismissed_) return;
    is_attended_.store(true, std::memory_order_release);
    attendant_ = std::make_unique<std::thread>([self = shared_from_this()]() mutable {
        auto* const owner = self.get();
        owner->run_attendant(std::move(self));
    });
    attendant_id_ = attendant_->get_id();
}

inline void crew::run_attendant(std::shared_ptr<crew> self) {
    platform::block_signals_in_this_thread();
    for (bool stay = true; stay;) {
        try {
            stay = self->attend_once();
        } catch (...) { // no memory, or no process; perhaps later
            std::this_thread::sleep_for(patrol_interval);
        }
    }
}

/// Looks at everything, calls back who waits for that, and sleeps until there may be more. False: that was all.
inline bool crew::attend_once() {
    std::list<std::shared_ptr<crew_call>> ready;
    std::vector<std::pair<std::shared_ptr<crew_call>, std::uint64_t>> showing;
    auto until = platform::never;
    std::uint64_t finished = 0;
    std::uint64_t nudges = 0;
    {
        session const guard(*this);
        finished = board_->finished.load(std::memory_order_acquire);
        nudges = nudges_.load(std::memory_order_acquire);
        look_after_workers();
        advance_all();
        if (!calls_.empty()) until = platform::clock::now() + patrol_interval;
        for (auto const& call : calls_) {
            if (call->shows_progress) showing.emplace_back(call, call->items_done());
        }
        if (to_announce_.empty() && dismissed_) return false;
        ready.swap(to_announce_);
    }
    for (auto const& [call, done] : showing) call->show_progress(done);
    for (auto const& call : ready) {
        call->announce();
        call->announced_.store(true, std::memory_order_release);
        board_->done.notify_all();
    }
    if (!ready.empty()) return true;
    board_->done.await(
        [&] {
            return board_->finished.load(std::memory_order_acquire) != finished ||
                   nudges_.load(std::memory_order_acquire) != nudges ||
                   board_->attention.load(std::memory_order_acquire) != 0;
        },
        until);
    return true;
}

/// It announces what is finished, and ends. Only after terminate, or when nothing is left to be done.
inline void crew::dismiss_attendant() noexcept {
    bool is_attendant = false;
    {
        std::scoped_lock const guard(mutex_);
        dismissed_ = true; // from here on none is begun
        nudges_.fetch_add(1, std::memory_order_release);
        is_attendant = attendant_id_ == std::this_thread::get_id();
    }
    board_->done.notify_all();
    if (is_attendant) return; // in a callback, with which it ends
    std::scoped_lock const one_of_several(joining_);
    if (!attendant_) return;
    attendant_->join();
    attendant_.reset();
}

} // namespace multiprocessing::inline v0::detail
