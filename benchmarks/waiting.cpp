// What waiting costs: how long after it was woken a process runs, and the processor time of a process that waits for 5 s.
//
//     g++ -std=c++20 -O2 -I include benchmarks/waiting.cpp -o waiting -pthread && ./waiting
//
// Linux. Takes a minute.

#include <multiprocessing/connection.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/queues.hpp>
#include <multiprocessing/sharedctypes.hpp>
#include <multiprocessing/synchronize.hpp>

#include "harness.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <thread>
#include <vector>

#include <sys/resource.h>

namespace mp = multiprocessing;
using namespace std::chrono_literals;

namespace {

using time_point = bench::clock::rep; // the same clock in all processes

time_point now() { return bench::clock::now().time_since_epoch().count(); }

/// What one process does to wake another one, and how that one waits and learns when it was woken.
struct way {
    char const* name;
    std::function<void(time_point)> wake;
    std::function<time_point()> wait;
};

struct latency {
    double median;
    double longest;
};

/// In microseconds, of a waiter that has waited for `pause` when it is woken.
latency measure(way const& one, std::chrono::milliseconds pause, int times) {
    mp::Semaphore const again(0);
    mp::Process waker([&] {
        for (int i = 0; i < times; ++i) {
            again.acquire();
            std::this_thread::sleep_for(pause);
            one.wake(now());
        }
    });
    waker.start();
    std::vector<double> taken;
    for (int i = 0; i < times; ++i) {
        again.release();
        auto const woken = one.wait();
        taken.push_back(static_cast<double>(now() - woken) / 1e3);
    }
    waker.join();
    return {bench::median(taken), *std::ranges::max_element(taken)};
}

double processor_time() {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    auto const milliseconds = [](timeval const& time) {
        return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
    };
    return milliseconds(used.ru_utime) + milliseconds(used.ru_stime);
}

/// Of a process for each of them that waits for 5 s, in milliseconds.
std::vector<double> idle(std::vector<way> const& ways) {
    mp::RawArray<double> const used(static_cast<std::ptrdiff_t>(ways.size()));
    mp::Barrier const begin(static_cast<int>(ways.size()) + 1);
    std::vector<mp::Process> waiters;
    for (std::size_t i = 0; i < ways.size(); ++i) {
        waiters.emplace_back([&, i] {
            begin.wait();
            double const before = processor_time();
            ways[i].wait();
            used[i] = processor_time() - before;
        });
        waiters.back().start();
    }
    begin.wait();
    std::this_thread::sleep_for(5s);
    for (auto const& one : ways) one.wake(now());
    for (auto& waiter : waiters) waiter.join();
    return {used.begin(), used.end()};
}

} // namespace

int main() {
    using Queue = mp::Queue<time_point>;
    std::vector<Queue> const queues(10);
    auto const put = [&](std::size_t number) {
        return [queue = queues[number]](time_point time) mutable { queue.put(time); };
    };
    std::vector<mp::Waitable> first, second, third;
    for (std::size_t i = 0; i < 8; ++i) first.emplace_back(queues[i]);
    auto [receiver, sender] = mp::Pipe(false);
    auto [waited_for, other_sender] = mp::Pipe(false);
    second = {waited_for, queues[8]};
    auto [silent, silent_sender] = mp::Pipe(false);
    third = {silent, queues[9]};
    mp::Event const event;
    mp::RawValue<time_point> const set_at(0);
    Queue const alone;

    std::vector<way> const ways{
        {"Queue.get",
         [queue = alone](time_point time) mutable { queue.put(time); },
         [queue = alone]() mutable { return queue.get(); }},
        {"Event.wait",
         [&](time_point time) {
             set_at.value(time);
             event.set();
         },
         [&] {
             event.wait();
             event.clear();
             return set_at.value();
         }},
        {"Connection.recv",
         [end = sender](time_point time) mutable { end.send(time); },
         [end = receiver]() mutable { return end.recv<time_point>(); }},
        {"wait for 8 queues",
         put(7),
         [&] {
             mp::wait(first);
             return Queue(queues[7]).get();
         }},
        {"wait for a connection and a queue, the connection",
         [end = other_sender](time_point time) mutable { end.send(time); },
         [&, end = waited_for]() mutable {
             mp::wait(second);
             return end.recv<time_point>();
         }},
        {"wait for a connection and a queue, the queue",
         put(9),
         [&] {
             mp::wait(third);
             return Queue(queues[9]).get();
         }},
    };
    auto const used = idle(ways);
    std::printf("%-52s %20s %20s %20s\n", "", "woken after 1 ms, us", "woken after 100 ms", "5 s of waiting, ms");
    std::printf("%-52s %10s %9s %10s %9s %20s\n", "", "median", "longest", "median", "longest", "processor time");
    for (std::size_t i = 0; i < ways.size(); ++i) {
        auto const soon = measure(ways[i], 1ms, 1000);
        auto const late = measure(ways[i], 100ms, 50);
        std::printf(
            "%-52s %10.0f %9.0f %10.0f %9.0f %20.2f\n",
            ways[i].name,
            soon.median,
            soon.longest,
            late.median,
            late.longest,
            used[i]);
    }
}
