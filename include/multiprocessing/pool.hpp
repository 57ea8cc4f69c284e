#pragma once

#include <multiprocessing/async_result.hpp>
#include <multiprocessing/call_options.hpp>
#include <multiprocessing/detail/crew.hpp>
#include <multiprocessing/detail/pool_call.hpp>
#include <multiprocessing/detail/pool_stream.hpp>

#include <array>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <optional>
#include <ostream>
#include <ranges>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace multiprocessing::inline v0 {

/// A function without parameters that workers run: what `PoolOptions::finalizer` is made from.
using WorkerTask = detail::worker_task;

/// What a Pool can be told at its making; everything is optional.
struct PoolOptions {
    std::optional<int> processes{};        ///< workers, at least 1; empty: one per processor that may be used
    std::optional<int> maxtasksperchild{}; ///< chunks after which a worker is replaced, at least 1; empty: never
    std::optional<StartMethod> method{};   ///< empty: the start method of the program
    WorkerTask finalizer{};                ///< run by each worker when it leaves; not when it is killed
    WorkerLimits limits{};                 ///< what each worker may use of the machine
    bool insights = false;                 ///< insights() shall also know the slowest items; costs 25 ns for each item
    std::string trace{}; ///< a file that gets all items of all workers, as chrome://tracing shows them
};

/// Worker processes that run functions on items.
///
///     mp::Pool pool(4);
///     std::vector<int> squares = pool.map(square, {1, 2, 3});
///
/// Python: `multiprocessing.pool.Pool`. The end of the scope is the end of Python's `with` block: it terminates the workers,
/// and waits for them. Differs:
///  - A worker that is killed, crashes, or calls exit costs the item that it ran: that item's outcome is WorkerDiedError.
///    The worker is replaced, and the pool can be used on. In Python the call never returns.
///  - Lambdas with captures are allowed with the start method fork: they run in workers that are forked for the call.
///  - All items run, although one has failed.
///  - A failing initializer makes the calls fail; Python starts workers for ever.
///  - No thread is started in this process, but one for callbacks, and for asynchronous calls with a timeout, retries or
///    progress.
///
/// Functions: functions, lambdas without captures, function objects with `serialize`, `partial`, `by_value`. Items and
/// results: plain data, what the archive knows, and types with `serialize`; results may be move-only, or void.
///
/// Safe from  any thread of the process that made it; a child that was forked cannot use it.
/// Example    examples/03_pool_squares.cpp, 10_analyse_files.cpp
class Pool {
public:
    /// Starts the workers.
    ///
    /// Python: `Pool(processes=None, initializer=None, initargs=(), maxtasksperchild=None)`.
    /// Throws     ValueError  processes or maxtasksperchild is below 1;  OSError  a worker cannot be started (those that
    ///            were are ended);  PicklingError  the initializer cannot travel
    explicit Pool(PoolOptions options = {});
    explicit Pool(int processes) : Pool(PoolOptions{.processes = processes}) {}

    /// Each worker, also one that replaces another, first calls initializer(initargs...).
    template <class F, class... Args>
        requires std::invocable<std::decay_t<F>&, detail::guessed_parameter<Args>...> ||
                 detail::declares_parameters<std::decay_t<F>>
    Pool(PoolOptions options, F&& initializer, Args&&... initargs);
    template <class F, class... Args>
    Pool(int processes, F&& initializer, Args&&... initargs)
        : Pool(PoolOptions{.processes = processes}, std::forward<F>(initializer), std::forward<Args>(initargs)...) {}

    /// terminate() and join().
    ~Pool() = default;
    Pool(Pool&&) noexcept = default;
    Pool& operator=(Pool&&) noexcept = default;

    /// Applies func to every item and returns the results in the order of the items. Blocks until all are there.
    ///
    /// Python: `Pool.map(func, iterable, chunksize=None)`.
    /// func       called in the workers with one item; see the class for what it may be
    /// items      any input range, n items; each is converted to func's parameter type here, in the caller. Plain items
    ///            that lie in shared memory already are read there, and whole numbers of std::views::iota not stored.
    /// options    {.chunksize = …, .timeout = …, .retries = …, .on_error = …}, see MapOptions
    /// Returns    n results as std::vector, result i from item i; nothing if func returns nothing. With
    ///            `.on_error = collect` an Outcome for each item.
    /// Throws     ValueError  the pool is closed, or an option makes no sense;
    ///            what func threw, as the same type with RemoteError mixed in, or UnknownRemoteException;
    ///            MaybeEncodingError  a result cannot be serialised;
    ///            WorkerDiedError  a worker ended while it ran an item;  TaskTimeoutError  an item took too long;
    ///            CancelledError  `.stop` was requested;  ProcessError  the pool was terminated;
    ///            PicklingError  func cannot travel, and the start method is not fork.
    ///            Failures are thrown after all items are done; of several, the first in time.
    /// Example    auto lengths = pool.map(length, names);
    template <class F, std::ranges::input_range Items>
    auto map(F func, Items&& items, MapOptions options = {}) {
        return call<detail::map_traits<F, Items>>(std::move(func), std::forward<Items>(items), options);
    }
    template <class F, std::ranges::input_range Items, class OnError = collect_t>
    auto map(F func, Items&& items, BasicMapOptions<OnError> options) {
        return call<detail::map_traits<F, Items>>(std::move(func), std::forward<Items>(items), options);
    }
    template <class F, std::ranges::input_range Items>
    auto map(F func, Items&& items, std::int64_t chunksize) {
        return map(std::move(func), std::forward<Items>(items), MapOptions{.chunksize = chunksize});
    }
    template <class F, class T>
    auto map(F func, std::initializer_list<T> items, MapOptions options = {}) {
        return map(std::move(func), std::span<T const>(items.begin(), items.size()), options);
    }
    template <class F, class T, class OnError = collect_t>
    auto map(F func, std::initializer_list<T> items, BasicMapOptions<OnError> options) {
        return map(std::move(func), std::span<T const>(items.begin(), items.size()), options);
    }

