#pragma once

#include <multiprocessing/async_result.hpp>
#include <multiprocessing/call_options.hpp>
#include <multiprocessing/detail/thread_call.hpp>
#include <multiprocessing/detail/thread_stream.hpp>
#include <multiprocessing/platform/self.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <new>
#include <optional>
#include <ostream>
#include <ranges>
#include <span>
#include <stop_token>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace multiprocessing::inline v0 {

/// What a ThreadPool can be told at its making; everything is optional.
struct ThreadPoolOptions {
    std::optional<int> processes{}; ///< threads, at least 1; empty: one per processor that may be used
};

/// Pool with threads: the same members, so that one line decides which it is.
///
///     mp::ThreadPool pool(4);
///     std::vector<Page> pages = pool.map([&](std::string const& url) { return client.fetch(url); }, urls);
///
/// Python: `multiprocessing.pool.ThreadPool`. The end of the scope terminates the pool, and waits for its threads.
/// What is other than with Pool:
///  - Nothing travels. Functions may be any callables, and refer to what belongs to the caller; all threads share the one
///    function. Results may be anything that can be moved, items of the `_async` calls and of imap anything that can be
///    moved or copied. What a function throws arrives as it was thrown.
///  - Threads cannot be ended: the option `timeout` is a ValueError, and terminate() and cancel() stop only what has not
///    begun. A function that ends the program ends the program.
/// Differs from Python: a function that throws SystemExit gives an exception; in Python its result is lost.
///
/// A function that waits for another call of the same pool may wait for ever, if all threads do so.
///
/// Safe from  any thread of the process that made it; a child that was forked cannot use it.
/// Example    examples/08_thread_pool.cpp
class ThreadPool {
public:
    /// Starts the threads.
    ///
    /// Python: `ThreadPool(processes=None, initializer=None, initargs=())`.
    /// Throws     ValueError  processes is below 1;  OSError  a thread cannot be started (those that were are ended)
    explicit ThreadPool(ThreadPoolOptions options = {}) : crew_(make_crew(options, {})) {}
    explicit ThreadPool(int processes) : ThreadPool(ThreadPoolOptions{.processes = processes}) {}

    /// Each thread first calls initializer(initargs...), with copies of them. If one throws, all calls throw that.
    template <class F, class... Args>
        requires std::invocable<std::decay_t<F>&, detail::guessed_parameter<Args>...> ||
                 detail::declares_parameters<std::decay_t<F>>
    ThreadPool(ThreadPoolOptions options, F&& initializer, Args&&... initargs);
    template <class F, class... Args>
    ThreadPool(int processes, F&& initializer, Args&&... initargs)
        : ThreadPool(
              ThreadPoolOptions{.processes = processes},
              std::forward<F>(initializer),
              std::forward<Args>(initargs)...) {}

    /// terminate() and join().
    ~ThreadPool() { end(); }
    ThreadPool(ThreadPool&&) noexcept = default;
    ThreadPool& operator=(ThreadPool&& other) noexcept {
        if (this != &other) {
            end();
            crew_ = std::move(other.crew_);
        }
        return *this;
    }

    /// Applies func to every item and returns the results in the order of the items. Blocks until all are there.
    ///
    /// Python: `ThreadPool.map(func, iterable, chunksize=None)`.
    /// items      any input range. The elements of a range with an index, such as a vector, are handed over themselves, so
    ///            func may change them; others are read here, and kept as func's parameter wants them
    /// options    as for Pool::map; `.on_error = mp::collect` returns a vector of Outcome
    /// Returns    std::vector of results, result i from item i; nothing if func returns nothing
    /// Throws     ValueError  the pool is closed, or an option is not possible; what func threw, the first in time, after
    ///            all items are done; ProcessError  the pool was terminated; CancelledError  the stop was requested.
    ///            All of them only when no thread runs an item of the call any more.
    template <class F, std::ranges::input_range Items>
    auto map(F func, Items&& items, MapOptions options = {}) {
        return map_now<detail::all_results>(func, std::forward<Items>(items), options);
    }
    template <class F, std::ranges::input_range Items, class OnError = collect_t>
    auto map(F func, Items&& items, BasicMapOptions<OnError> options) {
        return map_now<detail::all_outcomes>(func, std::forward<Items>(items), options);
    }
    template <class F, std::ranges::input_range Items>
    auto map(F func, Items&& items, std::int64_t chunksize) {
        return map(std::move(func), std::forward<Items>(items), MapOptions{.chunksize = chunksize});
    }
    template <class F, class T>
    auto map(F func, std::initializer_list<T> items, MapOptions options = {}) {
        return map(std::move(func), std::span<T const>(items.begin(), items.size()), std::move(options));
    }
    template <class F, class T, class OnError = collect_t>
    auto map(F func, std::initializer_list<T> items, BasicMapOptions<OnError> options) {
        return map(std::move(func), std::span<T const>(items.begin(), items.size()), std::move(options));
    }

