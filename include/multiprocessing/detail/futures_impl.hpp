#pragma once

#include <multiprocessing/futures.hpp>

/// The bodies of futures.hpp.
namespace multiprocessing::inline v0 {

namespace detail {

/// The calls of Executor::map: reads the ranges, and submits chunk by chunk.
template <class Executor, class F, class Signature, class... Items>
class zipped_calls final : public mapped_calls<result_of<Signature>> {
    using kept = typename Signature::kept;
    using results = typename mapped_calls<result_of<Signature>>::results;

public:
    zipped_calls(Executor& executor, F func, futures::MapOptions const& options, std::size_t chunksize, Items... items)
        : executor_(executor), func_(std::make_shared<F>(std::move(func))), chunksize_(chunksize),
          items_(std::forward<Items>(items)...) {
        if (options.buffersize) {
            auto const items_ahead = static_cast<std::size_t>(*options.buffersize);
            most_ = (items_ahead + chunksize_ - 1) / chunksize_;
        }
        std::apply([&](auto&... range) { at_.emplace(std::ranges::begin(range)...); }, items_);
    }

    void fill() override {
        while (at_ && this->submitted.size() < most_) {
            std::vector<kept> chunk = read();
            if (!chunk.empty()) submit(std::move(chunk));
        }
    }

private:
    static constexpr auto all = std::index_sequence_for<Items...>();

    template <std::size_t... i>
    bool is_over(std::index_sequence<i...>) {
        return ((std::get<i>(*at_) == std::ranges::end(std::get<i>(items_))) || ...);
    }
    template <std::size_t... i>
    kept element(std::index_sequence<i...>) {
        return kept(keep_item<std::tuple_element_t<i, kept>>(*std::get<i>(*at_))...);
    }

    std::vector<kept> read() {
        std::vector<kept> chunk;
        for (; chunk.size() < chunksize_;
             std::apply([](auto&... position) { (static_cast<void>(++position), ...); }, *at_)) {
            if (is_over(all)) {
                at_.reset();
                break;
            }
            chunk.push_back(element(all));
        }
        return chunk;
    }

    void submit(std::vector<kept> chunk) {
        this->submitted.push_back(executor_.template start<results>(
            [executor = &executor_, func = func_, chunk = std::move(chunk)]() mutable {
                return Executor::template call_all<Signature>(*executor, *func, chunk);
            }));
    }

    Executor& executor_;
    std::shared_ptr<F> func_;
    std::size_t chunksize_;
    std::size_t most_ = ~std::size_t{0};
    std::tuple<Items...> items_;
    std::optional<std::tuple<std::ranges::iterator_t<Items>...>> at_; // empty: nothing is left to read
};

} // namespace detail

namespace futures {

template <class R>
std::optional<typename MapResults<R>::value_type> MapResults<R>::next() {
    while (at_ == chunk_.size()) {
        if (!calls_) return std::nullopt;
        try {
            chunk_.clear();
            at_ = 0;
            calls_->fill();
            if (calls_->submitted.empty()) {
                calls_.reset();
                continue;
            }
            if (!calls_->submitted.front().core().wait(until_)) throw TimeoutError();
            auto future = std::move(calls_->submitted.front());
            calls_->submitted.pop_front();
            chunk_ = std::move(future).result();
        } catch (...) {
            calls_.reset(); // cancels the others
            throw;
        }
    }
    return value_type(std::move(chunk_[at_++]));
}

template <class R>
class MapResults<R>::iterator {
public:
    using value_type = MapResults::value_type;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    iterator() = default;
    explicit iterator(MapResults& results) : results_(&results), value_(results.next()) {}