    /// As map, for functions of several parameters: each item is a tuple (or pair, or array) of arguments.
    ///
    /// Python: `Pool.starmap(func, iterable, chunksize=None)`.
    /// Example    pool.starmap(power, std::vector<std::pair<int, int>>{{2, 3}, {3, 2}});
    template <class F, std::ranges::input_range Items>
    auto starmap(F func, Items&& items, MapOptions options = {}) {
        return call<detail::starmap_traits<F, Items>>(std::move(func), std::forward<Items>(items), options);
    }
    template <class F, std::ranges::input_range Items, class OnError = collect_t>
    auto starmap(F func, Items&& items, BasicMapOptions<OnError> options) {
        return call<detail::starmap_traits<F, Items>>(std::move(func), std::forward<Items>(items), options);
    }
    template <class F, class T>
    auto starmap(F func, std::initializer_list<T> items, MapOptions options = {}) {
        return starmap(std::move(func), std::span<T const>(items.begin(), items.size()), options);
    }

    /// Begins a map, and returns at once. The items are copied.
    ///
    /// Python: `Pool.map_async(func, iterable, chunksize=None, callback=None, error_callback=None)`.
    /// callbacks  {.callback = …, .error_callback = …}: called once, in a thread of the pool, which is begun for that; not
    ///            if there are no items
    /// Returns    an AsyncResult of what map would return
    /// Throws     what can be said at once: ValueError, PicklingError, OSError. The rest comes out of the result.
    /// Example    auto lengths = pool.map_async(length, names, {.timeout = 1s});
    template <class F, std::ranges::input_range Items>
    auto map_async(
        F func,
        Items&& items,
        MapOptions options = {},
        Callbacks<typename detail::map_traits<F, Items>::template value<raise_t>> callbacks = {}) {
        using traits = detail::map_traits<F, Items>;
        return detail::handle_on(
            begin<traits>(std::move(func), std::forward<Items>(items), options, std::move(callbacks), false));
    }
    template <class F, std::ranges::input_range Items, class OnError = collect_t>
    auto map_async(
        F func,
        Items&& items,
        BasicMapOptions<OnError> options,
        Callbacks<typename detail::map_traits<F, Items>::template value<OnError>> callbacks = {}) {
        using traits = detail::map_traits<F, Items>;
        return detail::handle_on(
            begin<traits>(std::move(func), std::forward<Items>(items), options, std::move(callbacks), false));
    }

    /// The same for functions of several parameters. Python: `Pool.starmap_async(func, iterable, …)`.
    template <class F, std::ranges::input_range Items>
    auto starmap_async(
        F func,
        Items&& items,
        MapOptions options = {},
        Callbacks<typename detail::starmap_traits<F, Items>::template value<raise_t>> callbacks = {}) {
        using traits = detail::starmap_traits<F, Items>;
        return detail::handle_on(
            begin<traits>(std::move(func), std::forward<Items>(items), options, std::move(callbacks), false));
    }
    template <class F, std::ranges::input_range Items, class OnError = collect_t>
    auto starmap_async(
        F func,
        Items&& items,
        BasicMapOptions<OnError> options,
        Callbacks<typename detail::starmap_traits<F, Items>::template value<OnError>> callbacks = {}) {
        using traits = detail::starmap_traits<F, Items>;
        return detail::handle_on(
            begin<traits>(std::move(func), std::forward<Items>(items), options, std::move(callbacks), false));
    }

    /// Calls func(args...) in a worker and returns its result. Blocks until it is there. Throws as map does.
    ///
    /// Python: `Pool.apply(func, args)`. Differs: the arguments follow one by one.
    template <class F, class... Args>
    auto apply(F func, Args&&... args) {
        auto const call = begin_one(std::move(func), {}, {}, true, std::forward<Args>(args)...);
        return detail::result_of_call(*call);
    }

