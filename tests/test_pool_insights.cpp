// runs per start method
// not on windows
#include <multiprocessing/context.hpp>
#include <multiprocessing/pool.hpp>
#include <multiprocessing/task.hpp>

#include "support/catch.hpp"
#include "support/json.hpp"
#include "support/numbers.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <signal.h>
#include <unistd.h>

namespace mp = multiprocessing;
using multiprocessing_test::up_to;
using namespace std::chrono_literals;

namespace {

int same(int x) { return x; }
int slow_at_seven(int x) {
    auto const end = std::chrono::steady_clock::now() + (x == 7 ? 30ms : 0ms);
    while (std::chrono::steady_clock::now() < end) {
    }
    return x;
}
int one_of_each(int x) {
    if (x == 2 && mp::task_attempt() == 1) throw std::runtime_error("once");
    if (x == 3 && mp::task_attempt() == 1) ::kill(::getpid(), SIGKILL);
    if (x == 4 && mp::task_attempt() == 1) {
        for (;;) ::pause();
    }
    return x;
}
std::int64_t take_memory(int x) {
    static std::vector<char> kept;
    kept.resize(kept.size() + (std::size_t{4} << 20), 'x');
    return x * 0 + ::getpid();
}
char const* variable(int) { return std::getenv("OMP_NUM_THREADS"); }
std::string threads(int x) { return variable(x); }

/// A path that exists only as long as this.
struct temporary_file {
    std::string path = (std::filesystem::temp_directory_path() / ("mp_trace_" + std::to_string(::getpid()))).string();
    ~temporary_file() { std::filesystem::remove(path); }
};

} // namespace

TEST_CASE("a pool says what its workers did") {
    mp::Pool pool({.processes = 2, .insights = true});
    pool.map(slow_at_seven, up_to(1000), {.label = "slow"});
    auto const insights = pool.insights();
    CHECK(insights.items == 1000);
    CHECK(insights.deaths == 0);
    REQUIRE(insights.workers.size() == 2);
    auto const all = insights.all_workers();
    CHECK(all.items == 1000);
    CHECK(all.chunks >= 2);
    CHECK(all.working >= 30ms);
    CHECK(all.start_up > 0ms);
    auto const& slowest = insights.slowest;
    CHECK(std::ranges::is_sorted(slowest, std::greater(), [](auto const& item) { return item.duration; }));
    // On a busy machine others may have taken longer.
    auto const seventh = std::ranges::find(slowest, 7U, [](auto const& item) { return item.index; });
    REQUIRE(seventh != slowest.end());
    CHECK(seventh->duration >= 30ms);
    CHECK(seventh->label == "slow");
    auto const pids = pool.worker_pids();
    CHECK(std::count(pids.begin(), pids.end(), seventh->pid) == 1);
    CHECK(insights.to_string().find("1000 items in 2 workers") != std::string::npos);
}

TEST_CASE("insights count deaths, retries and timeouts, and remember workers that have ended") {
    mp::Pool pool(2);
    CHECK(pool.map(one_of_each, up_to(8), {.timeout = 2s, .retries = 1}) == up_to(8));
    auto const insights = pool.insights();
    CHECK(insights.deaths == 1);
    CHECK(insights.timeouts == 1);
    CHECK(insights.retries == 3);
    CHECK(insights.workers.size() == 4);
    CHECK(insights.slowest.empty()); // nobody asked for them
}

TEST_CASE("lambdas with captures count as well") {
    if (mp::get_start_method() != mp::StartMethod::fork) return; // elsewhere they cannot travel
    mp::Pool pool(2);
    int const offset = static_cast<int>(pool.worker_pids().size());
    CHECK(pool.map([&](int x) { return x + offset; }, up_to(100)).back() == 101);
    CHECK(pool.insights().items == 100);
}

TEST_CASE("a trace has every item of every worker") {
    temporary_file const file;
    std::set<std::int64_t> pids;
    {
        mp::Pool pool({.processes = 2, .trace = file.path});
        CHECK(pool.map(one_of_each, up_to(50), {.timeout = 2s, .retries = 1, .label = "\"map\""}) == up_to(50));
        for (auto const pid : pool.worker_pids()) pids.insert(pid);
        for (int const each : pool.imap(same, up_to(500), {.label = "imap"})) static_cast<void>(each);
    }
    std::ifstream stream(file.path);
    std::string const text((std::istreambuf_iterator<char>(stream)), {});
    auto const trace = multiprocessing_test::parse_json(text);
    std::multiset<std::string> names;
    std::set<std::int64_t> running;
    int lost = 0;
    for (auto const& event : trace["traceEvents"].list()) {
        auto const phase = event["ph"].text();
        if (phase == "X") {
            names.insert(event["name"].text());
            running.insert(static_cast<std::int64_t>(event["pid"].number()));
            CHECK(event["dur"].number() >= 0);
            if (event["cat"].text() == "lost") ++lost;
        }
    }
    for (int i = 0; i < 50; ++i) {
        // What was tried twice is there twice: item 2 under its name, what has cost a worker as lost.
        CHECK(names.count("\"map\" " + std::to_string(i)) == (i == 2 ? 2U : 1U));
    }
    for (int i = 0; i < 500; ++i) CHECK(names.count("imap " + std::to_string(i)) == 1);
    CHECK(lost == 2);
    CHECK(running.size() >= 1);
}

TEST_CASE("a trace that cannot be written is said at once") {
    CHECK_THROWS_AS(mp::Pool({.processes = 1, .trace = "/no/such/folder/trace.json"}), mp::OSError);
}

TEST_CASE("progress of maps, asynchronous maps and streams") {
    mp::Pool pool(2);
    std::mutex mutex;
    std::vector<mp::ProgressState> states;
    std::vector<std::string> labels;
    mp::Progress const progress(
        [&](mp::ProgressState const& state) {
            std::scoped_lock const guard(mutex);
            states.push_back(state);
            labels.emplace_back(state.label);
        },
        {.interval = 1ms});
    auto const check = [&](std::uint64_t total) {
        std::scoped_lock const guard(mutex);
        REQUIRE_FALSE(states.empty());
        for (std::size_t i = 1; i < states.size(); ++i) CHECK(states[i].done >= states[i - 1].done);
        CHECK(states.back().finished);
        CHECK(states.back().done == total);
        CHECK(states.back().total == total);
        CHECK(labels.back() == "work");
        states.clear();
    };
    pool.map(slow_at_seven, up_to(100), {.progress = progress, .label = "work"});
    check(100);
    pool.map_async(slow_at_seven, up_to(100), {.progress = progress, .label = "work"}).get();
    check(100);
    auto const items = up_to(100);
    for (int const each : pool.imap(slow_at_seven, items, {.progress = progress, .label = "work"})) {
        static_cast<void>(each);
    }
    check(100);
}

TEST_CASE("workers are limited, and replaced when they have too much memory") {
    mp::Pool pool({.processes = 1, .limits = {.threads = 3}});
    CHECK(pool.apply(threads, 0) == "3");
    // Every item takes 4 MB more, and a worker may have 100 MB above what it began with.
    mp::Pool small({.processes = 1});
    auto const begun = static_cast<std::uint64_t>(mp::platform::resident_memory());
    mp::Pool limited({.processes = 1, .limits = {.memory = begun + (std::uint64_t{100} << 20)}});
    auto const pids = limited.map(take_memory, up_to(60), {.chunksize = 1});
    CHECK(std::set(pids.begin(), pids.end()).size() >= 2);
    CHECK_THROWS_AS(mp::Pool({.limits = {.threads = 0}}), mp::ValueError);
}
