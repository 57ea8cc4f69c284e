#pragma once

#include <multiprocessing/async_result.hpp>
#include <multiprocessing/call_options.hpp>
#include <multiprocessing/detail/call_data.hpp>
#include <multiprocessing/detail/call_traits.hpp>
#include <multiprocessing/detail/condition_wait.hpp>
#include <multiprocessing/detail/exceptions.hpp>
#include <multiprocessing/detail/running_task.hpp>
#include <multiprocessing/detail/thread_crew.hpp>
#include <multiprocessing/progress.hpp>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <ranges>
#include <stop_token>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

/// Calls of a pool of threads: what its threads run, and where the results appear.
namespace multiprocessing::inline v0::detail {

// ---- what is run: an object that is called with the number of an item, and whether the item will be needed again

/// The items stay where they are.
template <class F, class Iterator>
struct items_in_place {
    F* function;
    Iterator begin;
    decltype(auto) operator()(std::uint64_t i, bool) const {
        return std::invoke(*function, begin[static_cast<std::iter_difference_t<Iterator>>(i)]);
    }
};

/// The items are kept as a function of this signature wants them, and moved into it.
template <class F, class Signature>
struct items_kept {
    using kept = typename Signature::kept;
    F function;
    std::vector<kept> items;
    decltype(auto) operator()(std::uint64_t i, bool once_more) {
        kept& item = items[static_cast<std::size_t>(i)];
        if constexpr (can_be_copied<kept>) {
            if (once_more) {
                kept copy = item;
                return Signature::call(function, copy);
            }
        }
        return Signature::call(function, item);
    }
};

template <class F, class Items>
using map_signature = signature_of<F, std::ranges::range_reference_t<Items>>;
template <class F, class Items>
using starmap_signature = tuple_signature<F, std::remove_cvref_t<std::ranges::range_reference_t<Items>>>;

/// A container that its user has given away, with the elements in it.
template <class Items>
inline constexpr bool is_given_away =
    !std::is_lvalue_reference_v<Items> && !std::is_const_v<Items> && !std::ranges::view<std::remove_cv_t<Items>>;

/// Makes what is kept of an element: all arguments of the function, or its only one.
template <class Signature, class Items, bool is_tuple>
struct item_keeper {
    using kept = typename Signature::kept;

    template <class Element>
    kept operator()(Element&& element) const {
        if constexpr (is_given_away<Items> && std::is_lvalue_reference_v<Element>) {
            return keep(std::move(element));
        } else {
            return keep(std::forward<Element>(element));
        }
    }

private:
    template <class Element>
    static kept keep(Element&& element) {
        if constexpr (is_tuple) {
            return keep_item<kept>(std::forward<Element>(element));
        } else {
            static_assert(
                Signature::arity == 1,
                "multiprocessing: map() calls its function with one argument; starmap() unpacks");
            return kept(keep_item<std::tuple_element_t<0, kept>>(std::forward<Element>(element)));
        }
    }
};

template <class Signature, bool is_tuple, class Items>
std::vector<typename Signature::kept> keep_all(Items&& items) {
    item_keeper<Signature, Items, is_tuple> const keep;
    std::vector<typename Signature::kept> all;
    if constexpr (std::ranges::sized_range<Items>) all.reserve(static_cast<std::size_t>(std::ranges::size(items)));
    for (auto&& item : items) all.push_back(keep(std::forward<decltype(item)>(item)));
    return all;
}

// ---- what becomes of the outcomes of the items

template <class R>
using outcomes_of = std::vector<std::optional<Outcome<R>>>;

/// Calls with one item.
template <class R>
struct the_only_result {
    using item = R;
    using type = R;
    static Outcome<R> gather(outcomes_of<R>& outcomes, std::exception_ptr const&) { return std::move(*outcomes[0]); }
};

/// All results, or the first exception.
template <class R>
struct all_results {
    using item = R;
    using type = std::conditional_t<std::is_void_v<R>, void, std::vector<R>>;
    static Outcome<type> gather(outcomes_of<R>& outcomes, std::exception_ptr const& first_error) {
        if (first_error) return first_error;
        if constexpr (std::is_void_v<R>) {
            return {};
        } else {
            std::vector<R> results;
            results.reserve(outcomes.size());
            for (auto& outcome : outcomes) results.push_back(*std::move(*outcome));
            return results;
        }
    }
};

/// An outcome for every item.
template <class R>
struct all_outcomes {
    using item = R;
    using type = std::vector<Outcome<R>>;
    static Outcome<type> gather(outcomes_of<R>& outcomes, std::exception_ptr const&) {
        type results;
        results.reserve(outcomes.size());
        for (auto& outcome : outcomes) results.push_back(*std::move(outcome));
        return results;
    }
};

/// A call with arguments of its own, which several threads may make at the same time: an initialiser.
template <class F, class... Args>
auto repeatable_call(F&& function, Args&&... args) {
    using signature = signature_of<std::decay_t<F>, Args...>;
    static_assert(
        signature::arity == sizeof...(Args), "multiprocessing: the initializer takes another number of arguments");
    return [function = std::decay_t<F>(std::forward<F>(function)),
            arguments = typename signature::kept(std::forward<Args>(args)...)] {
        auto own_function = function;
        auto own_arguments = arguments;
        static_cast<void>(signature::call(own_function, own_arguments));
    };
}

template <class Signature>
using result_of = std::remove_cvref_t<typename Signature::result>;
template <template <class> class Gather, class Signature>
using gathered = typename Gather<result_of<Signature>>::type;

/// The work of a call. What it needed is destroyed before its outcome is delivered; nothing of the user's outlives that.
template <class Gather, class Perform>
class thread_call final : public thread_work {
public:
    using R = typename Gather::item;
    using T = typename Gather::type;

