// shared::map and shared::unordered_map against the dict of CPython's Manager: set and get, from one process and from two.
//
//     g++ -std=c++20 -O2 -I include benchmarks/containers.cpp -o containers -pthread && ./containers
//
// Linux. Ours and python3 (or what the variable PYTHON names) run in turns; Python measures itself.

#include <multiprocessing/containers.hpp>

#include "harness.hpp"

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

namespace mp = multiprocessing;

namespace {

constexpr int keys = 1000;

/// Seconds per access, a set or a get, of so many processes at the same time.
template <class Map>
double ours(Map const& map, int processes, bool set) {
    constexpr int accesses = 200'000;
    auto const work = [&] {
        int sum = 0;
        for (int i = 0; i < accesses; ++i) {
            if (set) {
                map.insert_or_assign("key " + std::to_string(i % keys), i);
            } else {
                sum += map.at("key " + std::to_string(i % keys));
            }
        }
        bench::keep(sum);
    };
    double const all = bench::seconds([&] {
        for (int i = 1; i < processes; ++i) {
            if (::fork() == 0) {
                work();
                ::_exit(0);
            }
        }
        work();
        while (::wait(nullptr) > 0) {
        }
    });
    return all / accesses;
}

double python(int processes, bool set) {
    std::string const script =
        "import multiprocessing as m, time\n"
        "n = 3000\n"
        "def work(d):\n"
        "    for i in range(n):\n" +
        std::string(set ? "        d['key %d' % (i % 1000)] = i\n" : "        d['key %d' % (i % 1000)]\n") +
        "c = m.get_context('fork')\n"
        "d = c.Manager().dict({'key %d' % i: i for i in range(1000)})\n"
        "ps = [c.Process(target=work, args=(d,)) for i in range(" +
        std::to_string(processes - 1) +
        ")]\n"
        "t = time.perf_counter()\n"
        "for p in ps: p.start()\n"
        "work(d)\n"
        "for p in ps: p.join()\n"
        "print((time.perf_counter() - t) / n)\n";
    char const* const chosen = std::getenv("PYTHON");
    std::FILE* const pipe =
        ::popen((std::string(chosen != nullptr ? chosen : "python3") + " -c \"" + script + '"').c_str(), "r");
    double result = 0;
    if (pipe == nullptr || std::fscanf(pipe, "%lf", &result) != 1) throw std::runtime_error("python3 is missing");
    ::pclose(pipe);
    return result;
}

} // namespace

int main() {
    mp::shared::map<std::string, int> const ordered;
    mp::shared::unordered_map<std::string, int> const unordered;
    bench::print_head();
    for (bool const set : {true, false}) {
        for (int const processes : {1, 2}) {
            std::string const what = std::string(set ? "set" : "get") + ", processes: " + std::to_string(processes);
            auto const manager = [&] { return python(processes, set); };
            bench::compare(("map " + what).c_str(), [&] { return ours(ordered, processes, set); }, manager);
            bench::compare(("unordered_map " + what).c_str(), [&] { return ours(unordered, processes, set); }, manager);
        }
    }
}
