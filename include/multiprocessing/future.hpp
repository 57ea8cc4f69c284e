#pragma once

#include <multiprocessing/async_result.hpp>
#include <multiprocessing/detail/future_state.hpp>

#include <algorithm>
#include <compare>
#include <concepts>
#include <coroutine>
#include <cstddef>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <ranges>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

/// Python's `concurrent.futures`.
namespace multiprocessing::inline v0::futures {

template <class T, class Executor>
class FutureVia;

/// A result that will be there: what `submit` returns.
///
///     mp::futures::ThreadPoolExecutor executor(4);
///     auto future = executor.submit(solve, problem);
///     use(future.result());
///
/// Python: `concurrent.futures.Future`. A cheap handle: copies mean the same result. It can be awaited in a coroutine.
///
/// Safe from  any thread of the process that made it.
/// Example    examples/50_futures.cpp, 51_asio.cpp
template <class T>
class Future {
public:
    /// A future of your own, which you settle with set_result() or set_exception().
    Future() : Future(std::make_shared<detail::future_state<T>>()) {}
    explicit Future(std::shared_ptr<detail::future_state<T>> state) noexcept : state_(std::move(state)) {
        state_->add_handle();
    }
    Future(Future const& other) noexcept : Future(other.state_) {}
    Future(Future&& other) noexcept : state_(std::move(other.state_)) {}
    Future& operator=(Future other) noexcept {
        state_.swap(other.state_);
        return *this;
    }
    ~Future() {
        if (state_) state_->remove_handle();
    }

    /// The result, as often as one likes. Blocks until it is there.
    ///
    /// Python: `Future.result(timeout=None)`.
    /// Returns    a reference that is good as long as one of the handles; from a handle that is thrown away (as in
    ///            `executor.submit(f).result()`) the result itself, moved if no other handle is left
    /// Throws     TimeoutError  it did not come in time;  CancelledError  it was cancelled;  what the call threw;
    ///            ValueError  the result cannot be copied, and other handles still need it
    std::add_lvalue_reference_t<std::add_const_t<T>> result(Timeout timeout = {}) const&;
    T result(Timeout timeout = {}) &&;

    /// The exception; null if there is a result. Blocks, and throws TimeoutError and CancelledError, as result() does.
    /// Python: `Future.exception(timeout=None)`.
    std::exception_ptr exception(Timeout timeout = {}) const {
        await(timeout);
        return state_->outcome().error();
    }

    /// Has the call not begin. False if it has. Python: `Future.cancel()`.
    bool cancel() { return state_->cancel(); }

    bool cancelled() const { return state_->cancelled(); }
    bool running() const { return state_->running(); }
    /// Whether there is a result or an exception, or it was cancelled.
    bool done() const { return state_->done(); }

    /// Has func(future) called when the future is done: in the thread that completes or cancels it, in the order of the
    /// registrations; or here and now, if it is done. An exception is reported on standard error, and harms nothing.
    ///
    /// Python: `Future.add_done_callback(fn)`.
    template <std::invocable<Future> F>
    void add_done_callback(F func) {
        // The future is not kept alive by what it calls.
        auto const call = [self = std::weak_ptr(state_), func = std::make_shared<F>(std::move(func))] {
            if (auto state = self.lock()) std::invoke(*func, Future(std::move(state)));
        };
        if (!state_->try_add_callback(call)) detail::future_core::call_and_report(call);
    }

    /// For those who run calls: false if the future was cancelled, which is told to wait() and as_completed() now. Throws
    /// RuntimeError if it is running or has ended. Python: `Future.set_running_or_notify_cancel()`.
    bool set_running_or_notify_cancel() { return state_->set_running_or_notify_cancel(); }

    /// For those who run calls. Throw InvalidStateError if the future is done.
    template <class... Value>
        requires std::constructible_from<Outcome<T>, Value...> && (sizeof...(Value) == (std::is_void_v<T> ? 0 : 1))
    void set_result(Value&&... value) {
        state_->settle(Outcome<T>(std::forward<Value>(value)...));
    }
    void set_exception(std::exception_ptr error) {
        if (!error) throw ValueError("set_exception() needs an exception");
        state_->settle(Outcome<T>(std::move(error)));
    }
    template <class E>
        requires(!std::convertible_to<E, std::exception_ptr>)
    void set_exception(E error) {
        set_exception(std::make_exception_ptr(std::move(error)));
    }

    /// Python's repr: <Future at 0x55d0 state=finished returned int>
    std::string to_string() const { return state_->to_string(); }
    friend std::ostream& operator<<(std::ostream& stream, Future const& one) { return stream << one.to_string(); }

    /// Whether both are copies of each other.
    bool operator==(Future const& other) const noexcept { return state_ == other.state_; }
    std::strong_ordering operator<=>(Future const& other) const noexcept { return state_ <=> other.state_; }

