#pragma once

#include <multiprocessing/detail/deadline.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/outcome.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace multiprocessing::inline v0 {

namespace detail {

/// A call that is on its way, whoever works on it. T: what it returns.
template <class T>
class async_state {
public:
    virtual ~async_state() = default;

    /// Waits for the outcome; false: it is not there by the deadline. Never throws what the call threw.
    virtual bool wait(platform::deadline until) = 0;
    /// Nobody needs the outcome any more; false: it is there already.
    virtual bool cancel() = 0;
    /// After wait() was true. The reference stays good as long as this object.
    virtual Outcome<T>& outcome() = 0;
};

/// Results that come one after the other. R: what one item gives.
template <class R>
class result_stream {
public:
    virtual ~result_stream() = default;

    /// The next outcome; empty: there are no more. Throws TimeoutError if there is none by the deadline.
    virtual std::optional<Outcome<R>> next(platform::deadline until) = 0;
};

/// Whether a copy compiles. A container says that it can be copied also if its elements cannot.
template <class T>
inline constexpr bool can_be_copied = std::copy_constructible<T>;
template <class T>
    requires std::copy_constructible<T> && requires { typename T::value_type; } &&
                 (!std::same_as<T, typename T::value_type>)
inline constexpr bool can_be_copied<T> = can_be_copied<typename T::value_type>;
template <class T>
inline constexpr bool can_be_copied<Outcome<T>> = std::is_void_v<T> || can_be_copied<T>;
template <class... T>
inline constexpr bool can_be_copied<std::tuple<T...>> = (can_be_copied<T> && ...);
template <class First, class Second>
inline constexpr bool can_be_copied<std::pair<First, Second>> = can_be_copied<First> && can_be_copied<Second>;

/// What an item gives in a stream: nothing is a value too.
template <class R>
using streamed = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

} // namespace detail

/// What to call when a call is done. Both run in one thread of the pool, so they should be quick; one that throws is
/// reported on the standard error stream, and harms nothing else. They run before the result becomes ready.
template <class T>
struct Callbacks {
    std::function<void(T const&)> callback{};                        ///< with the result
    std::function<void(std::exception_ptr const&)> error_callback{}; ///< with the exception instead
};
template <>
struct Callbacks<void> {
    std::function<void()> callback{};
    std::function<void(std::exception_ptr const&)> error_callback{};
};

/// The result of a call that is still running: what `apply_async`, `map_async` and `starmap_async` return.
///
///     auto answer = pool.apply_async(solve, problem);
///     …
///     use(answer.get());
///
/// Python: `multiprocessing.pool.AsyncResult`. A cheap handle: copies mean the same result. Differs:
///  - It always ends: a pool that is terminated or broken completes it with an error.
///  - cancel().
///
/// Safe from  any thread of the process that made it.
template <class T>
class [[nodiscard]] AsyncResult {
public:
    explicit AsyncResult(std::shared_ptr<detail::async_state<T>> state);

    /// The result, as often as one likes. Blocks until it is there.
    ///
    /// Python: `AsyncResult.get(timeout=None)`.
    /// Returns    a reference that is good as long as one of the handles; from a handle that is thrown away (as in
    ///            `pool.apply_async(f).get()`) the result itself, moved if no other handle is left
    /// Throws     TimeoutError  it did not come in time; it can still be waited for;
    ///            what the call threw, each time again; CancelledError after cancel();
    ///            ValueError  the result cannot be copied, and other handles still need it
    std::add_lvalue_reference_t<std::add_const_t<T>> get(Timeout timeout = {}) const&;
    T get(Timeout timeout = {}) &&;

    /// Waits until the result is there, or the time is over. Python: `AsyncResult.wait(timeout=None)`.
    void wait(Timeout timeout = {}) const { static_cast<void>(state_->wait(timeout.deadline())); }

    /// Whether the result is there. Does not block. Python: `AsyncResult.ready()`.
    bool ready() const { return state_->wait(platform::clock::now()); }

