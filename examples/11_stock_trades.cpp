// Turnover of each symbol in a long list of trades. The file is cut into blocks of bytes; whoever has a block takes the
// lines that begin in it, so nobody has to read the file before it is shared out.
//
//     with Pool() as pool:
//         for part in pool.map(partial(turnover, path), blocks):
//             total.update(part)                       # a collections.Counter
#include <multiprocessing.hpp>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace fs = std::filesystem;
namespace mp = multiprocessing;
using Turnover = std::map<std::string, std::uint64_t>; // in cents

constexpr std::uint64_t block = 64 * 1024;

Turnover turnover(std::string const& path, std::uint64_t begin) {
    std::ifstream file(path, std::ios::binary);
    std::string line;
    std::uint64_t at = begin;
    if (begin != 0) { // a line that began before belongs to the block before
        file.seekg(static_cast<std::streamoff>(at - 1));
        std::getline(file, line);
        at += line.size();
    }
    Turnover sums;
    for (; at < begin + block && std::getline(file, line); at += line.size() + 1) {
        auto const first = line.find(','), second = line.find(',', first + 1); // symbol,shares,cents
        sums[line.substr(0, first)] += std::stoull(line.substr(first + 1)) * std::stoull(line.substr(second + 1));
    }
    return sums;
}

int main() {
    mp::freeze_support();
    auto const path = fs::temp_directory_path() / ("trades-" + std::to_string(*mp::current_process().pid()) + ".csv");
    std::ofstream file(path, std::ios::binary);
    std::mt19937 random(1987);
    for (int i = 0; i < 50'000; ++i) {
        char const* const symbols[] = {"ACME", "GLOBEX", "HOOLI", "INITECH", "UMBRELLA"};
        file << symbols[random() % 5] << ',' << 1 + random() % 500 << ',' << 1000 + random() % 20'000 << '\n';
    }
    file.close();
    std::vector<std::uint64_t> begins;
    for (std::uint64_t begin = 0; begin < fs::file_size(path); begin += block) begins.push_back(begin);
    Turnover total;
    mp::Pool pool;
    for (auto const& part : pool.map(mp::partial(turnover, path.string()), begins)) {
        for (auto const& [symbol, cents] : part) total[symbol] += cents;
    }
    for (auto const& [symbol, cents] : total) std::cout << symbol << ' ' << cents / 100 << '\n';
    fs::remove(path);
}