    thread_call(
        std::uint64_t count,
        std::uint64_t chunksize,
        int retries,
        Perform perform,
        std::function<void(Outcome<T>)> deliver)
        : thread_work(count, chunksize), perform_(std::move(perform)), retries_(retries), deliver_(std::move(deliver)),
          outcomes_(static_cast<std::size_t>(count)), remaining_(count) {}

    void run(std::uint64_t begin, std::uint64_t end) noexcept override {
        for (std::uint64_t i = begin; i != end; ++i) {
            if (!abandoned_.load(std::memory_order_relaxed)) attempt(i);
        }
        finish(end - begin);
    }

    void drop(std::uint64_t number, std::exception_ptr const& reason) noexcept override {
        dropped_ = reason; // once at most, and read by whoever is the last to finish
        finish(number);
    }

    /// Before it is submitted: shows how far it is, by the threads that work on it.
    void show(Progress const& progress, std::string const& label) {
        shows_ = static_cast<bool>(progress);
        if (shows_) meter_.emplace(progress, label, outcomes_.size());
    }
    /// Likewise: which item of the user's input is its first.
    void begins_at(std::uint64_t origin) noexcept { origin_ = origin; }

    /// The items that are taken but not begun need not be run.
    void abandon() noexcept { abandoned_.store(true, std::memory_order_relaxed); }

private:
    void attempt(std::uint64_t i) noexcept {
        auto& outcome = outcomes_[static_cast<std::size_t>(i)];
        running_task task{origin_ + i, 0};
        struct current_task {
            explicit current_task(running_task const* task) noexcept { running_task::of_this_thread() = task; }
            ~current_task() { running_task::of_this_thread() = nullptr; }
        } const current(&task);
        for (int left = retries_;; --left) {
            ++task.attempt;
            try {
                if constexpr (std::is_void_v<R>) {
                    (*perform_)(i, left > 0);
                    outcome.emplace();
                } else {
                    outcome.emplace((*perform_)(i, left > 0));
                }
                return;
            } catch (...) {
                if (left > 0 && !abandoned_.load(std::memory_order_relaxed)) continue;
                outcome.emplace(std::current_exception());
            }
            std::uint64_t none = nothing;
            first_failure_.compare_exchange_strong(none, i, std::memory_order_relaxed);
            return;
        }
    }

    void finish(std::uint64_t number) noexcept {
        auto const before = remaining_.fetch_sub(number, std::memory_order_acq_rel);
        if (shows_) show_progress(before == number);
        if (before != number) return;
        perform_.reset();
        auto const failure = first_failure_.load(std::memory_order_relaxed);
        auto outcome = [&]() noexcept -> Outcome<T> {
            if (dropped_) return dropped_;
            try {
                if (abandoned_.load(std::memory_order_relaxed)) throw CancelledError();
                return Gather::gather(
                    outcomes_, failure == nothing ? nullptr : outcomes_[static_cast<std::size_t>(failure)]->error());
            } catch (...) { // no memory
                return std::current_exception();
            }
        }();
        outcomes_.clear();
        dropped_ = nullptr;
        auto const deliver = std::move(deliver_);
        deliver(std::move(outcome));
    }

    void show_progress(bool is_last) noexcept {
        std::unique_lock guard(showing_, std::try_to_lock);
        if (!is_last) {
            if (!guard || !meter_) return; // another thread does it
            // Read by who holds the lock, so that no state is older than the one before it.
            meter_->update(outcomes_.size() - remaining_.load(std::memory_order_relaxed));
            return;
        }
        if (!guard) guard.lock();
        bool const is_whole = !dropped_ && !abandoned_.load(std::memory_order_relaxed) &&
                              first_failure_.load(std::memory_order_relaxed) == nothing;
        if (is_whole) meter_->finish(outcomes_.size());
        meter_.reset();
    }

