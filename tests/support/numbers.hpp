#pragma once

#include <cstddef>
#include <numeric>
#include <vector>

/// Items for pools.
namespace multiprocessing_test {

/// 0, 1, … n - 1.
inline std::vector<int> up_to(int n) {
    std::vector<int> all(static_cast<std::size_t>(n));
    std::iota(all.begin(), all.end(), 0);
    return all;
}

} // namespace multiprocessing_test
