// Several processes work at the same time. They finish in any order; the parent joins them in the order of their start.
//
//     def work(number, seconds):
//         time.sleep(seconds)
//         sys.exit(10 * number)
//
//     workers = [Process(target=work, args=(i, 0.1 / i), name=f"worker-{i}") for i in range(1, 4)]
//     for w in workers: w.start()
//     for w in workers:
//         w.join()
//         print(w.name, "ended with exit code", w.exitcode)
#include <multiprocessing.hpp>

#include <chrono>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

namespace mp = multiprocessing;
using namespace std::chrono_literals;

void work(int number, std::chrono::milliseconds time) {
    std::this_thread::sleep_for(time);
    mp::exit(10 * number); // what sys.exit does
}

int main() {
    mp::freeze_support();

    std::vector<mp::Process> workers;
    for (int i = 1; i <= 3; ++i) {
        workers.emplace_back(mp::ProcessOptions{.name = "worker-" + std::to_string(i)}, work, i, 100ms / i);
    }
    for (auto& w : workers) w.start();
    for (auto& w : workers) {
        w.join();
        std::cout << w.name() << " ended with exit code " << w.exitcode().value() << '\n';
    }
}
