// Four worker processes share the items of one map.
//
//     def square(x):
//         return x * x
//
//     if __name__ == "__main__":
//         with Pool(4) as pool:
//             print(*pool.map(square, [1, 2, 3, 4, 5]))
#include <multiprocessing.hpp>

#include <iostream>

namespace mp = multiprocessing;

int square(int x) { return x * x; }

int main() {
    mp::freeze_support();

    mp::Pool pool(4);
    for (int y : pool.map(square, {1, 2, 3, 4, 5})) std::cout << y << ' ';
    std::cout << '\n';
}
