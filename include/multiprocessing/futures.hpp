#pragma once

#include <multiprocessing/detail/executor.hpp>
#include <multiprocessing/future.hpp>
#include <multiprocessing/pool.hpp>

#include <algorithm>
#include <atomic>
#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace multiprocessing::inline v0::detail {

template <class Executor, class F, class Signature, class... Items>
class zipped_calls;

} // namespace multiprocessing::inline v0::detail

namespace multiprocessing::inline v0::futures {

/// What Executor::map can be told; everything is optional.
struct MapOptions {
    Timeout timeout{};                        ///< counted from the call; then the next result is a TimeoutError
    std::int64_t chunksize = 1;               ///< items that a worker process gets at a time; threads take one each
    std::optional<std::int64_t> buffersize{}; ///< items that are submitted ahead; empty: all, at once
};

/// The results of Executor::map, in the order of the items. An input range, to be gone through once. Move-only. After
/// an exception it has no more results; what has not begun by its end is cancelled.
///
/// Safe from  one thread at a time. The executor has to outlive it if there is a buffersize.
template <class R>
class [[nodiscard]] MapResults {
public:
    using value_type = detail::streamed<R>;

    MapResults(std::unique_ptr<detail::mapped_calls<R>> calls, platform::deadline until) noexcept
        : calls_(std::move(calls)), until_(until) {}

    /// The next result; empty: that was all. Blocks until it is there. Throws what the call threw, and TimeoutError.
    std::optional<value_type> next();

    class iterator;
    iterator begin() { return iterator(*this); }
    std::default_sentinel_t end() const noexcept { return {}; }

private:
    std::unique_ptr<detail::mapped_calls<R>> calls_;
    platform::deadline until_;
    std::vector<value_type> chunk_;
    std::size_t at_ = 0;
};

/// What both executors have, `Derived` being one of them.
template <class Derived>
class BasicExecutor {
public:
    /// Has func(args...) called, and returns at once. The arguments are kept as the parameters of func want them.
    ///
    /// Python: `Executor.submit(fn, *args)`.
    /// Throws     RuntimeError  after shutdown();  BrokenExecutor  an initializer has failed;
    ///            AssertionError  in a forked child
    template <class F, class... Args>
    auto submit(F func, Args&&... args);

    /// Calls func with the elements of the ranges, one of each, until the shortest is over. All calls are submitted now,
    /// unless there is a buffersize; then the ranges are read on as results are taken, and those that are lvalues have to
    /// exist for as long.
    ///
    /// Python: `Executor.map(fn, *iterables, timeout=None, chunksize=1, buffersize=None)`.
    /// Throws     ValueError  chunksize or buffersize is below 1; and as submit() does
    template <class F, std::ranges::input_range... Items>
        requires(sizeof...(Items) > 0)
    auto map(F func, Items&&... items) {
        return map(std::move(func), MapOptions(), std::forward<Items>(items)...);
    }
    template <class F, std::ranges::input_range... Items>
    auto map(F func, MapOptions options, Items&&... items);

private:
    Derived& self() noexcept { return static_cast<Derived&>(*this); }
};

/// What a ThreadPoolExecutor can be told at its making; everything is optional.
struct ThreadExecutorOptions {
    std::optional<int> max_workers{}; ///< threads, at least 1; empty: 4 more than processors, at most 32
    std::string thread_name_prefix{}; ///< empty: ThreadPoolExecutor-1, …; threads are called PREFIX_0, PREFIX_1, …
};

/// Runs calls in threads, which start when they are needed.
///
/// Python: `concurrent.futures.ThreadPoolExecutor`. The end of the scope waits for everything that was submitted, as
/// Python's `with` does. Functions may be any callables; results may be anything that can be moved.
///
/// Safe from  any thread of the process that made it.
/// Example    examples/50_futures.cpp
class ThreadPoolExecutor : public BasicExecutor<ThreadPoolExecutor> {
public:
    /// Throws ValueError if max_workers is below 1.
    explicit ThreadPoolExecutor(ThreadExecutorOptions options = {})
        : ThreadPoolExecutor(tag(), std::move(options), {}) {}
    explicit ThreadPoolExecutor(int max_workers)
        : ThreadPoolExecutor(ThreadExecutorOptions{.max_workers = max_workers}) {}

    /// Each thread first calls initializer(initargs...), with copies of them. One that throws breaks the executor:
    /// what is submitted fails with BrokenThreadPool.
    template <class F, class... Args>
        requires std::invocable<std::decay_t<F>&, detail::guessed_parameter<Args>...> ||
                 detail::declares_parameters<std::decay_t<F>>
    ThreadPoolExecutor(ThreadExecutorOptions options, F&& initializer, Args&&... initargs);

    /// No more calls. What was submitted is still done, or, with cancel_futures, cancelled if it has not begun. With wait
    /// it blocks until all of it is done and the threads have ended; the destructor does so.
    ///
    /// Python: `Executor.shutdown(wait=True, *, cancel_futures=False)`.
    void shutdown(bool wait = true, bool cancel_futures = false) { threads_.shutdown(wait, cancel_futures); }

    int max_workers() const noexcept { return static_cast<int>(threads_.crew().size()); }
    /// How many threads have been started.
    int thread_count() const noexcept { return static_cast<int>(threads_.crew().started()); }
    /// Whether an initializer has failed.
    bool broken() const noexcept { return threads_.crew().broken() != nullptr; }

private:
    friend class BasicExecutor<ThreadPoolExecutor>;
    template <class, class, class, class...>
    friend class detail::zipped_calls;
    struct tag {};
    ThreadPoolExecutor(tag, ThreadExecutorOptions options, std::function<void()> initializer);

