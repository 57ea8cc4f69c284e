#pragma once

#include <multiprocessing/detail/deadline.hpp>
#include <multiprocessing/progress.hpp>

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>

namespace multiprocessing::inline v0 {

/// For the option `on_error`: when all items are done, throw the first exception.
struct raise_t {};
inline constexpr raise_t raise{};
/// Or return an Outcome for every item, and throw none of their exceptions.
struct collect_t {};
inline constexpr collect_t collect{};

/// What one call of a pool can be told; everything is optional.
///
///     pool.map(parse, files, {.timeout = 5s, .retries = 2, .on_error = mp::collect});
template <class OnError>
struct BasicMapOptions {
    /// Items that a worker takes at a time, at least 1. Empty: by the guided rule, many at first and few at the end, and
    /// never so many that they take long.
    std::optional<std::int64_t> chunksize{};
    /// How long one item may run. Then its worker is ended and replaced, and the item's outcome is TaskTimeoutError. It
    /// is noticed within 10 ms. Threads cannot be ended: a ThreadPool throws ValueError.
    Timeout timeout{};
    /// How often an item that failed, by an exception, a death or its time, is tried again; at least 0.
    int retries = 0;
    /// `raise` or `collect`.
    OnError on_error{};
    /// Whether and how its progress is shown: `true`, or a function.
    Progress progress{};
    /// Stands in front of the progress, and in traces.
    std::string label{};
    /// A request to stop cancels the call, which then throws CancelledError.
    std::stop_token stop{};
    /// An item that has cost so many workers is not tried again, whatever `retries` says; at least 1.
    int quarantine_after = 3;
};
using MapOptions = BasicMapOptions<raise_t>;
using CollectOptions = BasicMapOptions<collect_t>;

} // namespace multiprocessing::inline v0
