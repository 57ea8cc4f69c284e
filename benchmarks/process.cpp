// Starting and joining processes and pools, against bare fork() and waitpid(), and against CPython.
//
//     g++ -std=c++20 -O2 -I include benchmarks/process.cpp -o process -pthread && ./process

#include <multiprocessing.hpp>

#include "harness.hpp"

#include <cstddef>
#include <cstdio>
#include <memory>

#include <sys/mman.h>

namespace mp = multiprocessing;

namespace {

void nothing() {}

double start_and_join(mp::StartMethod method, int times) {
    return bench::seconds_each(times, [&] {
        mp::Process process({.method = method}, nothing);
        process.start();
        process.join();
    });
}

double bare_fork(int times) {
    return bench::seconds_each(times, [] {
        pid_t const child = fork();
        if (child == 0) _exit(0);
        waitpid(child, nullptr, 0);
    });
}

/// Private memory of this process that has been written to.
class ballast {
public:
    explicit ballast(std::size_t size)
        : size_(size), memory_(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
        for (std::size_t i = 0; i < size; i += 4096) static_cast<char volatile*>(memory_)[i] = 1;
    }
    ~ballast() { munmap(memory_, size_); }
    ballast(ballast const&) = delete;
    ballast& operator=(ballast const&) = delete;

private:
    std::size_t size_;
    void* memory_;
};

double beside_a_gigabyte(mp::StartMethod method, int times) {
    ballast const gigabyte(std::size_t{1} << 30);
    return start_and_join(method, times);
}

} // namespace

int main() {
    mp::freeze_support();
    bench::python peer("peers.py");
    std::printf("%s, %u processors\n", peer.version().c_str(), mp::process_cpu_count());
    bench::print_head();

    using enum mp::StartMethod;
    bench::compare(
        "fork against bare fork, _exit, waitpid",
        [] { return start_and_join(fork, 10); },
        [] { return bare_fork(10); });
    bench::compare(
        "fork against CPython", [] { return start_and_join(fork, 10); }, [&] { return peer("fork"); });
    bench::compare(
        "forkserver against CPython",
        [] { return start_and_join(forkserver, 10); },
        [&] { return peer("forkserver"); });
    bench::compare(
        "spawn against CPython", [] { return start_and_join(spawn, 3); }, [&] { return peer("spawn"); });
    bench::compare(
        "Pool(2) start and stop against CPython",
        [] { return bench::seconds_each(10, [] { mp::Pool const pool(2); }); },
        [&] { return peer("pool"); });
    bench::compare(
        "forkserver, small against 1 GB parent",
        [] { return start_and_join(forkserver, 10); },
        [] { return beside_a_gigabyte(forkserver, 10); });
    bench::compare(
        "spawn, small against 1 GB parent",
        [] { return start_and_join(spawn, 3); },
        [] { return beside_a_gigabyte(spawn, 3); });
    bench::compare(
        "fork, small against 1 GB parent",
        [] { return start_and_join(fork, 3); },
        [] { return beside_a_gigabyte(fork, 3); });
}