    /// As map, for functions of several parameters: each item is a tuple (or pair, or array) of arguments.
    template <class F, std::ranges::input_range Items>
    auto starmap(F func, Items&& items, MapOptions options = {}) {
        return starmap_now<detail::all_results>(func, std::forward<Items>(items), options);
    }
    template <class F, std::ranges::input_range Items, class OnError = collect_t>
    auto starmap(F func, Items&& items, BasicMapOptions<OnError> options) {
        return starmap_now<detail::all_outcomes>(func, std::forward<Items>(items), options);
    }
    template <class F, std::ranges::input_range Items>
    auto starmap(F func, Items&& items, std::int64_t chunksize) {
        return starmap(std::move(func), std::forward<Items>(items), MapOptions{.chunksize = chunksize});
    }
    template <class F, class T>
    auto starmap(F func, std::initializer_list<T> items, MapOptions options = {}) {
        return starmap(std::move(func), std::span<T const>(items.begin(), items.size()), std::move(options));
    }
    template <class F, class T, class OnError = collect_t>
    auto starmap(F func, std::initializer_list<T> items, BasicMapOptions<OnError> options) {
        return starmap(std::move(func), std::span<T const>(items.begin(), items.size()), std::move(options));
    }

    /// map and starmap that do not block: an AsyncResult of what those return. The items are read and kept here.
    ///
    /// Python: `ThreadPool.map_async(func, iterable, chunksize=None, callback=None, error_callback=None)`.
    template <
        class F,
        std::ranges::input_range Items,
        class R = detail::gathered<detail::all_results, detail::map_signature<F, Items>>>
    AsyncResult<R> map_async(F func, Items&& items, MapOptions options = {}, Callbacks<R> callbacks = {}) {
        using signature = detail::map_signature<F, Items>;
        return start<detail::all_results, signature>(
            std::move(func),
            detail::keep_all<signature, false>(std::forward<Items>(items)),
            options,
            std::move(callbacks));
    }
    template <
        class F,
        std::ranges::input_range Items,
        class OnError = collect_t,
        class R = detail::gathered<detail::all_outcomes, detail::map_signature<F, Items>>>
    AsyncResult<R> map_async(F func, Items&& items, BasicMapOptions<OnError> options, Callbacks<R> callbacks = {}) {
        using signature = detail::map_signature<F, Items>;
        return start<detail::all_outcomes, signature>(
            std::move(func),
            detail::keep_all<signature, false>(std::forward<Items>(items)),
            options,
            std::move(callbacks));
    }
    template <
        class F,
        std::ranges::input_range Items,
        class R = detail::gathered<detail::all_results, detail::starmap_signature<F, Items>>>
    AsyncResult<R> starmap_async(F func, Items&& items, MapOptions options = {}, Callbacks<R> callbacks = {}) {
        using signature = detail::starmap_signature<F, Items>;
        return start<detail::all_results, signature>(
            std::move(func),
            detail::keep_all<signature, true>(std::forward<Items>(items)),
            options,
            std::move(callbacks));
    }
    template <
        class F,
        std::ranges::input_range Items,
        class OnError = collect_t,
        class R = detail::gathered<detail::all_outcomes, detail::starmap_signature<F, Items>>>
    AsyncResult<R> starmap_async(F func, Items&& items, BasicMapOptions<OnError> options, Callbacks<R> callbacks = {}) {
        using signature = detail::starmap_signature<F, Items>;
        return start<detail::all_outcomes, signature>(
            std::move(func),
            detail::keep_all<signature, true>(std::forward<Items>(items)),
            options,
            std::move(callbacks));
    }

