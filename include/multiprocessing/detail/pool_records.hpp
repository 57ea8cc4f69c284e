#pragma once

#include <multiprocessing/detail/event_log.hpp>
#include <multiprocessing/detail/trace_file.hpp>
#include <multiprocessing/insights.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What is known about the work of a pool: for its insights, and its trace.
namespace multiprocessing::inline v0::detail {

/// Shared by a pool's workers' owners. Safe from any thread.
class pool_records {
public:
    using time_point = platform::clock::time_point;

    /// items    whether single items are of interest
    /// trace    the path of the trace; empty: none. Throws OSError if it cannot be written.
    pool_records(bool items, std::string const& trace);

    /// Whether workers have to note when each item begins and ends.
    bool wants_items() const noexcept { return items_ || trace_; }

    /// A number for the label of a call.
    std::uint32_t label(std::string const& text);

    void worker_began(std::int64_t pid, std::string const& name);
    void worker_ended(WorkerInsights worker);
    /// An item that a worker has run.
    void item(std::int64_t pid, item_event const& event);
    /// An item that has cost its worker.
    void item_lost(std::int64_t pid, item_event const& event, std::string_view why);
    void died(bool too_slow);
    void retried();

    /// So far, without the workers that live.
    Insights insights() const;
    /// Makes the trace whole. Throws OSError if it could not be written.
    void close();

private:
    static constexpr std::size_t most_slow_items = 10;
    static constexpr std::size_t most_workers = 1000; // that are remembered one by one

    static time_point moment(std::int64_t ticks) { return time_point(platform::clock::duration(ticks)); }
    std::string const& name_of(item_event const& event) const;

    bool items_;
    mutable std::mutex mutex_;
    std::optional<trace_file> trace_;
    std::vector<std::string> labels_{std::string()};
    Insights insights_;
};

// ---- implementation

inline pool_records::pool_records(bool items, std::string const& trace) : items_(items) {
    if (!trace.empty()) trace_.emplace(trace);
}

inline std::uint32_t pool_records::label(std::string const& text) {
    if (!wants_items()) return 0;
    std::scoped_lock const guard(mutex_);
    auto const at = std::find(labels_.begin(), labels_.end(), text);
    if (at != labels_.end()) return static_cast<std::uint32_t>(at - labels_.begin());
    labels_.push_back(text);
    return static_cast<std::uint32_t>(labels_.size() - 1);
}

inline std::string const& pool_records::name_of(item_event const& event) const {
    return labels_[std::min<std::size_t>(event.label, labels_.size() - 1)];
}

inline void pool_records::worker_began(std::int64_t pid, std::string const& name) {
    if (!trace_) return;
    std::scoped_lock const guard(mutex_);
    trace_->process(pid, name);
}

inline void pool_records::worker_ended(WorkerInsights worker) {
    std::scoped_lock const guard(mutex_);
    if (insights_.workers.size() < most_workers) {
        insights_.workers.push_back(std::move(worker));
        return;
    }
    auto& others = insights_.workers.back();
    others.pid = 0;
    others.name = "others";
    others.items += worker.items;
    others.chunks += worker.chunks;
    others.start_up += worker.start_up;
    others.waiting += worker.waiting;
    others.working += worker.working;
}

inline void pool_records::item(std::int64_t pid, item_event const& event) {
    std::scoped_lock const guard(mutex_);
    auto const begin = moment(event.begin);
    auto const end = moment(event.end);
    auto const& name = name_of(event);
    if (trace_) {
        trace_->event(
            name.empty() ? "item " + std::to_string(event.index) : name + ' ' + std::to_string(event.index),
            event.failed ? "failed" : "item",
            pid,
            begin,
            end,
            {{"index", event.index}, {"attempt", event.attempt}});
    }
    auto& slowest = insights_.slowest;
    auto const duration = std::chrono::duration_cast<std::chrono::nanoseconds>(end - begin);
    if (slowest.size() == most_slow_items && slowest.back().duration >= duration) return;
    auto const place =
        std::find_if(slowest.begin(), slowest.end(), [&](SlowItem const& each) { return each.duration < duration; });
    slowest.insert(place, SlowItem{event.index, duration, pid, name});
    if (slowest.size() > most_slow_items) slowest.pop_back();
}

inline void pool_records::item_lost(std::int64_t pid, item_event const& event, std::string_view why) {
    if (!trace_) return;
    std::scoped_lock const guard(mutex_);
    auto const begin = moment(event.begin);
    auto const end = moment(event.end);
    trace_->event(
        "item " + std::to_string(event.index), "lost", pid, begin, end, {{"index", event.index}, {"why", why}});
    trace_->instant(why, "lost", pid, end);
}

inline void pool_records::died(bool too_slow) {
    std::scoped_lock const guard(mutex_);
    ++(too_slow ? insights_.timeouts : insights_.deaths);
}

inline void pool_records::retried() {
    std::scoped_lock const guard(mutex_);
    ++insights_.retries;
}

inline Insights pool_records::insights() const {
    std::scoped_lock const guard(mutex_);
    return insights_;
}

inline void pool_records::close() {
    std::scoped_lock const guard(mutex_);
    if (trace_) trace_->close();
}

} // namespace multiprocessing::inline v0::detail
