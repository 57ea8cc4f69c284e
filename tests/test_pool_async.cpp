// runs per start method
#include <multiprocessing/context.hpp>
#include <multiprocessing/pool.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace mp = multiprocessing;
using multiprocessing_test::Board;
using multiprocessing_test::up_to;
using namespace std::chrono_literals;

namespace {

int square(int x) { return x * x; }
int power(int base, int exponent) { return exponent == 0 ? 1 : base * power(base, exponent - 1); }
std::string twice(std::string const& text) { return text + text; }
int fail(int x) { throw std::out_of_range("item " + std::to_string(x)); }
int fail_at_three(int x) { return x == 3 ? fail(x) : x; }
void count_on(Board board) { board.add(); }
/// A function that refers to a board of which nobody else may know.
struct counter {
    Board board;
    void operator()(int) const { board.add(); }
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& board;
    }
};
std::unique_ptr<int> make(int x) { return std::make_unique<int>(x); }
int wait_for_start(Board board, int x) {
    board.add(1, 1);
    board.await_stop(0);
    return x;
}

} // namespace

TEST_CASE("a result comes later, as often as it is asked for") {
    mp::Pool pool(2);
    auto const result = pool.apply_async(power, 2, 10);
    CHECK(result.get() == 1024);
    CHECK(result.get() == 1024);
    CHECK(result.ready());
    CHECK(result.successful());
    CHECK(pool.apply_async(twice, "ab").get() == "abab");
    CHECK(pool.apply_async(power, std::tuple(3, 2), {}).get() == 9);
    auto const board = Board::make();
    pool.apply_async(count_on, board).get();
    CHECK(board.get() == 1);
}

TEST_CASE("a result that is not there: ready, wait, get, successful") {
    mp::Pool pool(1);
    auto const board = Board::make();
    auto const result = pool.apply_async(wait_for_start, board, 7);
    REQUIRE(board.await(1, 1));
    CHECK_FALSE(result.ready());
    CHECK_THROWS_AS(result.successful(), mp::ValueError);
    CHECK_THROWS_AS(result.get(0s), mp::TimeoutError);
    CHECK_THROWS_AS(result.get(-1s), mp::TimeoutError);
    CHECK_THROWS_AS(result.get(20ms), mp::TimeoutError);
    result.wait(20ms);
    board.set(1);
    CHECK(result.get() == 7);
}

TEST_CASE("whole maps come later, too") {
    mp::Pool pool(3);
    CHECK(pool.map_async(square, up_to(100)).get() == pool.map(square, up_to(100)));
    CHECK(pool.map_async(twice, std::vector<std::string>{"a", "b"}).get() == std::vector<std::string>{"aa", "bb"});
    std::vector<std::pair<int, int>> const pairs{{2, 3}, {3, 2}};
    CHECK(pool.starmap_async(power, pairs, {.chunksize = 1}).get() == std::vector<int>{8, 9});
    auto const board = Board::make();
    pool.map_async(count_on, std::vector<Board>(5, board)).get();
    CHECK(board.get() == 5);
    auto const nothing = pool.map_async(square, std::vector<int>());
    CHECK(nothing.ready());
    CHECK(nothing.successful());
    CHECK(nothing.get().empty());
}

TEST_CASE("results of calls that run at the same time do not mix") {
    mp::Pool pool(2);
    std::vector<mp::AsyncResult<int>> results;
    for (int i = 0; i < 500; ++i) results.push_back(pool.apply_async(square, i));
    for (int i = 499; i >= 0; --i) CHECK(results[static_cast<std::size_t>(i)].get() == i * i);
}

TEST_CASE("an exception comes out of a result, each time") {
    mp::Pool pool(2);
    auto const result = pool.map_async(fail_at_three, up_to(10));
    result.wait();
    CHECK_FALSE(result.successful());
    CHECK_THROWS_AS(result.get(), std::out_of_range);
    CHECK_THROWS_AS(result.get(), std::out_of_range);
    try {
        pool.apply_async(fail, 1).get();
        FAIL("nothing was thrown");
    } catch (mp::RemoteError const& error) {
        CHECK(error.message() == "item 1");
        CHECK(error.task_index() == 0);
    }
}

