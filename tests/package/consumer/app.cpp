#include <multiprocessing.hpp>

#include <cstdio>

namespace mp = multiprocessing;

int square(int x) { return x * x; }

int main() {
    mp::Pool pool(2);
    for (int y : pool.map(square, {1, 2, 3, 4, 5})) std::printf("%d ", y);
    std::printf("\n");
}
