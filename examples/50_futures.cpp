// Calls that run elsewhere, and what becomes of them.
//
//     with ProcessPoolExecutor(2) as executor:
//         futures = [executor.submit(is_prime, n) for n in numbers]
//         for future in as_completed(futures): ...
#include <multiprocessing/futures.hpp>
#include <multiprocessing/spawn.hpp>

#include <iostream>
#include <stdexcept>
#include <vector>

namespace mp = multiprocessing;
namespace futures = multiprocessing::futures;

bool is_prime(long n) {
    if (n < 2) throw std::domain_error("there are no primes below 2");
    for (long i = 2; i * i <= n; ++i) {
        if (n % i == 0) return false;
    }
    return true;
}

int main() {
    mp::freeze_support();
    futures::ProcessPoolExecutor executor(2); // or: futures::ThreadPoolExecutor executor(2);

    auto const prime = executor.submit(is_prime, 1'000'000'007L);
    std::cout << std::boolalpha << prime.result() << '\n';

    // Results in the order of the input; they are worked on in parallel.
    for (bool answer : executor.map(is_prime, std::vector<long>{7, 8, 9, 11})) std::cout << answer << ' ';
    std::cout << '\n';

    // Results in the order in which they come.
    std::vector<futures::Future<bool>> all;
    for (long n = 900'000'000; n < 900'000'100; ++n) all.push_back(executor.submit(is_prime, n));
    int primes = 0;
    for (auto const& future : futures::as_completed(all)) primes += future.result();
    std::cout << primes << " primes\n";

    try {
        executor.submit(is_prime, 1L).result();
    } catch (std::domain_error const& error) {
        std::cout << error.what() << '\n';
    }
}
