// Where does the time of a pool go? Progress while it works, a table afterwards, and a file for chrome://tracing.
#include <multiprocessing.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

namespace mp = multiprocessing;
using namespace std::chrono_literals;

// Some items take ten times as long as the others, and one fails when it is tried for the first time.
std::uint64_t work(int item) {
    if (item == 60 && mp::task_attempt() == 1) throw std::runtime_error("not in the mood");
    auto random = mp::task_rng(7);
    auto const end = std::chrono::steady_clock::now() + (random.below(10) == 0 ? 5ms : 500us);
    std::uint64_t rounds = 0;
    while (std::chrono::steady_clock::now() < end) ++rounds;
    return rounds == 0 ? 0 : 1;
}

int main(int argc, char** argv) {
    mp::freeze_support();
    std::vector<int> items(120);
    std::iota(items.begin(), items.end(), 0);
    auto const file = argc > 1 ? std::filesystem::path(argv[1]) : std::filesystem::temp_directory_path() / "trace.json";

    mp::Pool pool({.processes = 2, .insights = true, .trace = file.string()});
    auto const results = pool.map(work, items, {.retries = 1, .progress = true, .label = "work"});
    std::cout << std::accumulate(results.begin(), results.end(), std::uint64_t{0}) << " items\n";

    mp::Insights const insights = pool.insights();
    std::cout << insights.retries << " retry, " << insights.deaths << " deaths\n";
    std::cerr << insights;

    pool.close();
    pool.join(); // now the file is whole
    std::cout << "a trace was written: " << std::boolalpha << (std::filesystem::file_size(file) > 0) << '\n';
    if (argc == 1) std::filesystem::remove(file);
}