    /// Whether there was no exception. Throws ValueError as long as it is not ready. Python: `AsyncResult.successful()`.
    bool successful() const {
        if (!ready()) throw ValueError("the result is not ready");
        return state_->outcome().has_value();
    }

    /// Gives the call up: what is queued is not begun, workers that run it are ended and replaced, and get() throws
    /// CancelledError. Does not wait for that. Differs: Python cannot.
    /// Returns    false if the result is there already
    bool cancel() { return state_->cancel(); }

private:
    std::shared_ptr<detail::async_state<T>> state_;
};

/// Results as they come: what `imap` and `imap_unordered` return. An input range, to be gone through once.
///
///     for (auto const& page : pool.imap(fetch, addresses)) …
///
/// Python: `multiprocessing.pool.IMapIterator`. An item that failed throws when its turn comes; the ones after it can
/// still be had with next(), or by going on after the exception. Move-only. Its end, before the last result was taken,
/// cancels what is queued. If the pool breaks or is terminated, the next result throws why, and is the last. Differs:
/// next(timeout) with any chunksize.
///
/// Safe from  one thread at a time.
template <class R>
class [[nodiscard]] IMapIterator {
public:
    using value_type = detail::streamed<R>;

    explicit IMapIterator(std::unique_ptr<detail::result_stream<value_type>> stream) noexcept
        : stream_(std::move(stream)) {}

    /// The next result; empty: that was all. Blocks until it is there.
    ///
    /// Python: `IMapIterator.next(timeout=None)`.
    /// Throws     TimeoutError  it did not come in time, and may still come; what the item, or the input range, threw
    std::optional<value_type> next(Timeout timeout = {});

    class iterator;
    /// Waits for the first result.
    iterator begin();
    std::default_sentinel_t end() const noexcept { return {}; }

private:
    std::unique_ptr<detail::result_stream<value_type>> stream_;
};

template <class R>
class IMapIterator<R>::iterator {
public:
    using value_type = IMapIterator::value_type;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    iterator() = default;
    explicit iterator(IMapIterator& results) : results_(&results), value_(results.next()) {}

    value_type& operator*() const noexcept { return *value_; }
    iterator& operator++() {
        value_ = results_->next();
        return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const noexcept { return !value_; }

private:
    IMapIterator* results_ = nullptr;
    mutable std::optional<value_type> value_;
};

// ---- implementation

template <class T>
AsyncResult<T>::AsyncResult(std::shared_ptr<detail::async_state<T>> state) {
    // Counts the handles only: whoever works on the call holds it as well.
    auto* const object = state.get();
    state_ = std::shared_ptr<detail::async_state<T>>(object, [kept = std::move(state)](auto*) noexcept {});
}

template <class T>
std::add_lvalue_reference_t<std::add_const_t<T>> AsyncResult<T>::get(Timeout timeout) const& {
    if (!state_->wait(timeout.deadline())) throw TimeoutError();
    return state_->outcome().value();
}

template <class T>
T AsyncResult<T>::get(Timeout timeout) && {
    if (!state_->wait(timeout.deadline())) throw TimeoutError();
    if constexpr (std::is_void_v<T>) {
        state_->outcome().value();
    } else {
        auto& result = state_->outcome().value();
        if (state_.use_count() == 1) return std::move(result);
        if constexpr (detail::can_be_copied<T>) {
            return result;
        } else {
            throw ValueError("the result cannot be copied, and another handle still needs it");
        }
    }
}

template <class R>
std::optional<typename IMapIterator<R>::value_type> IMapIterator<R>::next(Timeout timeout) {
    auto outcome = stream_->next(timeout.deadline());
    if (!outcome) return std::nullopt;
    return std::move(*outcome).value();
}

template <class R>
typename IMapIterator<R>::iterator IMapIterator<R>::begin() {
    return iterator(*this);
}

} // namespace multiprocessing::inline v0
