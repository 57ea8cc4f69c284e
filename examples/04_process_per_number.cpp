// One process for each number. A process tells its parent a small number without further ado: its exit code.
//
//     def count_divisors(n):
//         sys.exit(sum(n % d == 0 for d in range(1, n + 1)))
//
//     jobs = {n: Process(target=count_divisors, args=(n,)) for n in (7, 12, 36, 97, 360)}
//     for job in jobs.values(): job.start()
//     for n, job in jobs.items():
//         job.join()
//         print(n, "has", job.exitcode, "divisors")
#include <multiprocessing.hpp>

#include <iostream>
#include <map>

namespace mp = multiprocessing;

void count_divisors(int n) {
    int count = 0;
    for (int d = 1; d <= n; ++d) count += n % d == 0;
    mp::exit(count);
}

int main() {
    mp::freeze_support();

    std::map<int, mp::Process> jobs;
    for (int n : {7, 12, 36, 97, 360}) jobs.try_emplace(n, count_divisors, n);
    for (auto& [n, job] : jobs) job.start();
    for (auto& [n, job] : jobs) {
        job.join();
        std::cout << n << " has " << job.exitcode().value() << " divisors\n";
    }
}