    /// Begins such a call, and returns at once.
    ///
    /// Python: `Pool.apply_async(func, args=(), callback=None, error_callback=None)`. With options or callbacks, the
    /// arguments come as a tuple.
    /// Returns    an AsyncResult of what func returns
    /// Example    auto answer = pool.apply_async(power, 2, 10);
    ///            pool.apply_async(power, std::tuple(2, 10), {.retries = 1}, {.callback = show});
    template <class F, class... Args>
    auto apply_async(F func, Args&&... args) {
        return detail::handle_on(begin_one(std::move(func), {}, {}, false, std::forward<Args>(args)...));
    }
    template <class F, class... Args>
        requires std::invocable<F&, detail::guessed_parameter<Args>...>
    auto apply_async(
        F func,
        std::tuple<Args...> args,
        MapOptions options,
        Callbacks<detail::apply_value<F, Args...>> callbacks = {}) {
        return std::apply(
            [&](Args&... each) {
                return detail::handle_on(
                    begin_one(std::move(func), options, std::move(callbacks), false, std::move(each)...));
            },
            args);
    }

    /// Applies func to the items one by one, and gives each result as soon as its turn has come.
    ///
    /// Python: `Pool.imap(func, iterable, chunksize=1)`. Differs: items are read only a little ahead of the results (twice
    /// as many as there are workers, more if they take less than a millisecond), in the thread that takes the results;
    /// so the input may be endless. What reading throws comes out at that place, and ends the results.
    /// items      any input range; one that is thrown away is kept in the results, another has to stay as long as these
    /// Returns    an IMapIterator, to be gone through once
    /// Throws     ValueError, PicklingError, OSError at once, the rest from the results
    /// Example    for (auto const& page : pool.imap(fetch, addresses)) …
    template <class F, std::ranges::input_range Items>
    auto imap(F func, Items&& items, MapOptions options = {}) {
        return stream<detail::map_traits<F, Items>>(std::move(func), std::forward<Items>(items), options, true);
    }
    template <class F, std::ranges::input_range Items>
    auto imap(F func, Items&& items, std::int64_t chunksize) {
        return imap(std::move(func), std::forward<Items>(items), MapOptions{.chunksize = chunksize});
    }

    /// The same, with the results in the order in which they come. Python: `Pool.imap_unordered(func, iterable, …)`.
    template <class F, std::ranges::input_range Items>
    auto imap_unordered(F func, Items&& items, MapOptions options = {}) {
        return stream<detail::map_traits<F, Items>>(std::move(func), std::forward<Items>(items), options, false);
    }
    template <class F, std::ranges::input_range Items>
    auto imap_unordered(F func, Items&& items, std::int64_t chunksize) {
        return imap_unordered(std::move(func), std::forward<Items>(items), MapOptions{.chunksize = chunksize});
    }

    /// No more calls; workers leave when they are done. Does not block. Python: `Pool.close()`.
    void close() noexcept { crew_->close(); }

    /// Ends the workers, whatever they do (SIGTERM, and SIGKILL to who ignores that for a second). Does not wait for them.
    /// Calls that are not finished end with ProcessError. Python: `Pool.terminate()`, where they never end.
    void terminate() noexcept { crew_->terminate(); }

    /// After close() or terminate(): waits until the workers have ended, and callbacks were called. Throws ValueError
    /// before. Python: `Pool.join()`.
    void join();

    /// Where the time of the workers went so far, and how many died; the slowest items with the option `insights`, or a trace.
    /// Does not block. Python: `mpire`'s `get_insights()`.
    /// Example    std::cout << pool.insights();
    Insights insights() const;

    /// The process ids of the workers.
    std::vector<std::int64_t> worker_pids() const { return crew_->pids(); }

    /// Python's repr: <multiprocessing.pool.Pool state=RUN pool_size=4>
    std::string to_string() const;
    friend std::ostream& operator<<(std::ostream& stream, Pool const& pool) { return stream << pool.to_string(); }

private:
    static detail::crew_options checked(PoolOptions const& options);

    // Traits: detail::map_traits, starmap_traits, or apply_traits.
    template <class Traits, class OnError, class F, class Items>
    auto call(F func, Items&& items, BasicMapOptions<OnError> const& options);
    template <class Traits, class OnError, class F, class Items, class Value>
    auto begin(F func, Items&& items, BasicMapOptions<OnError> const& options, Callbacks<Value> callbacks, bool wait);
    template <class F, class... Args>
    auto begin_one(
        F func,
        MapOptions const& options,
        Callbacks<detail::apply_value<F, Args...>> callbacks,
        bool wait,
        Args&&... args);
    template <class Traits, class F, class Items>
    auto stream(F func, Items&& items, MapOptions const& options, bool in_order);

    detail::crew_owner crew_;
};

} // namespace multiprocessing::inline v0

#include <multiprocessing/detail/pool_impl.hpp>
