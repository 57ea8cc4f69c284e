#pragma once

#include <multiprocessing/pool.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

/// The bodies of pool.hpp.
namespace multiprocessing::inline v0 {

namespace detail {

template <class OnError>
void check(BasicMapOptions<OnError> const& options) {
    if (options.chunksize.value_or(1) < 1) throw ValueError("Chunksize must be 1+");
    if (options.retries < 0) throw ValueError("retries must not be negative");
    if (options.quarantine_after < 1) throw ValueError("quarantine_after must be at least 1");
    auto const timeout = options.timeout.duration();
    if (timeout && timeout->count() <= 0) throw ValueError("an item's timeout must be positive");
}

/// What a call was told, as far as its owner has to know.
template <class OnError>
void limit(crew_call& call, BasicMapOptions<OnError> const& options) {
    call.timeout = options.timeout.duration().value_or(std::chrono::nanoseconds(0));
    call.attempts = static_cast<unsigned>(options.retries) + 1;
    call.most_deaths = static_cast<unsigned>(options.quarantine_after);
}

} // namespace detail

inline detail::crew_options Pool::checked(PoolOptions const& options) {
    if (options.processes.value_or(1) < 1) throw ValueError("Number of processes must be at least 1");
    if (options.maxtasksperchild.value_or(1) < 1) throw ValueError("maxtasksperchild must be a positive int or None");
    detail::crew_options result;
    // Within another pool's worker the processors are shared with its fellows.
    auto const processors = std::max(1u, process_cpu_count() / detail::process_state::instance().processor_shares);
    result.workers = options.processes ? static_cast<unsigned>(*options.processes) : processors;
    result.chunks_per_worker = static_cast<std::uint64_t>(options.maxtasksperchild.value_or(0));
    result.method = options.method;
    result.routine.finalizer = options.finalizer;
    detail::check_limits(options.limits);
    result.routine.limits = options.limits;
    result.records = std::make_shared<detail::pool_records>(options.insights, options.trace);
    return result;
}

inline Pool::Pool(PoolOptions options) : crew_(detail::crew::make(checked(options))) {}

template <class F, class... Args>
    requires std::invocable<std::decay_t<F>&, detail::guessed_parameter<Args>...> ||
             detail::declares_parameters<std::decay_t<F>>
Pool::Pool(PoolOptions options, F&& initializer, Args&&... initargs) {
    auto details = checked(options);
    details.routine.initializer =
        detail::worker_task(detail::make_target(std::forward<F>(initializer), std::forward<Args>(initargs)...));
    crew_ = detail::crew_owner(detail::crew::make(std::move(details)));
}

inline void Pool::join() {
    crew_->require_owner();
    crew_->join();
    crew_->options().records->close();
}

inline Insights Pool::insights() const {
    auto const& records = *crew_->options().records;
    Insights living;
    crew_->report(living); // first: it also fetches what workers have noted
    auto result = records.insights();
    for (auto& worker : living.workers) result.workers.push_back(std::move(worker));
    for (auto const& worker : result.workers) result.items += worker.items;
    return result;
}

inline std::string Pool::to_string() const {
    return std::string("<multiprocessing.pool.Pool state=") + crew_->state_name() +
           " pool_size=" + std::to_string(crew_->size()) + '>';
}

template <class Traits, class OnError, class F, class Items>
auto Pool::call(F func, Items&& items, BasicMapOptions<OnError> const& options) {
    using value = typename Traits::template value<OnError>;
    auto const made = begin<Traits>(std::move(func), std::forward<Items>(items), options, Callbacks<value>(), true);
    return detail::result_of_call(*made);
}

template <class F, class... Args>
auto Pool::begin_one(
    F func,
    MapOptions const& options,
    Callbacks<detail::apply_value<F, Args...>> callbacks,
    bool wait,
    Args&&... args) {
    using traits = detail::apply_traits<F, Args...>;
    std::array<typename traits::kept, 1> const items{typename traits::kept(std::forward<Args>(args)...)};
    return begin<traits>(std::move(func), items, options, std::move(callbacks), wait);
}

template <class Traits, class OnError, class F, class Items, class Value>
auto Pool::begin(
    F func, Items&& items, BasicMapOptions<OnError> const& options, Callbacks<Value> callbacks, bool wait) {
    crew_->require_owner();
    detail::check(options);
    if (crew_->is_closed()) throw ValueError("Pool not running");
    using input = detail::call_input<typename Traits::kept, std::remove_cvref_t<Items>>;
    using result = typename Traits::result;
    using call_type = detail::pool_call<result, Traits::template shape<OnError>>;

    input placed(std::forward<Items>(items), wait);
    auto const count = placed.count;
    detail::workplace where;
    if (count != 0) where = detail::place(crew_.get(), std::move(func), count, true);
    auto const call = std::make_shared<call_type>(std::move(placed), std::move(where.callable));
    detail::limit(*call, options);
    bool const calls_back = callbacks.callback || callbacks.error_callback;
    if (calls_back) call->call_back(std::move(callbacks));
    if (count == 0) return call;

    auto* const work =
        detail::batch::make(0, count, static_cast<std::uint64_t>(options.chunksize.value_or(0)), where.workers->size());
    call->batches.push_back({work, nullptr});
    work->function = detail::identify<
        &detail::work_on<detail::callable_in_workers<F>, typename input::reader, typename Traits::call, result>>();
    work->timed = call->timeout.count() != 0;
    work->label = where.workers->options().records->label(options.label);
    call->describe(*work);
    if (options.progress) call->show(options.progress, options.label, !wait);
    // Somebody has to see to it while nobody waits.
    if (calls_back || (!wait && (work->timed != 0 || call->attempts > 1 || options.progress))) where.workers->attend();
    call->begin(where.workers, call, options.stop);
    if (wait) {
        call->wait_showing();
        if (where.own_workers) where.workers->join();
    }
    return call;
}

template <class Traits, class F, class Items>
auto Pool::stream(F func, Items&& items, MapOptions const& options, bool in_order) {
    crew_->require_owner();
    detail::check(options);
    if (crew_->is_closed()) throw ValueError("Pool not running");
    using result = typename Traits::result;
    using kept = typename Traits::kept;
    using reader = typename detail::call_input<kept, std::vector<kept>>::reader;
    // A range that is thrown away goes into the results.
    using source = std::conditional_t<std::is_lvalue_reference_v<Items>, Items, std::remove_cvref_t<Items>>;
    using stream_type = detail::pool_stream<
        result,
        kept,
        source,
        &detail::work_on<detail::callable_in_workers<F>, reader, typename Traits::call, result>>;

    auto where = detail::place(crew_.get(), std::move(func), crew_->size(), false);
    detail::stream_options details;
    details.in_order = in_order;
    details.chunksize = options.chunksize.value_or(0);
    details.timeout = options.timeout.duration().value_or(std::chrono::nanoseconds(0));
    details.attempts = static_cast<unsigned>(options.retries) + 1;
    details.most_deaths = static_cast<unsigned>(options.quarantine_after);
    details.stop = options.stop;
    details.progress = options.progress;
    details.label = options.label;
    return IMapIterator<result>(std::make_unique<stream_type>(
        std::move(where.workers),
        where.own_workers,
        std::move(where.callable),
        std::forward<Items>(items),
        std::move(details)));
}

} // namespace multiprocessing::inline v0
