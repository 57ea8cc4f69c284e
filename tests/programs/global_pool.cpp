// A pool that lives as long as the program, and whose workers nobody ends before main does.
#include <multiprocessing/context.hpp>
#include <multiprocessing/pool.hpp>

#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <optional>

namespace mp = multiprocessing;

namespace {

double half(int x) { return x / 2.0; }

struct Problem {
    mp::Pool pool{1};
};
std::optional<Problem> problem;

} // namespace

int main() {
    mp::freeze_support();
    char const* const method = std::getenv("GLOBAL_POOL_METHOD");
    mp::set_start_method(method != nullptr ? method : "spawn");
    problem.emplace();
    auto const halves = problem->pool.map(half, {1, 2, 3, 4});
    std::printf("%.1f\n", std::accumulate(halves.begin(), halves.end(), 0.0));
}
