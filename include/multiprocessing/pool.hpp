#pragma once

#include <multiprocessing/call_options.hpp>
#include <multiprocessing/detail/call_data.hpp>
#include <multiprocessing/detail/crew.hpp>

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

/// What a Pool can be told at its making; everything is optional.
struct PoolOptions {
    std::optional<int> processes{};        ///< workers, at least 1; empty: one per processor that may be used
    std::optional<int> maxtasksperchild{}; ///< chunks after which a worker is replaced, at least 1; empty: never
    std::optional<StartMethod> method{};   ///< empty: the start method of the program
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
///  - No thread is started in this process.
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
    /// options    {.chunksize = …}
    /// Returns    n results as std::vector, result i from item i; nothing if func returns nothing
    /// Throws     ValueError  the pool is closed, or chunksize is below 1;
    ///            what func threw, as the same type with RemoteError mixed in, or UnknownRemoteException;
    ///            MaybeEncodingError  a result cannot be serialised;
    ///            WorkerDiedError  a worker ended while it ran an item;
    ///            PicklingError  func cannot travel, and the start method is not fork.
    ///            Failures are thrown after all items are done; of several, the first in time.
    /// Example    auto lengths = pool.map(length, names);
    template <class F, std::ranges::input_range Items>
    auto map(F func, Items&& items, MapOptions options = {});
    template <class F, std::ranges::input_range Items>
    auto map(F func, Items&& items, std::int64_t chunksize) {
        return map(std::move(func), std::forward<Items>(items), MapOptions{.chunksize = chunksize});
    }
    template <class F, class T>
    auto map(F func, std::initializer_list<T> items, MapOptions options = {}) {
        return map(std::move(func), std::span<T const>(items.begin(), items.size()), options);
    }

    /// As map, for functions of several parameters: each item is a tuple (or pair, or array) of arguments.
    ///
    /// Python: `Pool.starmap(func, iterable, chunksize=None)`.
    /// Example    pool.starmap(power, std::vector<std::pair<int, int>>{{2, 3}, {3, 2}});
    template <class F, std::ranges::input_range Items>
    auto starmap(F func, Items&& items, MapOptions options = {});
    template <class F, class T>
    auto starmap(F func, std::initializer_list<T> items, MapOptions options = {}) {
        return starmap(std::move(func), std::span<T const>(items.begin(), items.size()), options);
    }

    /// Calls func(args...) in a worker and returns its result. Blocks until it is there. Throws as map does.
    ///
    /// Python: `Pool.apply(func, args)`. Differs: the arguments follow one by one.
    template <class F, class... Args>
    auto apply(F func, Args&&... args);

    /// No more calls; workers leave when they are done. Does not block. Python: `Pool.close()`.
    void close() noexcept { crew_->close(); }

    /// Ends the workers, whatever they do (SIGTERM, and SIGKILL to who ignores that for a second). Does not wait for them.
    /// Calls that other threads wait for end with ProcessError. Python: `Pool.terminate()`, where they never end.
    void terminate() noexcept { crew_->terminate(); }

    /// After close() or terminate(): waits until the workers have ended. Throws ValueError before.
    /// Python: `Pool.join()`.
    void join();

    /// The process ids of the workers.
    std::vector<std::int64_t> worker_pids() const { return crew_->pids(); }

    /// Python's repr: <multiprocessing.pool.Pool state=RUN pool_size=4>
    std::string to_string() const;
    friend std::ostream& operator<<(std::ostream& stream, Pool const& pool) { return stream << pool.to_string(); }

private:
    static detail::crew_options checked(PoolOptions const& options);

    template <class Call, class Signature, class Kept, class F, class Items>
    auto run(F& func, Items&& items, MapOptions options);

    detail::crew_options options_;
    std::unique_ptr<detail::crew> crew_;
};

// ---- implementation

inline detail::crew_options Pool::checked(PoolOptions const& options) {
    if (options.processes.value_or(1) < 1) throw ValueError("Number of processes must be at least 1");
    if (options.maxtasksperchild.value_or(1) < 1) throw ValueError("maxtasksperchild must be a positive int or None");
    detail::crew_options result;
    result.workers = options.processes ? static_cast<unsigned>(*options.processes) : process_cpu_count();
    result.chunks_per_worker = static_cast<std::uint64_t>(options.maxtasksperchild.value_or(0));
    result.method = options.method;
    return result;
}

inline Pool::Pool(PoolOptions options) : options_(checked(options)), crew_(std::make_unique<detail::crew>(options_)) {}

template <class F, class... Args>
    requires std::invocable<std::decay_t<F>&, detail::guessed_parameter<Args>...> ||
             detail::declares_parameters<std::decay_t<F>>