    value_type& operator*() const noexcept { return *value_; }
    iterator& operator++() {
        value_.reset(); // nothing is kept of a result that has had its turn
        value_ = results_->next();
        return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const noexcept { return !value_; }

private:
    MapResults* results_ = nullptr;
    mutable std::optional<value_type> value_;
};

// ---- both

template <class Derived>
template <class F, class... Args>
auto BasicExecutor<Derived>::submit(F func, Args&&... args) {
    using signature = detail::signature_of<F, Args...>;
    static_assert(
        signature::arity == sizeof...(Args), "multiprocessing: the function takes another number of arguments");
    using kept = typename signature::kept;
    return self().template start<detail::result_of<signature>>(
        [executor = &self(), func = std::move(func), arguments = kept(std::forward<Args>(args)...)]() mutable {
            return Derived::template call_one<signature>(*executor, func, arguments);
        });
}

template <class Derived>
template <class F, std::ranges::input_range... Items>
auto BasicExecutor<Derived>::map(F func, MapOptions options, Items&&... items) {
    using signature = detail::signature_of<F, std::ranges::range_reference_t<Items>...>;
    static_assert(
        signature::arity == sizeof...(Items), "multiprocessing: the function takes another number of arguments");
    if (options.chunksize < 1) throw ValueError("chunksize must be >= 1.");
    if (options.buffersize.value_or(1) < 1) throw ValueError("buffersize must be None or > 0");
    auto const until = options.timeout.deadline();
    using calls = detail::zipped_calls<Derived, F, signature, Items...>;
    auto all = std::make_unique<calls>(
        self(),
        std::move(func),
        options,
        static_cast<std::size_t>(Derived::chunksize(options.chunksize)),
        std::forward<Items>(items)...);
    all->fill();
    return MapResults<detail::result_of<signature>>(std::move(all), until);
}

// ---- threads

inline ThreadPoolExecutor::ThreadPoolExecutor(tag, ThreadExecutorOptions options, std::function<void()> initializer)
    : threads_([&] {
          if (options.max_workers.value_or(1) < 1) throw ValueError("max_workers must be greater than 0");
          static std::atomic<unsigned> made{0};
          auto prefix = std::move(options.thread_name_prefix);
          if (prefix.empty()) prefix = "ThreadPoolExecutor-" + std::to_string(made.fetch_add(1));
          return detail::thread_crew_options{
              .threads = options.max_workers ? static_cast<unsigned>(*options.max_workers)
                                             : std::min(32U, process_cpu_count() + 4),
              .initializer = std::move(initializer),
              .name = [prefix](unsigned number) { return prefix + '_' + std::to_string(number); },
              .on_demand = true};
      }()) {}

template <class F, class... Args>
    requires std::invocable<std::decay_t<F>&, detail::guessed_parameter<Args>...> ||
             detail::declares_parameters<std::decay_t<F>>
ThreadPoolExecutor::ThreadPoolExecutor(ThreadExecutorOptions options, F&& initializer, Args&&... initargs)
    : ThreadPoolExecutor(
          tag(),
          std::move(options),
          [call = detail::repeatable_call(std::forward<F>(initializer), std::forward<Args>(initargs)...)] {
              try {
                  call();
              } catch (...) {
                  auto const text = detail::describe_exception(std::current_exception());
                  std::fprintf(stderr, "multiprocessing: exception in initializer:\n%s\n", text.c_str());
                  throw BrokenThreadPool("the initializer of a thread failed: " + text);
              }
          }) {}

template <class Signature, class F>
auto ThreadPoolExecutor::call_all(ThreadPoolExecutor&, F& func, std::vector<typename Signature::kept>& items) {
    using R = detail::result_of<Signature>;
    std::vector<detail::streamed<R>> results;
    results.reserve(items.size());
    for (auto& item : items) {
        if constexpr (std::is_void_v<R>) {
            Signature::call(func, item);
            results.emplace_back();
        } else {
            results.push_back(Signature::call(func, item));
        }
    }
    return results;
}

// ---- processes

inline multiprocessing::PoolOptions ProcessPoolExecutor::pool_options(ProcessExecutorOptions const& options) {
    if (options.max_workers.value_or(1) < 1) throw ValueError("max_workers must be greater than 0");
    if (options.max_tasks_per_child.value_or(1) < 1) throw ValueError("max_tasks_per_child must be >= 1");
    return {
        .processes = options.max_workers, .maxtasksperchild = options.max_tasks_per_child, .method = options.method};
}

inline detail::thread_crew_options ProcessPoolExecutor::thread_options(ProcessExecutorOptions const& options) {
    return {
        .threads = options.max_workers ? static_cast<unsigned>(*options.max_workers) : process_cpu_count(),
        .on_demand = true};
}

template <class T, class Body>
Future<T> ProcessPoolExecutor::start(Body body) {
    return threads_.submit<T>([this, body = std::move(body)]() mutable {
        try {
            return body();
        } catch (...) {
            rethrow();
        }
    });
}

template <class Signature, class F>
auto ProcessPoolExecutor::call_one(ProcessPoolExecutor& self, F& func, typename Signature::kept& arguments) {
    using R = detail::result_of<Signature>;
    std::span<typename Signature::kept const> const items(&arguments, 1);
    if constexpr (std::is_void_v<R>) {
        self.pool_.starmap(func, items, {.chunksize = 1});
    } else {
        auto results = self.pool_.starmap(func, items, {.chunksize = 1});
        return static_cast<R>(std::move(results.front()));
    }
}

template <class Signature, class F>
auto ProcessPoolExecutor::call_all(ProcessPoolExecutor& self, F& func, std::vector<typename Signature::kept>& items) {
    multiprocessing::MapOptions const options{.chunksize = static_cast<std::int64_t>(items.size())};
    if constexpr (std::is_void_v<detail::result_of<Signature>>) {
        self.pool_.starmap(func, items, options);
        return std::vector<std::monostate>(items.size());
    } else {
        return self.pool_.starmap(func, items, options);
    }
}

/// Tells what happens to the executor from what happens to an item: that has a number.
inline void ProcessPoolExecutor::rethrow() {
    auto const error = std::current_exception();
    // A failure that belongs to no item is that of the workers themselves.
    bool is_broken = false;
    try {
        throw;
    } catch (WorkerDiedError const& death) {
        is_broken = !death.task_index();
    } catch (RemoteError const& remote) {
        is_broken = !remote.task_index();
    } catch (...) {
    }
    if (ended_) throw BrokenProcessPool("the workers of the executor were terminated");
    if (!is_broken) std::rethrow_exception(error);
    BrokenProcessPool const broken("workers cannot be initialised: " + detail::describe_exception(error));
    threads_.crew().fail(std::make_exception_ptr(broken));
    throw broken;
}

inline void ProcessPoolExecutor::shutdown(bool wait, bool cancel_futures) {
    threads_.shutdown(wait, cancel_futures);
    if (!wait) return; // the workers are still needed
    pool_.close();
    pool_.join();
}

inline void ProcessPoolExecutor::end_workers(bool at_once) {
    threads_.shutdown(false, true);
    ended_ = true;
    if (at_once) {
        for (auto const pid : pool_.worker_pids()) {
            std::error_code gone;
            platform::kill_process(pid, gone);
        }
    }
    pool_.terminate();
}

static_assert(Executor<ThreadPoolExecutor>);
static_assert(Executor<ProcessPoolExecutor>);

} // namespace futures
} // namespace multiprocessing::inline v0
