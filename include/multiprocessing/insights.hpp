#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

/// Where the time of a pool's workers went.
namespace multiprocessing::inline v0 {

/// What one worker did, from its start until now or until it ended.
struct WorkerInsights {
    std::int64_t pid = 0;
    std::string name{};
    std::uint64_t items = 0;             ///< that it finished, failures included
    std::uint64_t chunks = 0;            ///< in so many pieces
    std::chrono::nanoseconds start_up{}; ///< from the request for the process until it was ready, with its initializer
    std::chrono::nanoseconds waiting{};  ///< for work
    std::chrono::nanoseconds working{};  ///< in the functions

    /// Working, of all of its time; from 0 to 1.
    double working_share() const noexcept;

    bool operator==(WorkerInsights const&) const = default;
};

/// An item that took long.
struct SlowItem {
    std::uint64_t index = 0; ///< its position in the input
    std::chrono::nanoseconds duration{};
    std::int64_t pid = 0; ///< of the worker that ran it
    std::string label{};  ///< of the call

    bool operator==(SlowItem const&) const = default;
};

/// Where the time of a pool's workers went, as data, and as a table for people:
///
///     1500 items in 2 workers, 1 death, 3 retries, 0 timeouts; 84 % of the time was work
///
///     worker       pid  items  chunks  start-up  waiting  working  per item  work
///     Worker-1    4711    750      21   1.20 ms   310 ms   1.52 s   2.03 ms  83 %
///     Worker-2    4712    750      19   1.31 ms   270 ms   1.56 s   2.08 ms  85 %
///     all                1500      40   2.51 ms   580 ms   3.08 s   2.05 ms  84 %
///
///     slowest items  duration   pid  call
///     1034             410 ms  4711  parse
///
/// Python: `mpire`'s `pool.get_insights()` and `print_insights()`.
struct Insights {
    std::vector<WorkerInsights> workers{}; ///< those that have ended as well
    std::vector<SlowItem> slowest{};       ///< the slowest first
    std::uint64_t items = 0;               ///< finished, failures included
    std::uint64_t deaths = 0;              ///< workers that ended although they had work
    std::uint64_t retries = 0;             ///< items that were tried again
    std::uint64_t timeouts = 0;            ///< items that took too long

    /// The sums over all workers; it has no pid, and the name "all".
    WorkerInsights all_workers() const;

    /// The table, several lines that each end with "\n".
    std::string to_string() const;
    friend std::ostream& operator<<(std::ostream& stream, Insights const& insights) {
        return stream << insights.to_string();
    }

    bool operator==(Insights const&) const = default;
};

// ---- implementation

namespace detail {

/// "1.52 s", "310 ms", "42.0 us", "7 ns": three digits or more.
inline std::string duration_text(std::chrono::nanoseconds time) {
    constexpr std::array<std::pair<double, char const*>, 3> units{{{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}}};
    auto const count = static_cast<double>(time.count());
    for (auto const& [size, name] : units) {
        double const number = count / size;
        if (number < 0.9995) continue; // 999.6 us are 1.00 ms
        char text[48];
        std::snprintf(text, sizeof text, "%.*f %s", number < 9.995 ? 2 : number < 99.95 ? 1 : 0, number, name);
        return text;
    }
    return std::to_string(time.count()) + " ns";
}

/// "1 death", "2 deaths".
inline std::string counted(std::uint64_t count, char const* one, char const* several) {
    return std::to_string(count) + ' ' + (count == 1 ? one : several);
}

inline std::string percent_text(double share) {
    char text[16];
    std::snprintf(text, sizeof text, "%.0f %%", share * 100);
    return text;
}

/// Rows of the same number of cells, as lines whose columns stand two spaces apart. The cells of a column stand on its right,
/// but for the first column and, if it is wanted, the last.
inline std::string table_text(std::vector<std::vector<std::string>> const& rows, bool last_stands_left) {
    std::vector<std::size_t> widths(rows.front().size());
    for (auto const& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    std::string text;
    for (auto const& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            bool const left = i == 0 || (last_stands_left && i + 1 == row.size());
            std::string const padding(widths[i] - row[i].size(), ' ');
            line += (i == 0 ? "" : "  ") + (left ? row[i] + padding : padding + row[i]);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + '\n';
    }
    return text;
}

} // namespace detail

inline double WorkerInsights::working_share() const noexcept {
    auto const all = static_cast<double>((start_up + waiting + working).count());
    return all > 0 ? static_cast<double>(working.count()) / all : 0;
}

inline WorkerInsights Insights::all_workers() const {
    WorkerInsights all{.name = "all"};
    for (WorkerInsights const& worker : workers) {
        all.items += worker.items;
        all.chunks += worker.chunks;
        all.start_up += worker.start_up;
        all.waiting += worker.waiting;
        all.working += worker.working;
    }
    return all;
}

inline std::string Insights::to_string() const {
    using detail::counted;
    WorkerInsights const all = all_workers();
    std::string text = counted(items, "item", "items") + " in " + counted(workers.size(), "worker", "workers") + ", " +
                       counted(deaths, "death", "deaths") + ", " + counted(retries, "retry", "retries") + ", " +
                       counted(timeouts, "timeout", "timeouts") + "; " + detail::percent_text(all.working_share()) +
                       " of the time was work\n";
    if (!workers.empty()) {
        std::vector<std::vector<std::string>> rows{
            {"worker", "pid", "items", "chunks", "start-up", "waiting", "working", "per item", "work"}};
        auto const add = [&](WorkerInsights const& worker, std::string pid) {
            auto const per_item = worker.working / static_cast<std::int64_t>(std::max<std::uint64_t>(worker.items, 1));
            rows.push_back(
                {worker.name,
                 std::move(pid),
                 std::to_string(worker.items),
                 std::to_string(worker.chunks),
                 detail::duration_text(worker.start_up),
                 detail::duration_text(worker.waiting),
                 detail::duration_text(worker.working),
                 worker.items != 0 ? detail::duration_text(per_item) : "",
                 detail::percent_text(worker.working_share())});
        };
        for (WorkerInsights const& worker : workers) add(worker, std::to_string(worker.pid));
        if (workers.size() > 1) add(all, "");
        text += '\n' + detail::table_text(rows, false);
    }
    if (!slowest.empty()) {
        std::vector<std::vector<std::string>> rows{{"slowest items", "duration", "pid", "call"}};
        for (SlowItem const& item : slowest) {
            rows.push_back(
                {std::to_string(item.index),
                 detail::duration_text(item.duration),
                 std::to_string(item.pid),
                 item.label});
        }
        text += '\n' + detail::table_text(rows, true);
    }
    return text;
}

} // namespace multiprocessing::inline v0