Pool::Pool(PoolOptions options, F&& initializer, Args&&... initargs) : options_(checked(options)) {
    options_.initializer = detail::make_target(std::forward<F>(initializer), std::forward<Args>(initargs)...);
    crew_ = std::make_unique<detail::crew>(options_);
}

inline void Pool::join() {
    crew_->require_owner();
    crew_->join();
}

inline std::string Pool::to_string() const {
    return std::string("<multiprocessing.pool.Pool state=") + crew_->state_name() +
           " pool_size=" + std::to_string(crew_->size()) + '>';
}

template <class F, std::ranges::input_range Items>
auto Pool::map(F func, Items&& items, MapOptions options) {
    using signature = detail::signature_of<F, std::ranges::range_reference_t<Items>>;
    static_assert(
        signature::arity == 1, "multiprocessing: map() calls its function with one argument; starmap() unpacks");
    using kept = std::tuple_element_t<0, typename signature::kept>;
    return run<detail::call_with_item<signature>, signature, kept>(func, std::forward<Items>(items), options);
}

template <class F, std::ranges::input_range Items>
auto Pool::starmap(F func, Items&& items, MapOptions options) {
    using signature = detail::tuple_signature<F, std::remove_cvref_t<std::ranges::range_reference_t<Items>>>;
    using kept = typename signature::kept;
    return run<detail::call_with_tuple<signature>, signature, kept>(func, std::forward<Items>(items), options);
}

template <class F, class... Args>
auto Pool::apply(F func, Args&&... args) {
    using signature = detail::signature_of<F, Args...>;
    static_assert(
        signature::arity == sizeof...(Args), "multiprocessing: the function takes another number of arguments");
    using kept = typename signature::kept;
    std::array<kept, 1> const items{kept(std::forward<Args>(args)...)};
    using result = std::remove_cvref_t<typename signature::result>;
    if constexpr (std::is_void_v<result>) {
        run<detail::call_with_tuple<signature>, signature, kept>(func, items, {});
    } else {
        auto results = run<detail::call_with_tuple<signature>, signature, kept>(func, items, {});
        return static_cast<result>(std::move(results.front()));
    }
}

template <class Call, class Signature, class Kept, class F, class Items>
auto Pool::run(F& func, Items&& items, MapOptions options) {
    using result = typename Signature::result;
    static_assert(
        !std::is_reference_v<result>,
        "multiprocessing: the function returns a reference, which means nothing outside its process; return a value");
    static_assert(
        std::is_void_v<result> || detail::plain_result<result> || detail::travels<result>,
        "multiprocessing: the result of the function cannot travel between processes; give its type serialize()");
    static_assert(
        detail::plain_result<Kept> || detail::travels<Kept>,
        "multiprocessing: the items cannot travel between processes; give their type serialize()");
    crew_->require_owner();
    if (options.chunksize.value_or(1) < 1) throw ValueError("Chunksize must be 1+");
    if (crew_->is_closed()) throw ValueError("Pool not running");

    detail::call_input<Kept, std::remove_cvref_t<Items>> const input(std::forward<Items>(items));
    detail::call_output<std::remove_cv_t<result>> output(input.count());
    if (input.count() == 0) return output.collect();

    auto const perform = [&]<template <class> class Callable>(detail::crew& crew, auto&& describe_callable) {
        auto* const work = detail::batch::make(
            0, input.count(), static_cast<std::uint64_t>(options.chunksize.value_or(0)), crew.size());
        work->function = detail::identify<
            &detail::work_on<Callable<F>, typename decltype(input)::reader, Call, std::remove_cv_t<result>>>();
        describe_callable(*work);
        input.describe(*work);
        output.describe(*work);
        detail::perform(crew, work, output);
    };

    if constexpr (detail::callable_travels<F>) {
        detail::byte_buffer state;
        {
            detail::output_archive archive(state);
            archive.delivery_mode(detail::delivery::many);
            detail::save_callable(archive, func);
        }
        detail::arena_block block;
        if (state.size() != 0) {
            block = detail::arena_block(state.size());
            std::memcpy(block.get(), state.data(), state.size());
        }
        perform.template operator()<detail::travelling_callable>(*crew_, [&](detail::batch& work) {
            work.callable = block.offset();
            work.callable_size = state.size();
        });
    } else {
        if (crew_->method() != StartMethod::fork) throw PicklingError(detail::cannot_travel_text);
        // These workers are forked now, so they have the function, and everything that it refers to.
        auto special = options_;
        special.workers = static_cast<unsigned>(std::min<std::uint64_t>(special.workers, input.count()));
        special.chunks_per_worker = 0;
        detail::crew forked(std::move(special));
        perform.template operator()<detail::inherited_callable>(forked, [&](detail::batch& work) {
            work.callable = reinterpret_cast<std::uintptr_t>(std::addressof(func));
        });
    }
    return output.collect();
}

} // namespace multiprocessing::inline v0
