// Tasks go to whichever worker is free, and results come back: the two queues at the heart of many programs.
//
//     def worker(tasks, results):
//         for n in iter(tasks.get, None):
//             results.put((n, smallest_factor(n)))
//
//     tasks, results = Queue(), Queue()
//     workers = [Process(target=worker, args=(tasks, results)) for _ in range(3)]
//     for w in workers: w.start()
//     for n in numbers: tasks.put(n)
//     for w in workers: tasks.put(None)
//     factors = dict(results.get() for _ in numbers)
#include <multiprocessing.hpp>

#include <iostream>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace mp = multiprocessing;

long smallest_factor(long n) {
    for (long factor = 2; factor * factor <= n; ++factor) {
        if (n % factor == 0) return factor;
    }
    return n;
}

void worker(mp::Queue<std::optional<long>> tasks, mp::Queue<std::pair<long, long>> results) {
    for (long n : tasks) results.put({n, smallest_factor(n)}); // until there is no number but std::nullopt
}

int main() {
    mp::freeze_support();

    std::vector<long> const numbers{1'000'003, 1'000'001, 999'999'937, 987'654'321, 1'022'117, 104'729};
    mp::Queue<std::optional<long>> tasks;
    mp::Queue<std::pair<long, long>> results;

    std::vector<mp::Process> workers;
    for (int i = 0; i < 3; ++i) workers.emplace_back(worker, tasks, results).start();
    for (long n : numbers) tasks.put(n);
    for (std::size_t i = 0; i < workers.size(); ++i) tasks.put(std::nullopt); // one for each worker

    std::map<long, long> factors; // results come in any order; a map sorts them
    for (std::size_t i = 0; i < numbers.size(); ++i) factors.insert(results.get());
    for (auto const& [n, factor] : factors) {
        if (factor == n) {
            std::cout << n << " is prime\n";
        } else {
            std::cout << n << " = " << factor << " * " << n / factor << '\n';
        }
    }
    for (auto& w : workers) w.join();
}
