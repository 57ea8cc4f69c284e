// runs per start method
#include <multiprocessing/pool.hpp>
#include <multiprocessing/task.hpp>
#include <multiprocessing/thread_pool.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <list>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace mp = multiprocessing;
using multiprocessing_test::Board;
using namespace std::chrono_literals;

// What pools of processes and of threads have in common: one suite for both.

namespace {

long square(long x) { return x * x; }
std::string twice(std::string const& text) { return text + text; }
double power(double base, int exponent) {
    double result = 1;
    for (int i = 0; i < exponent; ++i) result *= base;
    return result;
}
long odd_only(long x) {
    if (x % 2 == 0) throw std::domain_error(std::to_string(x));
    return x;
}
void count(Board board) { board.add(1, 2); }
int third_time(int x) {
    if (mp::task_attempt() < 3) throw std::runtime_error("attempt " + std::to_string(mp::task_attempt()));
    return x + static_cast<int>(*mp::task_index());
}
/// Says that it runs, and goes on when it may.
int pass(Board board, int x) {
    board.add();
    board.await(1, 1);
    return x;
}
void begin(Board board) { board.add(1, 3); }
void fail_to_begin() { throw std::domain_error("not today"); }

std::vector<long> up_to(long n) {
    std::vector<long> all(static_cast<std::size_t>(n));
    std::iota(all.begin(), all.end(), 0L);
    return all;
}
std::vector<long> squares_up_to(long n) {
    auto all = up_to(n);
    for (auto& x : all) x *= x;
    return all;
}

template <class Results>
std::vector<long> all_of(Results results) {
    std::vector<long> all;
    for (long const x : results) all.push_back(x);
    return all;
}

template <class Pool>
using options_of = std::conditional_t<std::is_same_v<Pool, mp::ThreadPool>, mp::ThreadPoolOptions, mp::PoolOptions>;

} // namespace

TEMPLATE_TEST_CASE("pools: map, starmap, apply", "", mp::Pool, mp::ThreadPool) {
    TestType pool(3);
    CHECK(pool.map(square, up_to(100)) == squares_up_to(100));
    CHECK(pool.map(square, up_to(100), 7) == squares_up_to(100));
    CHECK(pool.map(square, std::list<int>{2, 3}, {.chunksize = 1000}) == std::vector<long>{4, 9});
    CHECK(pool.map(twice, {"a", "b"}) == std::vector<std::string>{"aa", "bb"});
    CHECK(pool.map(square, std::vector<int>()).empty());
    CHECK(pool.starmap(power, {std::pair(2, 3), std::pair(3, 2)}) == std::vector<double>{8, 9});
    CHECK(pool.apply(power, 2, 5) == 32);
    CHECK(pool.apply(twice, "x") == "xx");
    Board const board = Board::make();
    pool.map(count, std::vector<Board>(5, board));
    CHECK(board.get(2) == 5);
}

TEMPLATE_TEST_CASE("pools: exceptions and outcomes", "", mp::Pool, mp::ThreadPool) {
    TestType pool(2);
    CHECK_THROWS_AS(pool.map(odd_only, up_to(10)), std::domain_error);
    CHECK_THROWS_AS(pool.apply(odd_only, 2), std::domain_error);
    auto const outcomes = pool.map(odd_only, up_to(4), {.on_error = mp::collect});
    REQUIRE(outcomes.size() == 4);
    CHECK(outcomes[3].value() == 3);
    CHECK_THROWS_AS(outcomes[2].value(), std::domain_error);
    auto const later = pool.map_async(odd_only, up_to(4), {.on_error = mp::collect});
    CHECK(later.get()[1].value() == 1);
    CHECK_FALSE(later.get()[0].has_value());
}

TEMPLATE_TEST_CASE("pools: results that come later", "", mp::Pool, mp::ThreadPool) {
    Board const board = Board::make();
    TestType pool(1);
    auto const first = pool.apply_async(pass, board, 7);
    CHECK(board.await(1));
    CHECK_FALSE(first.ready());
    CHECK_THROWS_AS(first.successful(), mp::ValueError);
    CHECK_THROWS_AS(first.get(0s), mp::TimeoutError);
    first.wait(0s);
    auto const second = pool.map_async(square, up_to(3));
    auto const third = pool.starmap_async(power, std::vector<std::pair<int, int>>{{2, 2}});
    auto const bad = pool.apply_async(odd_only, 2);
    board.set(1, 1);
    CHECK(first.get() == 7);
    CHECK(first.get() == 7);
    CHECK(first.successful());
    CHECK(second.get() == squares_up_to(3));
    CHECK(third.get() == std::vector<double>{4});
    CHECK_THROWS_AS(bad.get(), std::domain_error);
    CHECK_THROWS_AS(bad.get(), std::domain_error);
    CHECK_FALSE(bad.successful());
}

TEMPLATE_TEST_CASE("pools: callbacks", "", mp::Pool, mp::ThreadPool) {
    std::vector<std::string> seen;
    TestType pool(1);
    pool.map_async(
            square,
            up_to(3),
            {},
            {.callback = [&](std::vector<long> const& all) { seen.push_back(std::to_string(all.size())); }})
        .wait();
    pool.apply_async(
            odd_only,
            std::tuple(2L),
            {},
            {.error_callback = [&](std::exception_ptr const&) { seen.push_back("error"); }})
        .wait();
    pool.map_async(square, up_to(0), {}, {.callback = [&](auto const&) { seen.push_back("never"); }}).wait();
    CHECK(seen == std::vector<std::string>{"3", "error"});
}

