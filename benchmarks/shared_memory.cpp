// Blocks of shared memory: SharedMemory against CPython's; and what it costs to hand a large Array to other processes.
//
//     g++ -std=c++20 -O2 -I include benchmarks/shared_memory.cpp -o shared_memory -pthread && ./shared_memory
//
// Linux. Takes 1 GB.

#include <multiprocessing/process.hpp>
#include <multiprocessing/shared_memory.hpp>
#include <multiprocessing/sharedctypes.hpp>
#include <multiprocessing/synchronize.hpp>

#include "harness.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

namespace mp = multiprocessing;

namespace {

constexpr std::size_t megabyte = 1 << 20;

/// Seconds for one block: created, closed, its name removed. `touched`: every page of it is written to as well.
double blocks(bool reserve, bool touched) {
    return bench::seconds_each(100, [&] {
        auto block = mp::SharedMemory::create(megabyte, mp::SharedMemory::new_name(), {.reserve = reserve});
        if (touched) std::memset(block.data(), 1, block.size());
        auto const name = block.name();
        block.close();
        mp::SharedMemory::unlink(name);
    });
}

double blocks_of_the_tree() {
    return bench::seconds_each(100, [&] { mp::SharedMemory::create(megabyte).close(); });
}

/// A kind of memory of a process, in kB: a line of /proc/<pid>/smaps_rollup.
double memory_of(long process, char const* kind) {
    std::FILE* const file = std::fopen(("/proc/" + std::to_string(process) + "/smaps_rollup").c_str(), "r");
    if (file == nullptr) throw std::runtime_error("no smaps_rollup");
    char line[256];
    double result = 0;
    while (std::fgets(line, sizeof line, file) != nullptr) {
        if (std::strncmp(line, kind, std::strlen(kind)) == 0) result = std::atof(line + std::strlen(kind));
    }
    std::fclose(file);
    return result;
}

void look(mp::Array<double> const& array) { bench::keep(array.data()[array.size() - 1]); }

double sum(mp::Array<double> const& array) {
    double result = 0;
    for (double const x : array) result += x;
    return result;
}

/// Starts four children that each get the array, and joins them.
double hand_to_four(mp::Array<double> const& array, mp::StartMethod method) {
    return bench::seconds([&] {
        std::vector<mp::Process> children;
        for (int i = 0; i < 4; ++i) children.emplace_back(mp::ProcessOptions{.method = method}, look, array);
        for (auto& child : children) child.start();
        for (auto& child : children) child.join();
    });
}

void sum_and_wait(mp::Array<double> const& array, mp::Barrier const& here, mp::Event const& seen) {
    bench::keep(sum(array));
    here.wait();
    seen.wait();
}

/// The memory of four children that have read all of the array, and of this process.
void print_memory(mp::Array<double> const& array) {
    mp::Barrier const here(5);
    mp::Event const seen;
    std::vector<mp::Process> children;
    for (int i = 0; i < 4; ++i) children.emplace_back(sum_and_wait, array, here, seen);
    for (auto& child : children) child.start();
    here.wait();
    std::vector<long> processes{getpid()};
    for (auto const& child : children) processes.push_back(static_cast<long>(*child.pid()));
    double resident = 0, shared_once = 0;
    for (long const process : processes) {
        resident += memory_of(process, "Rss:");
        shared_once += memory_of(process, "Pss:");
    }
    seen.set();
    for (auto& child : children) child.join();
    std::printf(
        "memory of 5 processes that have read the array: Rss %.0f MB in sum, Pss %.0f MB in sum\n",
        resident / 1024,
        shared_once / 1024);
}

} // namespace

int main() {
    mp::freeze_support();
    std::optional<bench::python> python;
    try {
        python.emplace("shared_memory.py");
        std::printf("%s\n", python->version().c_str());
    } catch (std::runtime_error const&) {
        std::printf("without CPython\n");
    }
    bench::print_head();
    if (python) {
        auto const theirs = [&] { return (*python)("block"); };
        auto const theirs_touched = [&] { return (*python)("touched block"); };
        bench::compare(
            "1 MB with a name: CPython", [] { return blocks(true, false); }, theirs);
        bench::compare(
            "the same, reserve = false: CPython", [] { return blocks(false, false); }, theirs);
        bench::compare(
            "1 MB with a name, written: CPython", [] { return blocks(true, true); }, theirs_touched);
        bench::compare("1 MB without a name: CPython, with one", blocks_of_the_tree, theirs);
    }

    mp::Array<double> const large(std::ptrdiff_t{1} << 27); // 1 GB
    mp::Array<double> const small(16);
    std::ranges::fill(large.span(), 1.0);
    using enum mp::StartMethod;
    bench::compare(
        "16 doubles to 4 processes, fork: 1 GB",
        [&] { return hand_to_four(small, fork); },
        [&] { return hand_to_four(large, fork); });
    bench::compare(
        "16 doubles to 4 processes, spawn: 1 GB",
        [&] { return hand_to_four(small, spawn); },
        [&] { return hand_to_four(large, spawn); });
    print_memory(large);
    std::vector<double> other(large.size());
    double const copying = bench::seconds([&] { std::ranges::copy(large.span(), other.begin()); });
    std::printf("for comparison, one copy of the array: %.0f us\n", copying * 1e6);
}
