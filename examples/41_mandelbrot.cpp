// The rows of a picture are the items of one map; those in the middle take far longer than those at the edges. Printed is
// every twelfth point of it. With a file name as its argument the program writes it there, in colours, in the PPM format.
//
//     with Pool() as pool:
//         picture = pool.map(row, range(height))
#include <multiprocessing.hpp>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <numeric>
#include <vector>

namespace mp = multiprocessing;

constexpr int width = 864, height = 576;
constexpr int most = 1000; // steps; a point that is still near after them belongs to the set

using Number = std::int64_t; // with 28 binary digits behind the point, so that every computer draws the same
constexpr int digits = 28;
constexpr Number one = Number{1} << digits;

int steps(Number a, Number b) {
    Number x = 0, y = 0;
    for (int step = 0; step < most; ++step) {
        Number const xx = x * x >> digits, yy = y * y >> digits;
        if (xx + yy > 4 * one) return step;
        y = (2 * x * y >> digits) + b;
        x = xx - yy + a;
    }
    return most;
}

std::vector<int> row(int y) {
    std::vector<int> points;
    Number const b = (2 * y + 1 - height) * one / height;
    for (int x = 0; x < width; ++x) points.push_back(steps((2 * x + 1 - width) * one / height - one * 3 / 4, b));
    return points;
}

int main(int argc, char** argv) {
    mp::freeze_support();
    std::vector<int> ys(height);
    std::iota(ys.begin(), ys.end(), 0);
    std::vector<std::vector<int>> const picture = mp::Pool().map(row, ys);

    for (std::size_t y = 12; y < height; y += 24) {
        for (std::size_t x = 6; x < width; x += 12)
            std::cout << (picture[y][x] == most ? '@' : " .:-=+*%"[picture[y][x] % 8]);
        std::cout << '\n';
    }
    if (argc < 2) return 0;
    std::ofstream file(argv[1], std::ios::binary);
    file << "P6 " << width << ' ' << height << " 255\n";
    for (auto const& points : picture)
        for (int const n : points)
            for (int const speed : {4, 9, 19})
                file.put(static_cast<char>(n == most ? 0 : 255 - std::abs(n * speed % 510 - 255)));
}