TEMPLATE_TEST_CASE("pools: results one by one", "", mp::Pool, mp::ThreadPool) {
    TestType pool(2);
    auto const numbers = up_to(50);
    CHECK(all_of(pool.imap(square, numbers)) == squares_up_to(50));
    CHECK(all_of(pool.imap(square, numbers, 7)) == squares_up_to(50));
    auto any_order = all_of(pool.imap_unordered(square, numbers));
    std::sort(any_order.begin(), any_order.end());
    CHECK(any_order == squares_up_to(50));
    auto results = pool.imap(odd_only, std::vector<long>{1, 2, 3});
    CHECK(results.next() == 1);
    CHECK_THROWS_AS(results.next(), std::domain_error);
    CHECK(results.next() == 3);
    CHECK(results.next() == std::nullopt);
}

TEMPLATE_TEST_CASE("pools: items are tried again, and know it", "", mp::Pool, mp::ThreadPool) {
    TestType pool(2);
    CHECK(pool.map(third_time, {10, 20}, {.retries = 2}) == std::vector<int>{10, 21});
    CHECK_THROWS_WITH(pool.map(third_time, {1}, {.retries = 1}), "attempt 2");
    std::vector<int> const items{10, 20, 30};
    CHECK(all_of(pool.imap(third_time, items, {.chunksize = 2, .retries = 2})) == std::vector<long>{10, 21, 32});
}

TEMPLATE_TEST_CASE("pools: progress", "", mp::Pool, mp::ThreadPool) {
    std::mutex mutex;
    std::vector<mp::ProgressState> states;
    mp::Progress const progress(
        [&](mp::ProgressState const& state) {
            std::scoped_lock const guard(mutex);
            states.push_back(state);
        },
        {.interval = 0ms});
    auto const check = [&](std::uint64_t total) {
        std::scoped_lock const guard(mutex);
        REQUIRE_FALSE(states.empty());
        for (std::size_t i = 1; i < states.size(); ++i) CHECK(states[i].done >= states[i - 1].done);
        CHECK(states.back().finished);
        CHECK(states.back().done == total);
        CHECK(states.back().total == total);
        states.clear();
    };
    TestType pool(2);
    auto const numbers = up_to(30);
    pool.map(square, numbers, {.progress = progress});
    check(30);
    pool.map_async(square, numbers, {.progress = progress}).wait();
    check(30);
    CHECK(all_of(pool.imap(square, numbers, {.progress = progress})).size() == 30);
    check(30);
}

TEMPLATE_TEST_CASE("pools: calls are given up", "", mp::Pool, mp::ThreadPool) {
    Board const board = Board::make();
    TestType pool(1);
    auto running = pool.apply_async(pass, board, 7);
    CHECK(board.await(1));
    std::stop_source stop;
    auto const stopped = pool.map_async(square, up_to(3), {.stop = stop.get_token()});
    auto queued = pool.apply_async(square, 2);
    CHECK(queued.cancel());
    CHECK_FALSE(queued.cancel());
    CHECK_THROWS_AS(queued.get(), mp::CancelledError);
    stop.request_stop();
    CHECK_THROWS_AS(stopped.get(), mp::CancelledError);
    CHECK(running.cancel());
    CHECK_THROWS_AS(running.get(), mp::CancelledError);
    board.set(1, 1);
    CHECK(pool.apply(square, 3) == 9);
}

TEMPLATE_TEST_CASE("pools: states", "", mp::Pool, mp::ThreadPool) {
    TestType pool(2);
    CHECK(pool.to_string().find(" state=RUN pool_size=2>") != std::string::npos);
    CHECK_THROWS_AS(pool.join(), mp::ValueError);
    auto const result = pool.map_async(square, up_to(100));
    pool.close();
    pool.join();
    CHECK(result.ready());
    CHECK(result.get() == squares_up_to(100));
    CHECK_THROWS_AS(pool.map(square, up_to(2)), mp::ValueError);
    CHECK_THROWS_AS(pool.apply_async(square, 2), mp::ValueError);
    CHECK_THROWS_AS(TestType(0), mp::ValueError);
    CHECK_THROWS_AS(TestType(1).map(square, {1}, {.chunksize = 0}), mp::ValueError);
    CHECK_THROWS_AS(TestType(1).map(square, {1}, {.retries = -1}), mp::ValueError);
}

TEMPLATE_TEST_CASE("pools: what is queued ends with the pool", "", mp::Pool, mp::ThreadPool) {
    Board const board = Board::make();
    TestType pool(1);
    auto const running = pool.apply_async(pass, board, 7);
    CHECK(board.await(1));
    auto const queued = pool.map_async(square, up_to(3));
    pool.terminate();
    CHECK_THROWS_AS(queued.get(), mp::ProcessError);
    board.set(1, 1);
    pool.join();
    CHECK(running.ready());
}

TEMPLATE_TEST_CASE("pools: workers are initialised", "", mp::Pool, mp::ThreadPool) {
    Board const board = Board::make();
    options_of<TestType> two;
    two.processes = 2;
    {
        TestType pool(two, begin, board);
        auto const one = pool.apply_async(pass, board, 1);
        auto const other = pool.apply_async(pass, board, 2);
        CHECK(board.await(2));
        board.set(1, 1);
        CHECK(one.get() + other.get() == 3);
    }
    CHECK(board.get(3) == 2);
    TestType broken(two, fail_to_begin);
    CHECK_THROWS_AS(broken.map(square, up_to(3)), std::domain_error);
}

TEMPLATE_TEST_CASE("pools: several threads use one", "", mp::Pool, mp::ThreadPool) {
    TestType pool(2);
    std::vector<int> right(3);
    {
        std::vector<std::jthread> users;
        for (auto& mine : right) {
            users.emplace_back([&] {
                for (int times = 0; times < 20; ++times) mine += pool.map(square, up_to(5)) == squares_up_to(5);
            });
        }
    }
    CHECK(right == std::vector{20, 20, 20});
}
