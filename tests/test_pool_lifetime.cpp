// runs per start method
#include <multiprocessing/context.hpp>
#include <multiprocessing/functional.hpp>
#include <multiprocessing/pool.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

#include <algorithm>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace mp = multiprocessing;
using multiprocessing_test::Board;
using multiprocessing_test::up_to;

namespace {

int initialised = 0;

void set_up(int value) { initialised = value; }
int what_was_set_up(int) { return initialised; }
void count_on(Board board) { board.add(); }
void fail_to_set_up() { throw std::logic_error("no good"); }
void die_while_setting_up() { mp::platform::exit_process(3); }
std::int64_t who(int) { return mp::platform::current_process_id(); }
int same(int x) { return x; }

int squares_of_nested_pool(int n) {
    mp::Pool pool(2);
    auto const squares = pool.map([](int x) { return x * x; }, up_to(n + 1));
    return std::accumulate(squares.begin(), squares.end(), 0);
}
int size_of_nested_pool() {
    mp::Pool const pool;
    return static_cast<int>(pool.worker_pids().size());
}
void wait_in_worker(Board board) {
    board.add();
    board.await_stop(1);
}
void nested_pool_that_waits(Board board) {
    mp::Pool pool(1);
    pool.apply(wait_in_worker, board);
}

int pool_in_process() {
    mp::Pool pool(2);
    return pool.map(same, up_to(10)).back();
}
void use_pool(Board board) { board.set(pool_in_process()); }

} // namespace

TEST_CASE("every worker is initialised once") {
    mp::Pool pool(2, set_up, 7);
    CHECK(pool.map(what_was_set_up, up_to(20)) == std::vector<int>(20, 7));
    auto const board = Board::make();
    mp::Pool counted({.processes = 3}, count_on, board);
    CHECK(board.await(3));
    counted.close();
    counted.join();
    CHECK(board.get() == 3);
}

TEST_CASE("an initialiser that throws breaks the pool") {
    mp::Pool pool(2, fail_to_set_up);
    CHECK_THROWS_AS(pool.map(same, {1}), std::logic_error);
    CHECK_THROWS_AS(pool.map(same, {1}), std::logic_error);
}

TEST_CASE("an initialiser that ends its worker breaks the pool") {
    mp::Pool pool(2, die_while_setting_up);
    CHECK_THROWS_AS(pool.map(same, {1}), mp::WorkerDiedError);
}

TEST_CASE("workers are replaced after their share") {
    mp::Pool pool({.processes = 2, .maxtasksperchild = 3});
    auto const workers = pool.map(who, up_to(30), {.chunksize = 1});
    CHECK(std::set(workers.begin(), workers.end()).size() >= 10);
    for (auto const pid : workers) CHECK(std::count(workers.begin(), workers.end(), pid) <= 3);
    CHECK(pool.map(same, up_to(10), {.chunksize = 1}) == up_to(10));
    pool.close();
    pool.join();
}

TEST_CASE("every worker that leaves runs the finalizer once") {
    auto const board = Board::make();
    {
        mp::Pool pool({.processes = 2, .maxtasksperchild = 5, .finalizer = mp::partial(count_on, board)});
        pool.map(same, up_to(20), {.chunksize = 1});
        pool.close();
        pool.join();
    }
    CHECK(board.get() >= 4);
}

TEST_CASE("a pool that is left is over, whatever its workers do") {
    auto const board = Board::make();
    {
        mp::Pool pool({.processes = 2}, count_on, board);
        pool.map(same, up_to(4));
    }
    mp::Pool idle(3); // and one whose workers may not even have begun
}

TEST_CASE("a process may have a pool of its own") {
    auto const board = Board::make();
    mp::Process process({.daemon = false}, use_pool, board);
    process.start();
    process.join();
    CHECK(process.exitcode() == 0);
    CHECK(board.get() == 9);
}

TEST_CASE("a worker may have a pool of its own, and shares the processors with its fellows") {
    mp::Pool pool(2);
    CHECK(pool.map(squares_of_nested_pool, {1, 2, 3}) == std::vector<int>{1, 5, 14});
    auto const all = static_cast<int>(mp::process_cpu_count());
    CHECK(pool.apply(size_of_nested_pool) == std::max(1, all / 2));
}

TEST_CASE("a pool within a worker ends with it") {
    auto const board = Board::make();
    mp::Pool pool(1);
    auto const call = pool.apply_async(nested_pool_that_waits, board);
    REQUIRE(board.await(1));
    pool.terminate();
    pool.join();
    CHECK_THROWS_AS(call.get(), mp::ProcessError);
}

TEST_CASE("a large pool") {
    int const workers = mp::get_start_method() == mp::StartMethod::fork ? 100 : 10;
    mp::Pool pool(workers);
    CHECK(pool.map(same, up_to(1000), {.chunksize = 1}) == up_to(1000));
}

TEST_CASE("a pool is its maker's") {
    if (mp::get_start_method() != mp::StartMethod::fork) return; // nobody else could have it
    mp::Pool pool(1);
    mp::Process child([&] { CHECK_THROWS_AS(pool.map(same, {1}), mp::AssertionError); });
    child.start();
    child.join();
    CHECK(child.exitcode() == 0);
    CHECK(pool.map(same, {1}) == std::vector<int>{1});
}
