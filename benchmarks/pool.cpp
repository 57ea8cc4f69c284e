// Pool.map and Pool.apply, against CPython, a pool of threads, oneTBB and OpenMP.
//
//     g++ -std=c++20 -O2 -fopenmp -I include benchmarks/pool.cpp -o pool -pthread -ltbb && ./pool
//
// Peers that are not installed are left out. Ideal is the time of a loop without any pool, divided by the workers.

#include <multiprocessing.hpp>

#include "harness.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#if __has_include(<tbb/parallel_for.h>) && !defined(MULTIPROCESSING_BENCHMARKS_WITHOUT_TBB)
#    define HAS_TBB 1
#    include <tbb/blocked_range.h>
#    include <tbb/global_control.h>
#    include <tbb/parallel_for.h>
#endif

namespace mp = multiprocessing;

namespace {

constexpr unsigned workers = 2;

// ---- what is computed

long square(long x) { return x * x; }

/// Keeps a processor busy for `steps` times about a nanosecond.
std::uint32_t spin(std::uint32_t steps) {
    std::uint32_t x = steps;
    for (std::uint32_t i = 0; i < steps; ++i) {
        x = x * 1664525U + 1013904223U;
        bench::keep(x);
    }
    return x;
}

std::string text(int) { return "a result of thirty-two characters"; }
std::vector<double> numbers(int) { return std::vector<double>(1000); }

// ---- who computes

template <class R, class T>
std::vector<R> loop(R (*function)(T), std::vector<T> const& items) {
    std::vector<R> results;
    results.reserve(items.size());
    for (auto const& item : items) results.push_back(function(item));
    return results;
}

/// As simple as a fair pool of threads can be: they live on between calls and take guided chunks from an atomic index.
class thread_pool {
public:
    thread_pool() {
        for (unsigned i = 0; i < workers; ++i) threads_.emplace_back([this] { serve(); });
    }
    ~thread_pool() {
        {
            std::scoped_lock const guard(mutex_);
            ending_ = true;
        }
        changed_.notify_all();
        for (auto& thread : threads_) thread.join();
    }

