// Points are thrown at a square; pi is four times the share that hits the circle in it. Each item has random numbers of its
// own, so the digits do not depend on how many workers there are, nor on which of them runs what.
//
//     def hits(item):
//         rng = numpy.random.default_rng([2026, item])
//         x, y = rng.random((2, 20_000))
//         return int((x * x + y * y < 1).sum())
#include <multiprocessing.hpp>

#include <cstdint>
#include <cstdio>
#include <numeric>
#include <vector>

namespace mp = multiprocessing;

constexpr std::uint64_t points = 20'000; // per item

std::uint64_t hits(std::uint64_t item) {
    auto rng = mp::task_rng(2026, item);
    std::uint64_t count = 0;
    for (std::uint64_t i = 0; i < points; ++i) {
        double const x = rng.uniform01();
        double const y = rng.uniform01();
        if (x * x + y * y < 1) ++count;
    }
    return count;
}

int main() {
    mp::freeze_support();
    std::vector<std::uint64_t> items(200);
    std::iota(items.begin(), items.end(), 0U);

    for (int const workers : {1, 2, 4}) {
        mp::Pool pool(workers);
        std::vector<std::uint64_t> const counts = pool.map(hits, items);
        double const sum = static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}));
        std::printf("workers: %d, pi: %.7f\n", workers, 4 * sum / static_cast<double>(items.size() * points));
    }
}
