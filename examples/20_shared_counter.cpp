// Four processes count together. In Python `counter.value += 1` loses counts unless the lock is held; here the operators
// of a Value are atomic. What needs several steps is done with the lock.
//
//     def count(counter, highest):
//         for i in range(1000):
//             with counter.get_lock():
//                 counter.value += 1
//             with highest.get_lock():
//                 highest.value = max(highest.value, i)
//
//     counter, highest = Value("i", 0), Value("i", 0)
//     workers = [Process(target=count, args=(counter, highest)) for _ in range(4)]
#include <multiprocessing.hpp>

#include <algorithm>
#include <deque>
#include <iostream>
#include <mutex>

namespace mp = multiprocessing;

void count(mp::Value<int> counter, mp::Value<int> highest) {
    for (int i = 0; i < 1000; ++i) {
        counter += 1;

        std::scoped_lock guard(highest);
        highest.value(std::max(highest.value(), i));
    }
}

int main() {
    mp::freeze_support();
    mp::Value<int> counter(0);
    mp::Value<int> highest(0);
    std::deque<mp::Process> workers;
    for (int i = 0; i < 4; ++i) workers.emplace_back(count, counter, highest).start();
    for (auto& worker : workers) worker.join();
    std::cout << counter.value() << " counted, highest " << highest.value() << '\n';
}