    /// Calls func(args...) in a thread of the pool and returns its result. Blocks until it is there. Throws as map does.
    ///
    /// Python: `ThreadPool.apply(func, args)`. Differs: the arguments follow one by one.
    template <class F, class... Args>
    auto apply(F func, Args&&... args) {
        return apply_async(std::move(func), std::forward<Args>(args)...).get();
    }

    /// The same, without waiting; the arguments are kept as the parameters of func want them.
    template <class F, class... Args>
    AsyncResult<detail::result_of<detail::signature_of<F, Args...>>> apply_async(F func, Args&&... args) {
        using signature = detail::signature_of<F, Args...>;
        static_assert(
            signature::arity == sizeof...(Args), "multiprocessing: the function takes another number of arguments");
        std::vector<typename signature::kept> items;
        items.emplace_back(std::forward<Args>(args)...);
        return start<detail::the_only_result, signature>(std::move(func), std::move(items), MapOptions(), {});
    }

    /// The same with options and callbacks.
    template <class F, class... Args, class R = detail::result_of<detail::signature_of<F, Args...>>>
    AsyncResult<R> apply_async(F func, std::tuple<Args...> args, MapOptions options, Callbacks<R> callbacks = {}) {
        using signature = detail::signature_of<F, Args...>;
        std::vector<typename signature::kept> items;
        items.push_back(detail::keep_item<typename signature::kept>(std::move(args)));
        return start<detail::the_only_result, signature>(
            std::move(func), std::move(items), options, std::move(callbacks));
    }

    /// Results one by one, in the order of the items: an input range. The items are read by whoever takes the results, a
    /// few ahead of him; a range that is an lvalue has to exist for as long.
    ///
    /// Python: `ThreadPool.imap(func, iterable, chunksize=1)`. Differs: Python reads all items at once.
    template <class F, std::ranges::input_range Items>
    auto imap(F func, Items&& items, MapOptions options = {}) {
        return stream(std::move(func), std::forward<Items>(items), options, true);
    }
    template <class F, std::ranges::input_range Items>
    auto imap(F func, Items&& items, std::int64_t chunksize) {
        return imap(std::move(func), std::forward<Items>(items), MapOptions{.chunksize = chunksize});
    }
    template <class F, class T>
    auto imap(F func, std::initializer_list<T> items, MapOptions options = {}) {
        return imap(std::move(func), std::vector<T>(items), std::move(options));
    }

    /// The same in the order in which they come. Python: `ThreadPool.imap_unordered(func, iterable, chunksize=1)`.
    template <class F, std::ranges::input_range Items>
    auto imap_unordered(F func, Items&& items, MapOptions options = {}) {
        return stream(std::move(func), std::forward<Items>(items), options, false);
    }
    template <class F, std::ranges::input_range Items>
    auto imap_unordered(F func, Items&& items, std::int64_t chunksize) {
        return imap_unordered(std::move(func), std::forward<Items>(items), MapOptions{.chunksize = chunksize});
    }
    template <class F, class T>
    auto imap_unordered(F func, std::initializer_list<T> items, MapOptions options = {}) {
        return imap_unordered(std::move(func), std::vector<T>(items), std::move(options));
    }

    /// No more calls; the threads leave when they are done. Does not block. Python: `ThreadPool.close()`.
    void close() noexcept { crew_->close(); }

    /// Drops what has not begun: those calls end with ProcessError. Does not wait for what runs.
    /// Python: `ThreadPool.terminate()`, where they never end.
    void terminate() noexcept { crew_->terminate(); }

    /// After close() or terminate(): waits until the threads have ended. Throws ValueError before.
    /// Python: `ThreadPool.join()`.
    void join() {
        crew_->require_owner();
        crew_->join();
    }

    /// Python's repr: <multiprocessing.pool.ThreadPool state=RUN pool_size=4>
    std::string to_string() const {
        return std::string("<multiprocessing.pool.ThreadPool state=") + crew_->state_name() +
               " pool_size=" + std::to_string(crew_->size()) + '>';
    }
    friend std::ostream& operator<<(std::ostream& stream, ThreadPool const& pool) { return stream << pool.to_string(); }

private:
    static std::shared_ptr<detail::thread_crew>
    make_crew(ThreadPoolOptions const& options, std::function<void()> initializer);
    void end() noexcept;