    /// In a coroutine `co_await future` is the result, as result() gives it. The coroutine goes on in the thread that
    /// completes the future.
    auto operator co_await() const&;
    auto operator co_await() &&;

    /// To be awaited: the coroutine goes on in the executor, by execute(f) or post(f) of it, or of its get_executor(), or by
    /// calling it with f: `co_await future.via(io_context)`. That call comes from a thread of the pool, which may still be in
    /// it when the coroutine has ended: the io_context has to live longer than the pool, so declare it first.
    template <class Executor>
    FutureVia<T, Executor> via(Executor& executor) const {
        return {*this, executor};
    }

    /// For wait() and the like.
    detail::future_core& core() const noexcept { return *state_; }
    std::shared_ptr<detail::future_state<T>> const& state() const noexcept { return state_; }

private:
    void await(Timeout timeout) const {
        if (!state_->wait(timeout.deadline())) throw TimeoutError();
    }

    std::shared_ptr<detail::future_state<T>> state_;
};

/// When wait() returns.
enum class ReturnWhen { FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED };
inline constexpr auto FIRST_COMPLETED = ReturnWhen::FIRST_COMPLETED; ///< one is done
inline constexpr auto FIRST_EXCEPTION = ReturnWhen::FIRST_EXCEPTION; ///< one has an exception, or all are done
inline constexpr auto ALL_COMPLETED = ReturnWhen::ALL_COMPLETED;     ///< all are done

/// What wait() returns, each in the order of the input.
template <class F>
struct DoneAndNotDone {
    std::vector<F> done;
    std::vector<F> not_done;
};

/// Waits for futures. Duplicates count once. A future that was cancelled is done when its executor has noticed.
///
/// Python: `concurrent.futures.wait(fs, timeout=None, return_when=ALL_COMPLETED)`.
/// Example    auto [done, not_done] = mp::futures::wait(all, 1s, mp::futures::FIRST_COMPLETED);
template <std::ranges::input_range Futures>
auto wait(Futures&& futures, Timeout timeout = {}, ReturnWhen return_when = ALL_COMPLETED);

/// Futures as they are done: what as_completed() returns. An input range, to be gone through once. Move-only.
///
/// Safe from  one thread at a time.
template <class F>
class [[nodiscard]] CompletedFutures {
public:
    CompletedFutures(std::vector<F> futures, Timeout timeout);
    ~CompletedFutures();
    CompletedFutures(CompletedFutures&&) noexcept = default;
    CompletedFutures& operator=(CompletedFutures&&) = delete;

    /// The next one; empty: that was all. Throws TimeoutError if none comes within what was given to as_completed().
    std::optional<F> next();

    class iterator;
    iterator begin() { return iterator(*this); }
    std::default_sentinel_t end() const noexcept { return {}; }

private:
    std::map<std::size_t, F> pending_;
    std::size_t total_;
    std::size_t taken_ = 0;
    platform::deadline until_;
    std::shared_ptr<detail::future_waiter> waiter_;
};

/// The futures in the order in which they are done, those that are done already first. Duplicates count once.
///
/// Python: `concurrent.futures.as_completed(fs, timeout=None)`.
/// Throws     while it is gone through: TimeoutError "1 (of 3) futures unfinished", counted from this call
/// Example    for (auto const& future : mp::futures::as_completed(all)) use(future.result());
template <std::ranges::input_range Futures>
auto as_completed(Futures&& futures, Timeout timeout = {});

// ---- implementation

template <class F>
class CompletedFutures<F>::iterator {
public:
    using value_type = F;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    iterator() = default;
    explicit iterator(CompletedFutures& futures) : futures_(&futures), value_(futures.next()) {}

    F& operator*() const noexcept { return *value_; }
    iterator& operator++() {
        value_.reset(); // nothing is kept of a future that has had its turn
        value_ = futures_->next();
        return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const noexcept { return !value_; }

private:
    CompletedFutures* futures_ = nullptr;
    mutable std::optional<F> value_;
};

template <class T>
std::add_lvalue_reference_t<std::add_const_t<T>> Future<T>::result(Timeout timeout) const& {
    await(timeout);
    return state_->outcome().value();
}

template <class T>
T Future<T>::result(Timeout timeout) && {
    await(timeout);
    if constexpr (std::is_void_v<T>) {
        state_->outcome().value();
    } else {
        auto& value = state_->outcome().value();
        if (state_->has_one_handle()) return std::move(value);
        if constexpr (detail::can_be_copied<T>) {
            return value;
        } else {
            throw ValueError("the result cannot be copied, and another handle still needs it");
        }
    }
}

/// Goes on in the thread that completes the future.
template <class T, bool is_temporary>
struct FutureAwaiter {
    Future<T> future;

