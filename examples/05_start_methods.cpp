// The same work with every start method of this system: fork copies this process; spawn runs the program anew; with
// forkserver, a small process that was spawned once forks. Windows has only spawn.
//
//     for method in get_all_start_methods():
//         context = get_context(method)
//         p = context.Process(target=check, args=(method,))
//         p.start(); p.join()
//         with context.Pool(2) as pool:
//             print(method, p.exitcode, pool.map(len, ["one", "three", "seven"]))
#include <multiprocessing.hpp>

#include <iostream>
#include <string>
#include <vector>

namespace mp = multiprocessing;

int number = 0;

// A forked child finds the variables as they were in its parent; a fresh program, as they are at its beginning.
void check(std::string const& method) { mp::exit(number == (method == "fork" ? 42 : 0) ? 0 : 1); }

std::size_t length(std::string const& word) { return word.size(); }

int main() {
    mp::freeze_support();
    number = 42;

    std::vector<std::string> const words{"one", "three", "seven"};
    for (auto method : mp::get_all_start_methods()) {
        auto context = mp::get_context(method);
        auto p = context.Process(check, to_string(method));
        p.start();
        p.join();

        auto pool = context.Pool(2);
        bool const right = p.exitcode() == 0 && pool.map(length, words) == std::vector<std::size_t>{3, 5, 5};
        std::cout << to_string(method) << (right ? ": right " : ": wrong ");
    }
    std::cout << '\n';
}