    static constexpr std::uint64_t nothing = ~std::uint64_t{0};

    std::optional<Perform> perform_;
    int const retries_;
    std::function<void(Outcome<T>)> deliver_;
    outcomes_of<R> outcomes_;
    std::uint64_t origin_ = 0;
    bool shows_ = false;
    std::mutex showing_;
    std::optional<progress_meter> meter_;
    std::atomic<std::uint64_t> remaining_;
    std::atomic<std::uint64_t> first_failure_{nothing};
    std::atomic<bool> abandoned_{false};
    std::exception_ptr dropped_;
};

// ---- where a result is waited for

/// A callback must not harm who calls it.
template <class... Args>
void call_and_report(
    char const* what, std::function<void(Args...)> const& function, std::type_identity_t<Args>... args) noexcept {
    if (!function) return;
    try {
        function(args...);
    } catch (...) {
        std::fprintf(
            stderr, "multiprocessing: %s threw:\n%s\n", what, describe_exception(std::current_exception()).c_str());
    }
}

/// The place of one outcome; the first to settle it wins.
template <class T>
class outcome_cell {
public:
    explicit outcome_cell(Callbacks<T> callbacks = {}) : callbacks_(std::move(callbacks)) {}

    /// Calls back, and then lets the outcome be seen. False: another came first.
    bool settle(Outcome<T> outcome) noexcept {
        if (settled_.exchange(true, std::memory_order_acq_rel)) return false;
        if (!outcome.has_value()) {
            call_and_report("an error_callback", callbacks_.error_callback, outcome.error());
        } else if constexpr (std::is_void_v<T>) {
            call_and_report("a callback", callbacks_.callback);
        } else {
            call_and_report("a callback", callbacks_.callback, *outcome);
        }
        callbacks_ = {};
        {
            std::scoped_lock const guard(mutex_);
            try {
                outcome_.emplace(std::move(outcome));
            } catch (...) { // it cannot be moved
                outcome_.emplace(std::current_exception());
            }
            is_there_ = true;
        }
        there_.notify_all();
        return true;
    }

    /// Waits for the outcome and takes it, unless it is in its place already: a thread of the pool that is not yet done
    /// with this object shall not be the one that destroys it. False: it is not there by the deadline.
    bool wait(platform::deadline until, std::optional<Outcome<T>>& place) {
        if (generation_ != fork_generation()) {
            throw AssertionError("a result can only be waited for by the process that made the pool");
        }
        std::unique_lock guard(mutex_);
        if (!wait_until(there_, guard, until, [&] { return is_there_; })) return false;
        if (outcome_) {
            place.emplace(std::move(*outcome_));
            outcome_.reset();
        }
        return true;
    }

    /// Calls a function when somebody asks for the end, as long as this object lives.
    void on_stop(std::stop_token const& stop, std::function<void()> function) {
        if (stop.stop_possible()) on_stop_.emplace(stop, std::move(function));
    }

private:
    std::uint32_t const generation_ = fork_generation();
    Callbacks<T> callbacks_;
    std::atomic<bool> settled_{false};
    std::mutex mutex_;
    std::condition_variable there_;
    bool is_there_ = false;
    std::optional<Outcome<T>> outcome_;
    std::optional<std::stop_callback<std::function<void()>>> on_stop_;
};

/// Gives a call up before it has run to its end.
template <class T, class Call>
bool cancel_call(outcome_cell<T>& cell, std::weak_ptr<Call> const& call, thread_crew& crew) noexcept {
    auto const reason = std::make_exception_ptr(CancelledError());
    if (!cell.settle(reason)) return false;
    if (auto const work = call.lock()) {
        work->abandon();
        crew.withdraw(*work, reason);
    }
    return true;
}

/// What AsyncResult waits for. The threads know only the cell: they never keep a result from being moved out.
template <class T, class Call>
class thread_result final : public async_state<T> {
public:
    thread_result(std::shared_ptr<outcome_cell<T>> cell, std::weak_ptr<Call> call, std::shared_ptr<thread_crew> crew)
        : cell_(std::move(cell)), call_(std::move(call)), crew_(std::move(crew)) {}

    bool wait(platform::deadline until) override { return cell_->wait(until, outcome_); }
    bool cancel() override { return cancel_call(*cell_, call_, *crew_); }
    Outcome<T>& outcome() override { return *outcome_; }

private:
    std::shared_ptr<outcome_cell<T>> const cell_;
    std::weak_ptr<Call> const call_;
    std::shared_ptr<thread_crew> const crew_;
    std::optional<Outcome<T>> outcome_;
};

} // namespace multiprocessing::inline v0::detail