    template <class Kept, class OnError>
    void check(BasicMapOptions<OnError> const& options) const;

    template <template <class> class Gather, class F, class Items, class OnError>
    auto map_now(F& func, Items&& items, BasicMapOptions<OnError> const& options);
    template <template <class> class Gather, class F, class Items, class OnError>
    auto starmap_now(F& func, Items&& items, BasicMapOptions<OnError> const& options);
    template <class Gather, class Perform, class OnError>
    typename Gather::type run(std::uint64_t count, Perform perform, BasicMapOptions<OnError> const& options);
    template <template <class> class Gather, class Signature, class F, class OnError>
    AsyncResult<detail::gathered<Gather, Signature>> start(
        F func,
        std::vector<typename Signature::kept> items,
        BasicMapOptions<OnError> const& options,
        Callbacks<detail::gathered<Gather, Signature>> callbacks);
    template <class F, class Items>
    auto stream(F func, Items&& items, MapOptions const& options, bool in_order);

    std::shared_ptr<detail::thread_crew> crew_;
};

// ---- implementation

inline std::shared_ptr<detail::thread_crew>
ThreadPool::make_crew(ThreadPoolOptions const& options, std::function<void()> initializer) {
    if (options.processes.value_or(1) < 1) throw ValueError("Number of processes must be at least 1");
    return std::make_shared<detail::thread_crew>(detail::thread_crew_options{
        .threads = options.processes ? static_cast<unsigned>(*options.processes) : platform::process_cpu_count(),
        .initializer = std::move(initializer)});
}

template <class F, class... Args>
    requires std::invocable<std::decay_t<F>&, detail::guessed_parameter<Args>...> ||
             detail::declares_parameters<std::decay_t<F>>
ThreadPool::ThreadPool(ThreadPoolOptions options, F&& initializer, Args&&... initargs) {
    crew_ = make_crew(options, detail::repeatable_call(std::forward<F>(initializer), std::forward<Args>(initargs)...));
}

inline void ThreadPool::end() noexcept {
    if (!crew_) return;
    if (crew_->is_owner()) {
        crew_->terminate();
        crew_->join();
    } else { // a forked child has none of the threads; what they held is never touched again
        using pointer = std::shared_ptr<detail::thread_crew>;
        alignas(pointer) std::byte place[sizeof(pointer)];
        ::new (static_cast<void*>(place)) pointer(std::move(crew_));
    }
}

template <class Kept, class OnError>
void ThreadPool::check(BasicMapOptions<OnError> const& options) const {
    crew_->require_owner();
    if (options.chunksize.value_or(1) < 1) throw ValueError("Chunksize must be 1+");
    if (options.retries < 0) throw ValueError("retries must be at least 0");
    if (options.quarantine_after < 1) throw ValueError("quarantine_after must be at least 1");
    if (!options.timeout.is_infinite()) throw ValueError("threads cannot be ended: the option timeout needs a Pool");
    if (options.retries != 0 && !detail::can_be_copied<Kept>) {
        throw ValueError("items that cannot be copied cannot be tried again");
    }
    if (crew_->is_closed()) throw ValueError("Pool not running");
}

template <template <class> class Gather, class F, class Items, class OnError>
auto ThreadPool::map_now(F& func, Items&& items, BasicMapOptions<OnError> const& options) {
    using signature = detail::map_signature<F, Items>;
    using reference = std::ranges::range_reference_t<Items>;
    using gather = Gather<detail::result_of<signature>>;
    if constexpr (
        std::ranges::random_access_range<Items> && std::ranges::sized_range<Items> &&
        std::is_lvalue_reference_v<reference> && std::invocable<F&, reference>) {
        check<int>(options);
        auto const begin = std::ranges::begin(items);
        return run<gather>(
            static_cast<std::uint64_t>(std::ranges::size(items)),
            detail::items_in_place<F, std::remove_cv_t<decltype(begin)>>{&func, begin},
            options);
    } else {
        check<typename signature::kept>(options);
        auto kept = detail::keep_all<signature, false>(std::forward<Items>(items));
        auto const count = kept.size();
        return run<gather>(
            count, detail::items_kept<std::reference_wrapper<F>, signature>{std::ref(func), std::move(kept)}, options);
    }
}

