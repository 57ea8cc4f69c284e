// runs per start method
#include <multiprocessing/pool.hpp>
#include <multiprocessing/task.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <vector>

namespace mp = multiprocessing;
using multiprocessing_test::Board;
using multiprocessing_test::up_to;

namespace {

std::int64_t own_index(int) { return static_cast<std::int64_t>(mp::task_index().value()); }
std::uint64_t draw(int seed) { return mp::task_rng(static_cast<std::uint64_t>(seed))(); }
int attempt(int) { return static_cast<int>(mp::task_attempt()); }

Board* watched = nullptr;
void watch(Board board) { watched = new Board(board); }

/// Counts how many of it are made, and are gone.
struct Tool {
    Tool() { watched->add(); }
    ~Tool() { watched->add(1, 1); }
    int uses = 0;
};
int use_tool(int) { return ++mp::worker_state<Tool>().uses; }

} // namespace

TEST_CASE("an item knows its position in the input") {
    mp::Pool pool(2);
    auto const indices = pool.map(own_index, std::vector<int>(100, 0));
    for (std::size_t i = 0; i < 100; ++i) CHECK(indices[i] == static_cast<std::int64_t>(i));
    std::int64_t next = 0;
    for (auto const index : pool.imap(own_index, std::vector<int>(50, 0))) CHECK(index == next++);
    CHECK(pool.apply(own_index, 5) == 0);
    CHECK(pool.map(attempt, {1, 2}) == std::vector<int>{1, 1});
}

TEST_CASE("the random numbers of an item depend on the seed and its position only") {
    mp::Pool one(1);
    mp::Pool three(3);
    auto const numbers = one.map(draw, std::vector<int>(50, 1));
    CHECK(three.map(draw, std::vector<int>(50, 1), {.chunksize = 1}) == numbers);
    CHECK(three.map(draw, std::vector<int>(50, 2)) != numbers);
    for (std::uint64_t i = 0; i < 50; ++i) CHECK(numbers[i] == mp::task_rng(1, i)());
    CHECK_THROWS_AS(mp::task_rng(1), mp::AssertionError);
}

TEST_CASE("outside of items there is no position") {
    CHECK_FALSE(mp::task_index());
    CHECK(mp::task_attempt() == 1);
}

TEST_CASE("an object that all items of a worker share") {
    auto const board = Board::make();
    {
        mp::Pool pool({.processes = 2}, watch, board);
        auto const uses = pool.map(use_tool, up_to(100));
        CHECK(std::count(uses.begin(), uses.end(), 1) == board.get()); // the first use in each worker that had an item
        CHECK(board.get() <= 2);
        pool.close();
        pool.join();
    }
    CHECK(board.get(1) == board.get()); // gone with their workers
}