    template <class R, class T>
    std::vector<R> map(R (*function)(T), std::vector<T> const& items) {
        std::vector<R> results(items.size());
        std::atomic<std::size_t> next{0};
        std::function<void()> const work = [&] {
            for (std::size_t begin = next.load();;) {
                std::size_t const left = items.size() - begin;
                if (left == 0) return;
                std::size_t const end = begin + std::max<std::size_t>(1, left / (4 * workers));
                if (!next.compare_exchange_weak(begin, end)) continue;
                for (std::size_t i = begin; i < end; ++i) results[i] = function(items[i]);
                begin = next.load();
            }
        };
        std::unique_lock guard(mutex_);
        work_ = &work;
        busy_ = workers;
        ++call_;
        changed_.notify_all();
        done_.wait(guard, [&] { return busy_ == 0; });
        return results;
    }

private:
    void serve() {
        for (unsigned seen = 0;;) {
            std::unique_lock guard(mutex_);
            changed_.wait(guard, [&] { return ending_ || call_ != seen; });
            if (ending_) return;
            seen = call_;
            guard.unlock();
            (*work_)();
            guard.lock();
            if (--busy_ == 0) done_.notify_one();
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_, done_;
    std::function<void()> const* work_ = nullptr;
    unsigned call_ = 0, busy_ = 0;
    bool ending_ = false;
    std::vector<std::thread> threads_;
};

#if defined(HAS_TBB)
template <class R, class T>
std::vector<R> tbb_map(R (*function)(T), std::vector<T> const& items) {
    std::vector<R> results(items.size());
    tbb::parallel_for(tbb::blocked_range<std::size_t>(0, items.size()), [&](auto const& range) {
        for (std::size_t i = range.begin(); i < range.end(); ++i) results[i] = function(items[i]);
    });
    return results;
}
#endif

#if defined(_OPENMP)
template <class R, class T>
std::vector<R> openmp_map(R (*function)(T), std::vector<T> const& items, int chunk) {
    std::vector<R> results(items.size());
    long const count = static_cast<long>(items.size());
#    pragma omp parallel for schedule(dynamic, chunk) num_threads(workers)
    for (long i = 0; i < count; ++i) {
        results[static_cast<std::size_t>(i)] = function(items[static_cast<std::size_t>(i)]);
    }
    return results;
}
#endif

template <class Call>
auto timed(Call call) {
    return [call] { return bench::seconds([&] { bench::keep(call()); }); };
}

/// Ours against all peers that share this process.
template <class R, class T>
void against_threads(
    std::string const& what, mp::Pool& pool, thread_pool& threads, R (*function)(T), std::vector<T> const& items) {
    auto const ours = timed([&] { return pool.map(function, items); });
    auto const ideal = [&] { return bench::seconds([&] { bench::keep(loop(function, items)); }) / workers; };
    bench::compare((what + ": ideal").c_str(), ours, ideal);
    bench::compare((what + ": std::thread").c_str(), ours, timed([&] { return threads.map(function, items); }));
#if defined(HAS_TBB)
    bench::compare((what + ": oneTBB").c_str(), ours, timed([&] { return tbb_map(function, items); }));
#endif
#if defined(_OPENMP)
    int const chunk = items.size() > 100'000 ? static_cast<int>(items.size() / 64) : 1;
    bench::compare(
        (what + ": OpenMP dynamic").c_str(), ours, timed([&] { return openmp_map(function, items, chunk); }));
#endif
}

} // namespace

int main() {
    mp::freeze_support();
    mp::Pool pool(workers); // before there are threads
    bench::python peer("peers.py");
    thread_pool threads;
#if defined(HAS_TBB)
    tbb::global_control const limit(tbb::global_control::max_allowed_parallelism, workers);
#endif
    std::printf("%s, %u workers, %u processors\n", peer.version().c_str(), workers, mp::process_cpu_count());
    bench::print_head();

    std::vector<long> million(1'000'000);
    for (std::size_t i = 0; i < million.size(); ++i) million[i] = static_cast<long>(i);
    auto const our_million = timed([&] { return pool.map(square, million); });
    bench::compare("10^6 squares: CPython", our_million, [&] { return peer("map million"); });
    against_threads("10^6 squares", pool, threads, square, million);

    // Ten microseconds each; then one item in a hundred a hundred times as long; then a millisecond each.
    std::vector<double> tries;
    for (int i = 0; i < 20; ++i) tries.push_back(bench::seconds([] { bench::keep(spin(1'000'000)); }));
    auto const steps = static_cast<std::uint32_t>(10e-6 / bench::least(tries) * 1e6);
    std::vector<std::uint32_t> items(2000, steps);
    against_threads("2000 items of 10 us", pool, threads, spin, items);
    for (std::size_t i = 50; i < items.size(); i += 100) items[i] = 100 * steps;
    against_threads("2000 items of 10 us, 1 % of 1 ms", pool, threads, spin, items);
    against_threads("40 items of 1 ms", pool, threads, spin, std::vector<std::uint32_t>(40, 100 * steps));

    std::vector<long> sixteen(million.begin(), million.begin() + 16);
    bench::compare(
        "16 squares: CPython",
        [&] { return bench::seconds_each(200, [&] { bench::keep(pool.map(square, sixteen)); }); },
        [&] { return peer("map sixteen"); });
    bench::compare(
        "apply: CPython",
        [&] { return bench::seconds_each(200, [&] { bench::keep(pool.apply(square, 3L)); }); },
        [&] { return peer("apply"); });

    std::vector<int> const many(100'000);
    bench::compare("10^5 strings of 33 characters: CPython", timed([&] { return pool.map(text, many); }), [&] {
        return peer("strings");
    });
    std::vector<int> const few(4000);
    bench::compare("4000 vector<double>(1000): CPython", timed([&] { return pool.map(numbers, few); }), [&] {
        return peer("vectors");
    });
}