TEST_CASE("a result that can only be moved") {
    mp::Pool pool(1);
    std::unique_ptr<int> const made = pool.apply_async(make, 5).get();
    CHECK(*made == 5);
    auto all = pool.map_async(make, up_to(3)).get();
    CHECK(*all[2] == 2);
}

TEST_CASE("results that nobody asks for do not stay") {
    mp::Pool pool(2);
    auto const board = Board::make();
    for (int i = 0; i < 3000; ++i) static_cast<void>(pool.apply_async(count_on, board));
    pool.close();
    pool.join(); // what was begun is done
    CHECK(board.get() == 3000);
}

TEST_CASE("a callback gets the result before it is ready, an error callback the exception") {
    mp::Pool pool(2);
    std::mutex mutex;
    std::vector<std::string> calls;
    auto const note = [&](std::string text) {
        std::scoped_lock const guard(mutex);
        calls.push_back(std::move(text));
    };
    auto const good = pool.apply_async(
        square,
        std::tuple(4),
        {},
        {.callback = [&](int x) { note(std::to_string(x)); },
         .error_callback = [&](std::exception_ptr const&) { note("wrong"); }});
    CHECK(good.get() == 16);
    CHECK(calls == std::vector<std::string>{"16"});
    auto const bad = pool.map_async(
        fail_at_three,
        up_to(5),
        {},
        {.callback = [&](std::vector<int> const&) { note("wrong"); },
         .error_callback =
             [&](std::exception_ptr const& error) {
                 try {
                     std::rethrow_exception(error);
                 } catch (std::out_of_range const& e) {
                     note(e.what());
                 }
             }});
    bad.wait();
    CHECK(calls == std::vector<std::string>{"16", "item 3"});
    auto const nothing =
        pool.map_async(square, std::vector<int>(), {}, {.callback = [&](auto const&) { note("wrong"); }});
    CHECK(nothing.ready());
    CHECK(calls.size() == 2);
}

TEST_CASE("callbacks come while nobody waits, and before join returns") {
    mp::Pool pool(2);
    std::atomic<int> sum = 0;
    for (int i = 0; i < 100; ++i) {
        static_cast<void>(pool.apply_async(square, std::tuple(i), {}, {.callback = [&](int x) { sum += x; }}));
    }
    pool.close();
    pool.join();
    CHECK(sum == 328350);
}

TEST_CASE("a callback that throws harms nothing") {
    mp::Pool pool(1);
    auto const result = pool.apply_async(
        square, std::tuple(2), {}, {.callback = [](int) { throw std::runtime_error("thrown on purpose"); }});
    CHECK(result.get() == 4);
    CHECK(pool.apply(square, 3) == 9);
}

TEST_CASE("a callback may use the pool, and end it") {
    std::optional<mp::Pool> pool(1);
    std::atomic<int> second = 0;
    auto const result = pool->apply_async(square, std::tuple(3), {}, {.callback = [&](int x) {
                                              second = pool->apply(square, x);
                                              pool->terminate();
                                              pool->join();
                                          }});
    CHECK(result.get() == 9);
    CHECK(second == 81);
    CHECK_THROWS_AS(pool->apply(square, 1), mp::ValueError);
}

TEST_CASE("a pool that is terminated completes what is not finished with an error") {
    auto const board = Board::make();
    std::vector<mp::AsyncResult<int>> results;
    std::atomic<int> told = 0;
    {
        mp::Pool pool(1);
        for (int i = 0; i < 3; ++i) {
            results.push_back(pool.apply_async(
                wait_for_start, std::tuple(board, i), {}, {.error_callback = [&](std::exception_ptr const&) {
                    ++told;
                }}));
        }
        REQUIRE(board.await(1, 1));
        pool.terminate();
        for (auto const& each : results) CHECK_THROWS_AS(each.get(), mp::ProcessError);
    }
    CHECK(told == 3);
    for (auto const& each : results) CHECK_THROWS_AS(each.get(), mp::ProcessError); // also without the pool
}

