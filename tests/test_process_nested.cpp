// runs per start method
#include <multiprocessing/context.hpp>
#include <multiprocessing/pool.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/queues.hpp>

#include "support/catch.hpp"

#include <string>
#include <vector>

namespace mp = multiprocessing;

/// Children that are parents themselves, and what they share.
namespace {

void put(mp::Queue<int> queue, int number) { queue.put(number); }

/// Gives what it was given to a child of its own.
void pass_on(mp::Queue<int> queue, int number) {
    queue.put(number);
    mp::Process grandchild(put, queue, number + 1);
    grandchild.start();
    grandchild.join();
    if (grandchild.exitcode() != 0) mp::exit(2);
}

} // namespace

TEST_CASE("a child passes a queue on to its own child") {
    mp::Queue<int> queue;
    mp::Process process(pass_on, queue, 7);
    process.start();
    CHECK(queue.get() == 7);
    CHECK(queue.get() == 8);
    process.join();
    CHECK(process.exitcode() == 0);
    CHECK(queue.empty());
}

TEST_CASE("one queue serves children of every start method") {
    mp::Queue<int> queue;
    int sum = 0;
    for (auto const method : mp::get_all_start_methods()) {
        mp::Process process({.method = method}, pass_on, queue, 10);
        process.start();
        process.join();
        REQUIRE(process.exitcode() == 0);
        sum += queue.get() + queue.get();
    }
    CHECK(sum == 21 * static_cast<int>(mp::get_all_start_methods().size()));
}

namespace {

int square(int number) { return number * number; }

void use_pool(mp::Queue<int> queue) {
    mp::Pool pool(2);
    int sum = 0;
    for (int const number : pool.map(square, std::vector<int>{1, 2, 3})) sum += number;
    queue.put(sum);
}

} // namespace

TEST_CASE("a child may have a pool") {
    mp::Queue<int> queue;
    mp::Process process(use_pool, queue);
    process.start();
    CHECK(queue.get() == 14);
    process.join();
    CHECK(process.exitcode() == 0);
}