    bool await_ready() const { return future.done(); }
    bool await_suspend(std::coroutine_handle<> waiting) const {
        auto const state = future.state(); // this object may be gone before the call returns
        return state->try_add_callback([waiting] { waiting.resume(); });
    }
    decltype(auto) await_resume() {
        if constexpr (is_temporary) {
            return std::move(future).result();
        } else {
            return std::as_const(future).result();
        }
    }
};

template <class T>
auto Future<T>::operator co_await() const& {
    return FutureAwaiter<T, false>{*this};
}
template <class T>
auto Future<T>::operator co_await() && {
    return FutureAwaiter<T, true>{std::move(*this)};
}

/// A future with the executor in which who awaits it goes on.
template <class T, class Executor>
class FutureVia {
public:
    FutureVia(Future<T> future, Executor& executor) : future_(std::move(future)), executor_(&executor) {}

    bool await_ready() const noexcept { return false; } // it shall be the executor in any case
    void await_suspend(std::coroutine_handle<> waiting) const {
        auto const go_on = [waiting] { waiting.resume(); };
        auto const hand_over = [executor = executor_, go_on] { post(*executor, go_on); };
        auto const state = future_.state(); // this object may be gone before the call returns
        if (!state->try_add_callback(hand_over)) hand_over();
    }
    decltype(auto) await_resume() const { return future_.result(); }

private:
    template <class E, class F>
    static void post(E& executor, F function) {
        if constexpr (requires { executor.execute(function); }) {
            executor.execute(function);
        } else if constexpr (requires { executor.post(function); }) {
            executor.post(function);
        } else if constexpr (requires { executor.get_executor().execute(function); }) {
            executor.get_executor().execute(function);
        } else {
            executor(function);
        }
    }

    Future<T> future_;
    Executor* executor_;
};

namespace future_detail {

/// The futures, each once.
template <class Futures>
auto distinct(Futures&& futures) {
    using future = std::ranges::range_value_t<Futures>;
    std::vector<future> result;
    std::map<detail::future_core const*, bool> known;
    for (future one : futures) {
        if (known.emplace(&one.core(), true).second) result.push_back(std::move(one));
    }
    return result;
}

} // namespace future_detail

template <std::ranges::input_range Futures>
auto wait(Futures&& futures, Timeout timeout, ReturnWhen return_when) {
    auto const until = timeout.deadline();
    auto all = future_detail::distinct(futures);
    auto const waiter = std::make_shared<detail::future_waiter>();
    waiter->expect(all.size());
    struct finally {
        decltype(all)& futures;
        detail::future_waiter const& waiter;
        ~finally() {
            for (auto const& one : futures) one.core().detach(waiter);
        }
    };
    std::vector<bool> is_done(all.size());
    {
        finally const at_end{all, *waiter};
        for (std::size_t i = 0; i < all.size(); ++i) all[i].core().attach(waiter, i);
        waiter->wait(
            return_when == FIRST_COMPLETED ? std::min<std::size_t>(1, all.size()) : all.size(),
            return_when == FIRST_EXCEPTION,
            until);
        for (std::size_t const i : waiter->done()) is_done[i] = true;
    }
    DoneAndNotDone<std::ranges::range_value_t<Futures>> result;
    for (std::size_t i = 0; i < all.size(); ++i) {
        (is_done[i] ? result.done : result.not_done).push_back(std::move(all[i]));
    }
    return result;
}

template <class F>
CompletedFutures<F>::CompletedFutures(std::vector<F> futures, Timeout timeout)
    : total_(futures.size()), until_(timeout.deadline()), waiter_(std::make_shared<detail::future_waiter>()) {
    waiter_->expect(total_);
    for (std::size_t i = 0; i < futures.size(); ++i) pending_.emplace(i, std::move(futures[i]));
    for (auto const& [number, future] : pending_) future.core().attach(waiter_, number);
}

template <class F>
CompletedFutures<F>::~CompletedFutures() {
    for (auto const& [number, future] : pending_) future.core().detach(*waiter_);
}

template <class F>
std::optional<F> CompletedFutures<F>::next() {
    if (taken_ == total_) return std::nullopt;
    waiter_->wait(taken_ + 1, false, until_);
    auto const number = waiter_->done_at(taken_);
    if (!number) {
        throw TimeoutError(std::to_string(pending_.size()) + " (of " + std::to_string(total_) + ") futures unfinished");
    }
    ++taken_;
    return std::move(pending_.extract(*number).mapped());
}

template <std::ranges::input_range Futures>
auto as_completed(Futures&& futures, Timeout timeout) {
    return CompletedFutures<std::ranges::range_value_t<Futures>>(future_detail::distinct(futures), timeout);
}

} // namespace multiprocessing::inline v0::futures

template <class T>
struct std::hash<multiprocessing::futures::Future<T>> {
    std::size_t operator()(multiprocessing::futures::Future<T> const& future) const noexcept {
        return std::hash<void const*>()(&future.core());
    }
};
