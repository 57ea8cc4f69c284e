// The names of the library on threads: one line decides which world it is.
//
//     from multiprocessing.dummy import Process, Queue
#include <multiprocessing/dummy.hpp>

#include <iostream>
#include <optional>
#include <string>

namespace mp = multiprocessing::dummy; // or: namespace mp = multiprocessing;

void work(mp::Queue<std::optional<int>> tasks, mp::Queue<int> results) {
    while (auto task = tasks.get()) results.put(*task * *task);
}

int main() {
    mp::freeze_support();
    mp::Queue<std::optional<int>> tasks;
    mp::Queue<int> results;
    mp::Process worker({.name = "squares"}, work, tasks, results);
    worker.start();
    for (int i = 1; i <= 3; ++i) tasks.put(i);
    tasks.put(std::nullopt);
    worker.join();
    for (int i = 0; i < 3; ++i) std::cout << results.get() << '\n';
    std::cout << worker.name() << " ended with " << *worker.exitcode() << '\n';
}
