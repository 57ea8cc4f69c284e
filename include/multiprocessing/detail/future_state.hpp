#pragma once

#include <multiprocessing/detail/condition_wait.hpp>
#include <multiprocessing/detail/deadline.hpp>
#include <multiprocessing/detail/exceptions.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/outcome.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// What the handles on one future share.
namespace multiprocessing::inline v0::detail {

/// Somebody who waits for several futures, which he has numbered.
class future_waiter {
public:
    void done(std::size_t number, bool failed) noexcept {
        {
            std::scoped_lock const guard(mutex_);
            done_.push_back(number); // there is room
            failures_ += failed;
        }
        changed_.notify_all();
    }

    /// Before the first is attached.
    void expect(std::size_t count) { done_.reserve(count); }

    /// Waits until so many are done, or one has failed if that is enough.
    void wait(std::size_t count, bool or_failure, platform::deadline until) {
        std::unique_lock guard(mutex_);
        wait_until(changed_, guard, until, [&] { return done_.size() >= count || (or_failure && failures_ != 0); });
    }

    /// Those that are done, in the order in which they came.
    std::vector<std::size_t> done() const {
        std::scoped_lock const guard(mutex_);
        return done_;
    }
    std::optional<std::size_t> done_at(std::size_t place) const {
        std::scoped_lock const guard(mutex_);
        return place < done_.size() ? std::optional(done_[place]) : std::nullopt;
    }

private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::size_t> done_;
    std::size_t failures_ = 0;
};

/// The states of a future, without its value.
class future_core {
public:
    enum class state { pending, running, cancelled, cancelled_and_notified, finished };

    virtual ~future_core() = default;

    bool cancel() {
        std::unique_lock guard(mutex_);
        if (state_ == state::running || state_ == state::finished) return false;
        if (state_ != state::pending) return true;
        state_ = state::cancelled;
        announce(std::move(guard));
        return true;
    }

    bool cancelled() const { return is(state::cancelled) || is(state::cancelled_and_notified); }
    bool running() const { return is(state::running); }
    bool done() const {
        std::scoped_lock const guard(mutex_);
        return is_done();
    }

    /// False: it was cancelled. Whoever waits for several futures sees that only now.
    bool set_running_or_notify_cancel() {
        std::unique_lock guard(mutex_);
        if (state_ == state::pending) {
            state_ = state::running;
            return true;
        }
        if (state_ != state::cancelled) {
            throw RuntimeError("Future in unexpected state: " + std::string(name_of(state_)));
        }
        state_ = state::cancelled_and_notified;
        tell_waiters(false);
        return false;
    }

    /// Until it has a value, or was cancelled. False: not by the deadline.
    bool wait(platform::deadline until) const {
        std::unique_lock guard(mutex_);
        return wait_until(changed_, guard, until, [&] { return is_done(); });
    }

    /// Calls it when the future is done; false: it is done already, and it will not be called.
    bool try_add_callback(std::function<void()> callback) {
        std::scoped_lock const guard(mutex_);
        if (is_done()) return false;
        callbacks_.push_back(std::move(callback));
        return true;
    }

    void attach(std::shared_ptr<future_waiter> const& waiter, std::size_t number) {
        std::scoped_lock const guard(mutex_);
        if (state_ == state::finished || state_ == state::cancelled_and_notified) {
            waiter->done(number, failed());
        } else {
            waiters_.push_back({waiter, number});
        }
    }
    void detach(future_waiter const& waiter) noexcept {
        std::scoped_lock const guard(mutex_);
        std::erase_if(waiters_, [&](auto const& one) { return one.who.get() == &waiter; });
    }

    std::string to_string() const {
        std::scoped_lock const guard(mutex_);
        return describe();
    }

