#pragma once

#include <multiprocessing/async_result.hpp>
#include <multiprocessing/call_options.hpp>
#include <multiprocessing/detail/call_data.hpp>
#include <multiprocessing/detail/call_traits.hpp>
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
        if (shows_) show(before - number);
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

    void show(std::uint64_t left) noexcept {
        std::unique_lock guard(showing_, std::try_to_lock);
        if (left != 0) {
            if (guard && meter_) meter_->update(outcomes_.size() - left); // else another thread does it
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
        auto const is_there = [&] { return is_there_; };
        if (until == platform::never) {
            there_.wait(guard, is_there);
        } else if (!there_.wait_until(guard, until, is_there)) {
            return false;
        }
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

// ---- results one after the other

/// Reads a range, has its items worked on, some ahead of the one who takes the results, and gives these one by one.
///
/// Items: a range, or a reference to one. Convert: makes a kept item from an element.
template <class F, class Signature, class Items, class Convert>
class thread_stream final : public result_stream<streamed<result_of<Signature>>> {
    using R = streamed<result_of<Signature>>;
    using kept = typename Signature::kept;

    /// Calls the function; nothing is a value too.
    struct perform {
        items_kept<std::reference_wrapper<F>, Signature> calls;
        R operator()(std::uint64_t i, bool once_more) {
            if constexpr (std::is_same_v<R, std::monostate>) {
                calls(i, once_more);
                return {};
            } else {
                return calls(i, once_more);
            }
        }
    };

public:
    thread_stream(
        std::shared_ptr<thread_crew> crew,
        F function,
        Items items,
        Convert convert,
        bool in_order,
        MapOptions const& options)
        : crew_(std::move(crew)), window_(2 * std::size_t{crew_->size()} + 1),
          shared_(std::make_shared<shared_state>(std::move(function), window_)), items_(std::forward<Items>(items)),
          convert_(std::move(convert)), in_order_(in_order),
          chunksize_(static_cast<std::size_t>(options.chunksize.value_or(1))), retries_(options.retries),
          stop_(options.stop) {
        if (options.progress) {
            std::uint64_t total = 0;
            if constexpr (std::ranges::sized_range<Items>) total = std::ranges::size(items_);
            meter_.emplace(options.progress, options.label, total);
        }
        crew_->open_stream();
        try {
            at_.emplace(std::ranges::begin(items_));
            read_ahead();
        } catch (...) {
            crew_->close_stream();
            throw;
        }
    }

    ~thread_stream() override {
        if (!crew_->is_owner()) return;
        abandon(std::make_exception_ptr(CancelledError()));
        close();
        // The items that run use nothing that ends here.
    }
    thread_stream(thread_stream const&) = delete;
    thread_stream& operator=(thread_stream const&) = delete;

    std::optional<Outcome<R>> next(platform::deadline until) override {
        crew_->require_owner();
        if (stop_.stop_requested() && !closed_) give_up();
        if (turn_.empty()) {
            read_ahead();
            take_chunk(until);
        }
        if (turn_.empty()) {
            close();
            if (auto const error = std::exchange(input_error_, nullptr)) return Outcome<R>(error);
            if (meter_) meter_->finish(given_);
            return std::nullopt;
        }
        auto outcome = std::move(turn_.front());
        turn_.pop_front();
        ++given_;
        if (meter_) meter_->update(given_);
        return outcome;
    }

private:
    using outcomes = std::vector<Outcome<R>>;
    using call = thread_call<all_outcomes<R>, perform>;

    /// What the threads know.
    struct shared_state {
        shared_state(F f, std::size_t window) : function(std::move(f)), done(window) {}

        std::optional<Outcome<outcomes>>& place(std::uint64_t number) {
            return done[static_cast<std::size_t>(number % done.size())];
        }

        F function;
        std::mutex mutex;
        std::condition_variable arrived;
        std::vector<std::optional<Outcome<outcomes>>>
            done; // a ring of chunks, by their number or that of their arrival
        std::uint64_t arrivals = 0;
    };

    /// Fills the window.
    void read_ahead() {
        while (at_ && submitted_ - taken_ < window_) {
            std::vector<kept> items;
            try {
                for (; items.size() < chunksize_; ++*at_) {
                    if (*at_ == std::ranges::end(items_)) {
                        at_.reset();
                        break;
                    }
                    items.push_back(convert_(**at_));
                }
            } catch (...) { // the input fails at this place
                input_error_ = std::current_exception();
                at_.reset();
            }
            if (!items.empty()) submit(std::move(items));
        }
    }

    void submit(std::vector<kept> items) {
        auto const count = items.size();
        auto work = std::make_shared<call>(
            count,
            count,
            retries_,
            perform{{std::ref(shared_->function), std::move(items)}},
            [shared = shared_, number = submitted_, in_order = in_order_](Outcome<outcomes> outcome) {
                {
                    std::scoped_lock const guard(shared->mutex);
                    shared->place(in_order ? number : shared->arrivals++).emplace(std::move(outcome));
                }
                shared->arrived.notify_all();
            });
        work->begins_at(begun_);
        begun_ += count;
        try {
            std::erase_if(calls_, [](auto const& one) { return one.expired(); });
            calls_.push_back(work);
            crew_->submit_to_stream(std::move(work));
        } catch (...) {
            input_error_ = std::current_exception();
            at_.reset();
            return;
        }
        ++submitted_;
    }

    /// The outcomes of the chunk whose turn it is.
    void take_chunk(platform::deadline until) {
        if (taken_ == submitted_) return;
        std::unique_lock guard(shared_->mutex);
        auto& place = shared_->place(taken_);
        auto const is_there = [&] { return place.has_value(); };
        if (until == platform::never) {
            shared_->arrived.wait(guard, is_there);
        } else if (!shared_->arrived.wait_until(guard, until, is_there)) {
            throw TimeoutError();
        }
        auto chunk = *std::exchange(place, std::nullopt);
        guard.unlock();
        ++taken_;
        if (chunk) {
            for (auto& outcome : *chunk) turn_.push_back(std::move(outcome));
        } else {
            turn_.push_back(chunk.error());
        }
        read_ahead();
    }

    /// Nothing comes any more but the news of it.
    void give_up() {
        input_error_ = std::make_exception_ptr(CancelledError());
        abandon(input_error_);
        at_.reset();
        turn_.clear();
        taken_ = submitted_;
    }

    void abandon(std::exception_ptr const& reason) noexcept {
        for (auto const& one : calls_) {
            if (auto const work = one.lock()) {
                work->abandon();
                crew_->withdraw(*work, reason);
            }
        }
    }

    void close() noexcept {
        if (!std::exchange(closed_, true)) crew_->close_stream();
    }

    std::shared_ptr<thread_crew> const crew_;
    std::size_t const window_; // chunks that are submitted and not taken
    std::shared_ptr<shared_state> const shared_;
    Items items_;
    Convert convert_;
    std::optional<std::ranges::iterator_t<Items>> at_; // empty: nothing is left to read
    bool const in_order_;
    std::size_t const chunksize_;
    std::uint64_t begun_ = 0; // items that were given to threads
    std::uint64_t given_ = 0; // results that were taken
    std::optional<progress_meter> meter_;
    int const retries_;
    std::stop_token const stop_;
    std::uint64_t submitted_ = 0;
    std::uint64_t taken_ = 0;
    std::vector<std::weak_ptr<call>> calls_;
    std::deque<Outcome<R>> turn_;
    std::exception_ptr input_error_;
    bool closed_ = false;
};

} // namespace multiprocessing::inline v0::detail
