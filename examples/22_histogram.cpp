// Workers fill one array in shared memory. Each counts in an array of its own first and adds that with one lock.
//
//     def fill(histogram, first, last):
//         mine = [0] * len(histogram)
//         for n in range(first, last):
//             mine[last_digit(n)] += 1
//         with histogram.get_lock():
//             for i, count in enumerate(mine):
//                 histogram[i] += count
//
//     histogram = Array("l", 10)
#include <multiprocessing.hpp>

#include <deque>
#include <iostream>
#include <mutex>
#include <vector>

namespace mp = multiprocessing;

void fill(mp::Array<long> histogram, long first, long last) {
    std::vector<long> mine(histogram.size());
    for (long n = first; n < last; ++n) ++mine[static_cast<std::size_t>((n % 10) * (n % 10) % 10)];

    std::scoped_lock guard(histogram);
    for (std::size_t i = 0; i < mine.size(); ++i) histogram.data()[i] += mine[i];
}

int main() {
    mp::freeze_support();
    mp::Array<long> histogram(10);
    std::deque<mp::Process> workers;
    for (long i = 0; i < 4; ++i) workers.emplace_back(fill, histogram, i * 25'000, (i + 1) * 25'000).start();
    for (auto& worker : workers) worker.join();

    std::cout << "last digits of the squares of 100000 numbers\n";
    for (int digit = 0; digit < 10; ++digit) std::cout << digit << ": " << histogram[digit] << '\n';
    std::cout << "even digits only:";
    for (long count : histogram.get({.step = 2})) std::cout << ' ' << count;
    std::cout << '\n';
}