    /// Handles are counted; executors have none. With the last one the value goes, as nobody can ask for it: it shall not
    /// be destroyed by a thread that just has not let go of the future yet.
    void add_handle() noexcept { handles_.fetch_add(1, std::memory_order_relaxed); }
    void remove_handle() noexcept {
        if (handles_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
        std::scoped_lock const guard(mutex_);
        if (announced_ && handles_.load(std::memory_order_relaxed) == 0) forget();
    }
    bool has_one_handle() const noexcept { return handles_.load(std::memory_order_acquire) == 1; }

    static void call_and_report(std::function<void()> const& callback) noexcept {
        try {
            callback();
        } catch (...) {
            std::fprintf(
                stderr,
                "multiprocessing: exception calling callback of a future:\n%s\n",
                describe_exception(std::current_exception()).c_str());
        }
    }

protected:
    /// What finished() stored, as text; with the lock held.
    virtual std::string describe_outcome() const = 0;
    virtual bool failed() const noexcept = 0;
    virtual void forget() noexcept = 0;

    /// Throws InvalidStateError if it is done; otherwise `store` puts the outcome into its place.
    template <class Store>
    void finish(Store store) {
        std::unique_lock guard(mutex_);
        if (is_done()) throw futures::InvalidStateError(std::string(name_of(state_)) + ": " + describe());
        store();
        state_ = state::finished;
        tell_waiters(failed());
        announce(std::move(guard));
    }

private:
    struct waiting {
        std::shared_ptr<future_waiter> who;
        std::size_t number;
    };

    static char const* name_of(state one) noexcept {
        constexpr char const* names[] = {"PENDING", "RUNNING", "CANCELLED", "CANCELLED_AND_NOTIFIED", "FINISHED"};
        return names[static_cast<int>(one)];
    }
    bool is(state one) const {
        std::scoped_lock const guard(mutex_);
        return state_ == one;
    }
    bool is_done() const noexcept { return state_ != state::pending && state_ != state::running; }

    void tell_waiters(bool failure) noexcept {
        for (auto const& [who, number] : waiters_) who->done(number, failure);
        waiters_.clear();
    }

    void announce(std::unique_lock<std::mutex> guard) noexcept {
        auto const callbacks = std::move(callbacks_);
        callbacks_.clear();
        announced_ = callbacks.empty();
        changed_.notify_all();
        guard.unlock();
        for (auto const& callback : callbacks) call_and_report(callback);
    }

    std::string describe() const {
        char place[2 + 2 * sizeof(void*) + 1]; // not with %p, which each system writes as it likes
        std::snprintf(place, sizeof place, "0x%jx", reinterpret_cast<std::uintmax_t>(this));
        std::string text = std::string("<Future at ") + place + " state=";
        switch (state_) {
        case state::pending: return text + "pending>";
        case state::running: return text + "running>";
        case state::finished: return text + "finished " + describe_outcome() + '>';
        default: return text + "cancelled>";
        }
    }

    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    state state_ = state::pending;
    std::vector<std::function<void()>> callbacks_;
    std::vector<waiting> waiters_;
    bool announced_ = false; // it is done, and there was nobody to be called back
    std::atomic<long> handles_{0};
};

template <class T>
class future_state final : public future_core {
public:
    void settle(Outcome<T> outcome) {
        finish([&] { outcome_.emplace(std::move(outcome)); });
    }

    /// After wait(): what it has become. Throws CancelledError.
    Outcome<T>& outcome() {
        if (cancelled()) throw CancelledError();
        return *outcome_;
    }

private:
    std::string describe_outcome() const override {
        if (outcome_->has_value()) return "returned " + (std::is_void_v<T> ? "None" : readable_name<T>());
        auto const summary = summarise(outcome_->error());
        return "raised " + (summary.remote ? summary.remote->type_name : summary.type_name);
    }
    bool failed() const noexcept override { return outcome_ && !outcome_->has_value(); }
    void forget() noexcept override { outcome_.reset(); }

    std::optional<Outcome<T>> outcome_;
};

} // namespace multiprocessing::inline v0::detail
