#pragma once

#include <multiprocessing/detail/thread_call.hpp>
#include <multiprocessing/detail/thread_crew.hpp>
#include <multiprocessing/future.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

/// What executors have in common: threads that run one task after the other, each of which settles a future. A task of
/// an executor of processes asks a pool to do it, and waits for that.
namespace multiprocessing::inline v0::detail {

/// A task in the line. body() returns what the future shall become, or throws.
template <class T, class Body>
class future_task final : public thread_work {
public:
    explicit future_task(Body body)
        : thread_work(1, 1), body_(std::move(body)), state_(std::make_shared<future_state<T>>()) {}

    std::shared_ptr<future_state<T>> const& state() const noexcept { return state_; }

    void run(std::uint64_t, std::uint64_t) noexcept override {
        auto const state = std::move(state_);
        if (!state->set_running_or_notify_cancel()) return;
        auto outcome = [&]() noexcept -> Outcome<T> {
            try {
                if constexpr (std::is_void_v<T>) {
                    (*body_)();
                    return {};
                } else {
                    return (*body_)();
                }
            } catch (...) {
                return std::current_exception();
            }
        }();
        body_.reset(); // nothing of the task is kept when its result is there
        settle(*state, std::move(outcome));
    }

    /// Without a reason it is cancelled.
    void drop(std::uint64_t, std::exception_ptr const& reason) noexcept override {
        auto const state = std::move(state_);
        body_.reset();
        if (!reason) state->cancel();
        if (state->set_running_or_notify_cancel()) settle(*state, reason);
    }

private:
    static void settle(future_state<T>& state, Outcome<T> outcome) noexcept {
        try {
            state.settle(std::move(outcome));
        } catch (futures::InvalidStateError const&) { // somebody else has settled it
        }
    }

    std::optional<Body> body_;
    std::shared_ptr<future_state<T>> state_;
};

/// The threads of an executor. Ends like one: waits for what was submitted.
class executor_threads {
public:
    explicit executor_threads(thread_crew_options options) : crew_(std::make_unique<thread_crew>(std::move(options))) {}
    ~executor_threads() {
        if (!crew_->is_owner()) { // a forked child has none of the threads
            static_cast<void>(crew_.release());
            return;
        }
        crew_->close();
        crew_->join();
    }
    executor_threads(executor_threads const&) = delete;
    executor_threads& operator=(executor_threads const&) = delete;

    template <class T, class Body>
    futures::Future<T> submit(Body body) {
        crew_->require_owner();
        auto task = std::make_shared<future_task<T, Body>>(std::move(body));
        futures::Future<T> future(task->state());
        try {
            crew_->submit(std::move(task));
        } catch (ValueError const&) {
            throw RuntimeError("cannot schedule new futures after shutdown");
        }
        return future;
    }

    void shutdown(bool wait, bool cancel_futures) {
        crew_->require_owner();
        crew_->close();
        if (cancel_futures) crew_->withdraw_all(nullptr);
        if (wait) crew_->join();
    }

    thread_crew& crew() const noexcept { return *crew_; }

private:
    std::unique_ptr<thread_crew> crew_;
};

/// Gives chunks of calls to an executor, and their results one by one.
template <class R>
class mapped_calls {
public:
    using results = std::vector<streamed<R>>;

    virtual ~mapped_calls() {
        for (auto& future : submitted) future.cancel();
    }
    mapped_calls() = default;
    mapped_calls(mapped_calls const&) = delete;
    mapped_calls& operator=(mapped_calls const&) = delete;

    /// Submits as many chunks as the buffer allows.
    virtual void fill() = 0;

    std::deque<futures::Future<results>> submitted;
};

} // namespace multiprocessing::inline v0::detail
