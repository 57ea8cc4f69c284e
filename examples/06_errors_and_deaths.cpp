// What a worker throws arrives as the type that it threw. A worker that dies costs the item that it ran, nothing else;
// in Python this map would wait for ever.
//
//     def half(n):
//         if n % 2: raise ValueError(f"{n} is odd")
//         if n == 6: os._exit(7)                       # as good as a crash
//         return n // 2
//
//     with Pool(2) as pool:
//         try:
//             pool.map(half, [2, 3, 4])
//         except ValueError as e:
//             print(e)
#include <multiprocessing.hpp>

#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>

namespace mp = multiprocessing;

int half(int n) {
    if (n % 2 != 0) throw std::domain_error(std::to_string(n) + " is odd");
    if (n == 6) std::_Exit(7); // as good as a crash
    return n / 2;
}

int main() {
    mp::freeze_support();
    mp::Pool pool(2);

    try {
        pool.map(half, {2, 3, 4});
    } catch (std::domain_error const& e) {
        std::cout << e.what() << '\n';
        auto const& remote = dynamic_cast<mp::RemoteError const&>(e);
        std::cout << "thrown as " << remote.type_name() << " for item " << remote.task_index().value() << '\n';
    }

    try {
        pool.map(half, {2, 4, 6, 8});
    } catch (mp::WorkerDiedError const& e) {
        std::cout << "exit code " << e.exitcode() << " at item " << e.task_index().value() << '\n';
    }

    std::cout << "and on it goes:";
    for (int n : pool.map(half, {10, 20, 30})) std::cout << ' ' << n;
    std::cout << '\n';
}