TEST_CASE("one thread waits while another one terminates") {
    mp::Pool pool(1);
    auto const board = Board::make();
    auto const result = pool.apply_async(wait_for_start, board, 1);
    REQUIRE(board.await(1, 1));
    std::thread other([&] { pool.terminate(); });
    CHECK_THROWS_AS(result.get(), mp::ProcessError);
    other.join();
    pool.join();
}

TEST_CASE("after close nothing new is begun, and what was begun is finished") {
    mp::Pool pool(2);
    auto const result = pool.map_async(square, up_to(1000), {.chunksize = 10});
    CHECK_THROWS_AS(pool.join(), mp::ValueError);
    pool.close();
    CHECK_THROWS_AS(pool.apply_async(square, 1), mp::ValueError);
    CHECK_THROWS_AS(pool.map_async(square, up_to(3)), mp::ValueError);
    CHECK_THROWS_AS(pool.imap(square, up_to(3)), mp::ValueError);
    pool.join();
    CHECK(result.get()[999] == 999 * 999);
}

TEST_CASE("lambdas with captures run later, in workers that have what they refer to") {
    if (mp::get_start_method() != mp::StartMethod::fork) return; // elsewhere they cannot travel
    mp::Pool pool(2);
    std::vector<std::string> const names{"zero", "one", "two"};
    auto const result = pool.map_async([&](int i) { return names[static_cast<std::size_t>(i)]; }, up_to(3));
    CHECK(result.get() == names);
    std::vector<mp::AsyncResult<std::string>> many;
    for (int i = 0; i < 3; ++i)
        many.push_back(pool.apply_async([&names, i] { return names[static_cast<std::size_t>(i)]; }));
    for (int i = 0; i < 3; ++i) CHECK(many[static_cast<std::size_t>(i)].get() == names[static_cast<std::size_t>(i)]);
    auto const forgotten = pool.map_async([&](int i) { return names[static_cast<std::size_t>(i)]; }, up_to(3));
    pool.close();
    pool.join();
    CHECK(forgotten.get() == names);
}

TEST_CASE("what a function or an item refers to lives as long as its call") {
    mp::Pool pool(1);
    auto const gate = Board::make();
    auto const first = pool.apply_async(wait_for_start, gate, 1);
    REQUIRE(gate.await(1, 1));
    // Nobody but these calls has their boards, and the worker reads them only when others have been made.
    auto const by_function = pool.apply_async(counter{Board::make()}, 1);
    auto const by_item = pool.map_async(count_on, std::vector<Board>{Board::make(), Board::make()});
    auto stream = pool.imap(counter{Board::make()}, up_to(2));
    CHECK_THROWS_AS(stream.next(0s), mp::TimeoutError); // it has begun
    std::vector<Board> others;
    for (int i = 0; i < 10; ++i) others.push_back(Board::make());
    gate.set(1);
    CHECK(first.get() == 1);
    by_function.get();
    by_item.get();
    while (stream.next()) {
    }
    for (auto const& each : others) CHECK(each.get() == 0);
}

TEST_CASE("a result is its maker's") {
    if (mp::get_start_method() != mp::StartMethod::fork) return; // nobody else could have it
    mp::Pool pool(1);
    auto const board = Board::make();
    auto result = pool.apply_async(wait_for_start, board, 3);
    mp::Process child([&] {
        try {
            result.get();
        } catch (mp::AssertionError const&) {
            board.add(1, 2);
        }
        try {
            result.cancel();
        } catch (mp::AssertionError const&) {
            board.add(1, 2);
        }
    });
    child.start();
    child.join();
    CHECK(board.get(2) == 2);
    board.set(1);
    CHECK(result.get() == 3);
}

TEST_CASE("many threads use one pool") {
    mp::Pool pool(2);
    std::atomic<int> right = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 50; ++i) {
                if (pool.apply_async(square, i + t).get() == (i + t) * (i + t)) ++right;
                if (pool.map(square, {i, t})[0] == i * i) ++right;
            }
        });
    }
    for (auto& thread : threads) thread.join();
    CHECK(right == 400);
}
