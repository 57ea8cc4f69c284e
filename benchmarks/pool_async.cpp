// Pool.apply_async, imap, imap_unordered and ProcessPoolExecutor.map against CPython; what results that nobody has taken yet
// cost in memory; and how much longer a map takes if its workers are killed.
//
//     g++ -std=c++20 -O3 -DNDEBUG -I include benchmarks/pool_async.cpp -o pool_async -pthread && ./pool_async

#include <multiprocessing.hpp>

#include "harness.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stop_token>
#include <thread>
#include <vector>

#include <signal.h>
#include <time.h>
#include <unistd.h>

namespace mp = multiprocessing;
using namespace std::chrono_literals;

namespace {

constexpr int workers = 2;

long square(long x) { return x * x; }

/// Takes a millisecond and hardly any processor time, so that it does not matter how many processors there are.
int nap(int x) {
    timespec left{0, 1'000'000};
    while (nanosleep(&left, &left) != 0) {
    }
    return x;
}

// ---- against CPython

void round_trips(mp::Pool& pool, bench::python& peer) {
    bench::compare(
        "apply_async, there and back: CPython",
        [&] { return bench::seconds_each(1000, [&] { bench::keep(pool.apply_async(square, 3L).get()); }); },
        [&] { return peer("async round trip"); });
    bench::compare(
        "apply_async, 1000 outstanding, each: CPython",
        [&] {
            return bench::seconds([&] {
                       std::vector<mp::AsyncResult<long>> results;
                       results.reserve(1000);
                       for (long i = 0; i < 1000; ++i) results.push_back(pool.apply_async(square, i));
                       for (auto const& each : results) bench::keep(each.get());
                   }) /
                   1000;
        },
        [&] { return peer("async pipelined"); });
}

void streams(mp::Pool& pool, bench::python& peer) {
    std::vector<long> many(100'000);
    for (std::size_t i = 0; i < many.size(); ++i) many[i] = static_cast<long>(i);
    auto const take_all = [](auto results) {
        for (auto const& each : results) bench::keep(each);
    };
    bench::compare(
        "imap, 10^5 squares, chunksize 1: CPython",
        [&] { return bench::seconds([&] { take_all(pool.imap(square, many, 1)); }); },
        [&] { return peer("imap"); });
    bench::compare(
        "imap_unordered, 10^5 squares, chunksize 1: CPython",
        [&] { return bench::seconds([&] { take_all(pool.imap_unordered(square, many, 1)); }); },
        [&] { return peer("imap_unordered"); });
    bench::compare(
        "imap: imap without a chunksize",
        [&] { return bench::seconds([&] { take_all(pool.imap(square, many, 1)); }); },
        [&] { return bench::seconds([&] { take_all(pool.imap(square, many)); }); });
}

void executor(bench::python& peer) {
    mp::futures::ProcessPoolExecutor executor(workers);
    std::vector<long> many(10'000);
    for (std::size_t i = 0; i < many.size(); ++i) many[i] = static_cast<long>(i);
    bench::compare(
        "ProcessPoolExecutor.map, 10^4 squares: CPython",
        [&] {
            return bench::seconds([&] {
                for (auto const& each : executor.map(square, many)) bench::keep(each);
            });
        },
        [&] { return peer("executor map"); });
}

// ---- what watching costs

int busy(int x) {
    auto const end = std::chrono::steady_clock::now() + 100us;
    while (std::chrono::steady_clock::now() < end) {
    }
    return x;
}

/// Items of 100 us, and items that take next to no time, in a pool that is watched, and in one that is not.
void watching() {
    auto const file = (std::filesystem::temp_directory_path() / "benchmark.trace.json").string();
    {
        mp::Pool plain(workers);
        mp::Pool watched({.processes = workers, .insights = true, .trace = file});
        std::vector<int> const items(1000);
        std::vector<long> const tiny(1'000'000, 3);
        mp::MapOptions const showing{.progress = [](mp::ProgressState const& state) { bench::keep(state.done); }};
        bench::compare(
            "1000 items of 100 us, traced, with progress: without",
            [&] { return bench::seconds([&] { bench::keep(watched.map(busy, items, showing)); }); },
            [&] { return bench::seconds([&] { bench::keep(plain.map(busy, items)); }); });
        bench::compare(
            "10^6 squares, with progress: without",
            [&] { return bench::seconds([&] { bench::keep(plain.map(square, tiny, showing)); }); },
            [&] { return bench::seconds([&] { bench::keep(plain.map(square, tiny)); }); });
        bench::compare(
            "10^6 squares, each with a timeout: without",
            [&] { return bench::seconds([&] { bench::keep(plain.map(square, tiny, {.timeout = 60s})); }); },
            [&] { return bench::seconds([&] { bench::keep(plain.map(square, tiny)); }); });
    }
    std::filesystem::remove(file);
}

// ---- memory

/// The memory of this process that is in RAM, shared or not, in bytes.
double resident() {
    std::ifstream file("/proc/self/statm");
    long all = 0, there = 0;
    file >> all >> there;
    return static_cast<double>(there) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

/// Two generations of 10^5 results that are there and not taken.
void memory(mp::Pool& pool) {
    constexpr int count = 100'000;
    double const before = resident();
    double first = 0, dropped = 0, second = 0;
    for (double* const after : {&first, &second}) {
        std::vector<mp::AsyncResult<long>> results;
        results.reserve(count);
        for (long i = 0; i < count; ++i) results.push_back(pool.apply_async(square, i));
        for (auto const& each : results) each.wait();
        *after = resident();
        results.clear();
        if (after == &first) dropped = resident();
    }
    std::printf(
        "10^5 results that are there: %.0f bytes each; after they were dropped %+.1f MB; the next 10^5 %+.1f MB\n",
        (first - before) / count,
        (dropped - before) / 1e6,
        (second - first) / 1e6);
}

// ---- deaths

/// A map of items of a millisecond in four workers, while one of them is killed every `interval`; and without that.
void deaths(std::chrono::milliseconds interval) {
    mp::Pool pool(4);
    std::vector<int> const items(2000);
    int kills = 0, lost = 0;
    auto const map = [&](bool kill) {
        std::jthread killer;
        if (kill) {
            killer = std::jthread([&](std::stop_token stop) {
                for (std::size_t next = 0;; ++next) {
                    std::this_thread::sleep_for(interval);
                    if (stop.stop_requested()) return;
                    auto const pids = pool.worker_pids();
                    if (pids.empty()) continue;
                    ::kill(static_cast<pid_t>(pids[next % pids.size()]), SIGKILL);
                    ++kills;
                }
            });
        }
        return bench::seconds([&] {
            for (auto const& outcome : pool.map(nap, items, {.on_error = mp::collect})) lost += outcome ? 0 : 1;
            killer.request_stop();
        });
    };
    map(false);
    std::vector<double> quiet, extra;
    int all_kills = 0;
    for (int round = 0; round < bench::rounds(); ++round) {
        quiet.push_back(map(false));
        kills = 0;
        double const disturbed = map(true);
        if (kills == 0) continue;
        extra.push_back((disturbed - quiet.back()) / kills);
        all_kills += kills;
    }
    std::printf(
        "map of 2000 items of 1 ms in 4 workers: %.1f ms; a kill every %d ms: each costs %.2f ms (median; least %.2f), "
        "and %.2f items\n",
        bench::median(quiet) * 1e3,
        static_cast<int>(interval.count()),
        bench::median(extra) * 1e3,
        bench::least(extra) * 1e3,
        static_cast<double>(lost) / all_kills);
}

} // namespace

int main() {
    mp::freeze_support();
    mp::Pool pool(workers); // before there are threads
    bench::python peer("peers.py");
    std::printf("%s, %d workers, %u processors\n", peer.version().c_str(), workers, mp::process_cpu_count());
    memory(pool);
    bench::print_head();
    round_trips(pool, peer);
    streams(pool, peer);
    executor(peer);
    watching();
    deaths(50ms);
}