template <template <class> class Gather, class F, class Items, class OnError>
auto ThreadPool::starmap_now(F& func, Items&& items, BasicMapOptions<OnError> const& options) {
    using signature = detail::starmap_signature<F, Items>;
    check<typename signature::kept>(options);
    auto kept = detail::keep_all<signature, true>(std::forward<Items>(items));
    auto const count = kept.size();
    return run<Gather<detail::result_of<signature>>>(
        count, detail::items_kept<std::reference_wrapper<F>, signature>{std::ref(func), std::move(kept)}, options);
}

template <class Gather, class Perform, class OnError>
typename Gather::type ThreadPool::run(std::uint64_t count, Perform perform, BasicMapOptions<OnError> const& options) {
    using result = typename Gather::type;
    if (count == 0) return result();
    if (options.stop.stop_requested()) throw CancelledError();
    auto const cell = std::make_shared<detail::outcome_cell<result>>();
    auto const work = std::make_shared<detail::thread_call<Gather, Perform>>(
        count,
        static_cast<std::uint64_t>(options.chunksize.value_or(0)),
        options.retries,
        std::move(perform),
        [cell](Outcome<result> outcome) { cell->settle(std::move(outcome)); });
    work->show(options.progress, options.label);
    auto const crew = crew_;
    std::stop_callback const on_stop(options.stop, [&] {
        work->abandon();
        crew->withdraw(*work, std::make_exception_ptr(CancelledError()));
    });
    crew->submit(work);
    std::optional<Outcome<result>> outcome;
    cell->wait(platform::never, outcome);
    return std::move(*outcome).value();
}

template <template <class> class Gather, class Signature, class F, class OnError>
AsyncResult<detail::gathered<Gather, Signature>> ThreadPool::start(
    F func,
    std::vector<typename Signature::kept> items,
    BasicMapOptions<OnError> const& options,
    Callbacks<detail::gathered<Gather, Signature>> callbacks) {
    using T = detail::gathered<Gather, Signature>;
    using gather = Gather<detail::result_of<Signature>>;
    using perform = detail::items_kept<F, Signature>;
    using call = detail::thread_call<gather, perform>;
    check<typename Signature::kept>(options);

    auto const count = items.size();
    if (count == 0) callbacks = {}; // as in Python
    auto const cell = std::make_shared<detail::outcome_cell<T>>(std::move(callbacks));
    auto const work = std::make_shared<call>(
        count,
        static_cast<std::uint64_t>(options.chunksize.value_or(0)),
        options.retries,
        perform{std::move(func), std::move(items)},
        [cell](Outcome<T> outcome) { cell->settle(std::move(outcome)); });
    if (count != 0) work->show(options.progress, options.label);
    if (count == 0) {
        work->run(0, 0);
    } else if (options.stop.stop_requested()) {
        cell->settle(std::make_exception_ptr(CancelledError()));
    } else {
        cell->on_stop(
            options.stop, [to = std::weak_ptr(cell), what = std::weak_ptr(work), crew = std::weak_ptr(crew_)] {
                auto const still_wanted = to.lock();
                auto const threads = crew.lock();
                if (still_wanted && threads) detail::cancel_call(*still_wanted, what, *threads);
            });
        crew_->submit(work);
    }
    return AsyncResult<T>(std::make_shared<detail::thread_result<T, call>>(cell, work, crew_));
}

template <class F, class Items>
auto ThreadPool::stream(F func, Items&& items, MapOptions const& options, bool in_order) {
    using signature = detail::map_signature<F, Items>;
    using keep = detail::item_keeper<signature, Items, false>;
    using stream_type = detail::thread_stream<F, signature, Items, keep>;
    check<typename signature::kept>(options);
    return IMapIterator<detail::result_of<signature>>(
        std::make_unique<stream_type>(crew_, std::move(func), std::forward<Items>(items), keep(), in_order, options));
}

} // namespace multiprocessing::inline v0
