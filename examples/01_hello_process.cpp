// A function runs in a process of its own, which knows its name and its parent.
//
//     def greet(name):
//         print(f"hello {name}, from {current_process().name}, child of {parent_process().name}")
//
//     if __name__ == "__main__":
//         p = Process(target=greet, args=("bob",))
//         p.start()
//         p.join()
//         print("exit code", p.exitcode)
#include <multiprocessing.hpp>

#include <iostream>
#include <string>

namespace mp = multiprocessing;

void greet(std::string const& name) {
    std::cout << "hello " << name << ", from " << mp::current_process().name() << ", child of "
              << mp::parent_process()->name() << '\n';
}

int main() {
    mp::freeze_support(); // a process that is started anew, not forked, begins and ends here

    mp::Process p(greet, "bob");
    p.start();
    p.join();
    std::cout << "exit code " << p.exitcode().value() << '\n';
}