    template <class T, class Body>
    Future<T> start(Body body) {
        return threads_.submit<T>(std::move(body));
    }
    template <class Signature, class F>
    static auto call_one(ThreadPoolExecutor&, F& func, typename Signature::kept& arguments) {
        return Signature::call(func, arguments);
    }
    template <class Signature, class F>
    static auto call_all(ThreadPoolExecutor&, F& func, std::vector<typename Signature::kept>& items);
    static std::int64_t chunksize(std::int64_t) noexcept { return 1; }

    detail::executor_threads threads_;
};

/// What a ProcessPoolExecutor can be told at its making; everything is optional.
struct ProcessExecutorOptions {
    std::optional<int> max_workers{};    ///< worker processes, at least 1; empty: one per processor that may be used
    std::optional<StartMethod> method{}; ///< empty: the start method of the program. Python: `mp_context`
    std::optional<int> max_tasks_per_child{}; ///< tasks after which a worker is replaced, at least 1; empty: never
};

/// Runs calls in worker processes.
///
///     mp::futures::ProcessPoolExecutor executor(4);
///     auto future = executor.submit(factorise, 4294967297);
///
/// Python: `concurrent.futures.ProcessPoolExecutor`. The end of the scope waits for everything that was submitted, as
/// Python's `with` does. Functions, arguments and results are those of Pool. Differs:
///  - A worker that dies costs the future whose call it ran: this one has WorkerDiedError, which is a BrokenProcessPool and
///    names process, signal and exit code. The worker is replaced and the executor goes on; in Python all futures fail.
///  - The workers start with the executor.
///  - running() means that the call has been given to a worker.
///  - max_tasks_per_child with every start method.
///
/// There is a thread in this process for each worker that is busy.
///
/// Safe from  any thread of the process that made it.
/// Example    examples/50_futures.cpp
class ProcessPoolExecutor : public BasicExecutor<ProcessPoolExecutor> {
public:
    /// Throws as Pool does.
    explicit ProcessPoolExecutor(ProcessExecutorOptions options = {})
        : pool_(pool_options(options)), threads_(thread_options(options)) {}
    explicit ProcessPoolExecutor(int max_workers)
        : ProcessPoolExecutor(ProcessExecutorOptions{.max_workers = max_workers}) {}

    /// Each worker, also one that replaces another, first calls initializer(initargs...). One that throws breaks the
    /// executor: what is submitted fails with BrokenProcessPool.
    template <class F, class... Args>
        requires std::invocable<std::decay_t<F>&, detail::guessed_parameter<Args>...> ||
                     detail::declares_parameters<std::decay_t<F>>
    ProcessPoolExecutor(ProcessExecutorOptions options, F&& initializer, Args&&... initargs)
        : pool_(pool_options(options), std::forward<F>(initializer), std::forward<Args>(initargs)...),
          threads_(thread_options(options)) {}

    /// No more calls. What was submitted is still done, or, with cancel_futures, cancelled if it has not begun. With wait
    /// it blocks until all of it is done and the workers have ended; the destructor does so.
    ///
    /// Python: `Executor.shutdown(wait=True, *, cancel_futures=False)`.
    void shutdown(bool wait = true, bool cancel_futures = false);

    /// shutdown(false, true), and ends the workers: SIGTERM, or SIGKILL. Futures that were running fail with
    /// BrokenProcessPool. Python 3.14: `terminate_workers()`, `kill_workers()`.
    void terminate_workers() { end_workers(false); }
    void kill_workers() { end_workers(true); }

    /// The process ids of the workers.
    std::vector<std::int64_t> worker_pids() const { return pool_.worker_pids(); }
    int max_workers() const noexcept { return static_cast<int>(threads_.crew().size()); }
    /// Whether an initializer has failed, or workers cannot live.
    bool broken() const noexcept { return threads_.crew().broken() != nullptr; }

private:
    friend class BasicExecutor<ProcessPoolExecutor>;
    template <class, class, class, class...>
    friend class detail::zipped_calls;
    static multiprocessing::PoolOptions pool_options(ProcessExecutorOptions const& options);
    static detail::thread_crew_options thread_options(ProcessExecutorOptions const& options);

    template <class T, class Body>
    Future<T> start(Body body);
    template <class Signature, class F>
    static auto call_one(ProcessPoolExecutor& self, F& func, typename Signature::kept& arguments);
    template <class Signature, class F>
    static auto call_all(ProcessPoolExecutor& self, F& func, std::vector<typename Signature::kept>& items);
    static std::int64_t chunksize(std::int64_t wanted) noexcept { return wanted; }
    void end_workers(bool at_once);
    [[noreturn]] void rethrow();

    multiprocessing::Pool pool_;
    std::atomic<bool> ended_{false};   // by terminate_workers or kill_workers
    detail::executor_threads threads_; // ends first: its threads use the pool
};

/// Whatever runs calls as the two do.
template <class E>
concept Executor = requires(E& executor, int (*function)(int)) {
    { executor.submit(function, 1) } -> std::same_as<Future<int>>;
    executor.map(function, std::vector<int>());
    executor.shutdown(true, false);
};

} // namespace multiprocessing::inline v0::futures

#include <multiprocessing/detail/futures_impl.hpp>
