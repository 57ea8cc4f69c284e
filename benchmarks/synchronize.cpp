// Locks and what processes wait with, against the mutexes of the system and against CPython's multiprocessing.
//
//     g++ -std=c++20 -O2 -I include benchmarks/synchronize.cpp -o synchronize -pthread && ./synchronize [one]
//
// Linux. Every figure is the time of 1000 operations. With the argument "one" all processes share one processor.

#include <multiprocessing/process.hpp>
#include <multiprocessing/sharedctypes.hpp>
#include <multiprocessing/synchronize.hpp>

#include "harness.hpp"

#include <cstdio>
#include <functional>
#include <optional>
#include <string_view>

#include <pthread.h>
#include <sched.h>

namespace mp = multiprocessing;

namespace {

/// A mutex of the system that several processes may use. A robust one notices that its holder died, as Lock does.
class system_mutex {
public:
    explicit system_mutex(bool robust) : memory_(sizeof(pthread_mutex_t)) {
        pthread_mutexattr_t attributes;
        pthread_mutexattr_init(&attributes);
        pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
        if (robust) pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
        pthread_mutex_init(mutex(), &attributes);
    }
    void acquire() const { pthread_mutex_lock(mutex()); }
    void release() const { pthread_mutex_unlock(mutex()); }

private:
    pthread_mutex_t* mutex() const { return reinterpret_cast<pthread_mutex_t*>(memory_.data()); }
    mp::RawArray<char> memory_;
};

template <class LockType>
double uncontended(LockType const& lock) {
    return bench::seconds([&] {
        for (int i = 0; i < 1000; ++i) {
            lock.acquire();
            lock.release();
        }
    });
}

/// One function here and one in a child, each so many times; the time of 1000.
double both(int times, std::function<void()> const& here, std::function<void()> const& there) {
    mp::Event const ready;
    mp::Process child([&] {
        ready.set();
        for (int i = 0; i < times; ++i) there();
    });
    child.start();
    ready.wait();
    return bench::seconds([&] {
               for (int i = 0; i < times; ++i) here();
               child.join();
           }) *
           1000 / times;
}

template <class LockType>
double contended(LockType const& lock) {
    auto const use = [&] {
        lock.acquire();
        lock.release();
    };
    return both(200'000, use, use);
}

double semaphores() {
    mp::Semaphore const a(0), b(0);
    return both(
        5000,
        [&] {
            a.release();
            b.acquire();
        },
        [&] {
            a.acquire();
            b.release();
        });
}

double events() {
    mp::Event const a, b;
    return both(
        5000,
        [&] {
            a.set();
            b.wait();
            b.clear();
        },
        [&] {
            a.wait();
            a.clear();
            b.set();
        });
}

double conditions() {
    mp::Condition const condition;
    mp::RawValue<int> const turn(0);
    auto const step = [&](int mine) {
        return [&condition, &turn, mine] {
            std::scoped_lock const guard(condition);
            condition.wait_for([&] { return turn.value() == mine; });
            turn.value(1 - mine);
            condition.notify();
        };
    };
    return both(5000, step(0), step(1));
}

double barriers() {
    mp::Barrier const barrier(2);
    auto const meet = [&] { barrier.wait(); };
    return both(5000, meet, meet);
}

} // namespace

int main(int argc, char** argv) {
    if (argc > 1 && std::string_view(argv[1]) == "one") {
        cpu_set_t first;
        CPU_ZERO(&first);
        CPU_SET(0, &first);
        sched_setaffinity(0, sizeof first, &first);
    }
    std::optional<bench::python> python;
    try {
        python.emplace("synchronize.py");
    } catch (std::runtime_error const&) {
        std::printf("without CPython\n");
    }
    auto const against_python = [&](char const* what, auto const& ours, char const* theirs) {
        if (python) bench::compare(what, ours, [&] { return (*python)(theirs); });
    };
    bench::print_head();

    mp::Lock const lock;
    mp::RLock const rlock;
    system_mutex const plain(false), robust(true);
    auto const free_lock = [&] { return uncontended(lock); };
    bench::compare("Lock, free: pthread mutex", free_lock, [&] { return uncontended(plain); });
    bench::compare("Lock, free: robust pthread mutex", free_lock, [&] { return uncontended(robust); });
    against_python("Lock, free: CPython", free_lock, "lock");
    auto const free_rlock = [&] { return uncontended(rlock); };
    against_python("RLock, free: CPython", free_rlock, "rlock");

    mp::Value<int> const value(0);
    mp::Array<int> const array(10);
    against_python(
        "Value += 1: CPython, with get_lock()",
        [&] {
            return bench::seconds([&] {
                for (int i = 0; i < 1000; ++i) value += 1;
            });
        },
        "add");
    against_python(
        "Array, one element: CPython",
        [&] {
            return bench::seconds([&] {
                for (int i = 0; i < 1000; ++i) bench::keep<int>(array[3]);
            });
        },
        "array");

    auto const contended_lock = [&] { return contended(lock); };
    bench::compare("Lock, two processes: pthread mutex", contended_lock, [&] { return contended(plain); });
    bench::compare("Lock, two processes: robust pthread mutex", contended_lock, [&] { return contended(robust); });
    against_python("Lock, two processes: CPython", contended_lock, "contended");
    against_python("Semaphores, round trip: CPython", semaphores, "semaphores");
    against_python("Events, round trip: CPython", events, "events");
    against_python("Condition, round trip: CPython", conditions, "conditions");
    against_python("Barrier for two: CPython", barriers, "barriers");
}
