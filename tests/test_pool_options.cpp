// runs per start method
// not on windows
#include <multiprocessing/context.hpp>
#include <multiprocessing/functional.hpp>
#include <multiprocessing/pool.hpp>
#include <multiprocessing/task.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

#include <chrono>
#include <numeric>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <signal.h>
#include <unistd.h>

namespace mp = multiprocessing;
using multiprocessing_test::Board;
using multiprocessing_test::up_to;
using namespace std::chrono_literals;

namespace {

int same(int x) { return x; }
int odd_ones_fail(int x) {
    if (x % 2 != 0) throw std::out_of_range("odd: " + std::to_string(x));
    return x;
}
std::string text_unless_two(int x) {
    if (x == 2) throw std::domain_error("two");
    return std::to_string(x);
}
void nothing_unless_two(int x) {
    if (x == 2) throw std::domain_error("two");
}
int fail_twice(int x) {
    if (mp::task_attempt() < 3) throw std::runtime_error("attempt " + std::to_string(mp::task_attempt()));
    return x * static_cast<int>(mp::task_attempt());
}
int die_once(int x) {
    if (x == 5 && mp::task_attempt() == 1) ::kill(::getpid(), SIGKILL);
    return x;
}
int always_die(Board board, int x) {
    if (x != 3) return x;
    board.add();
    ::kill(::getpid(), SIGKILL);
    return 0;
}
/// Item 4 never ends, and cannot be ended by SIGTERM.
int hang_at_four(Board board, int x) {
    board.add(1, 2);
    if (x != 4) return x;
    ::signal(SIGTERM, SIG_IGN);
    board.set(::getpid(), 3);
    for (;;) ::pause();
}
int stop_at_four(int x) {
    if (x == 4) ::raise(SIGSTOP);
    return x;
}
int hang_at_first_try(int x) {
    if (x == 4 && mp::task_attempt() == 1) {
        for (;;) ::pause();
    }
    return x;
}
int wait_for_stop(Board board, int x) {
    board.add();
    board.await_stop(1);
    return x;
}
int count_runs(Board board, int x) {
    board.add();
    return x;
}

} // namespace

TEST_CASE("outcomes are collected instead of thrown") {
    mp::Pool pool(2);
    auto const outcomes = pool.map(odd_ones_fail, up_to(20), {.on_error = mp::collect});
    REQUIRE(outcomes.size() == 20);
    for (std::size_t i = 0; i < 20; ++i) {
        REQUIRE(outcomes[i].has_value() == (i % 2 == 0));
        if (outcomes[i]) {
            CHECK(*outcomes[i] == static_cast<int>(i));
        } else {
            CHECK_THROWS_AS(outcomes[i].value(), std::out_of_range);
        }
    }
    auto const texts = pool.map(text_unless_two, {1, 2, 3}, {.on_error = mp::collect});
    CHECK(texts[0].value() == "1");
    CHECK_THROWS_AS(texts[1].value(), std::domain_error);
    CHECK(texts[2].value() == "3");
    auto const nothings = pool.map_async(nothing_unless_two, up_to(4), {.chunksize = 2, .on_error = mp::collect}).get();
    CHECK(nothings[1].has_value());
    CHECK_FALSE(nothings[2].has_value());
    CHECK(pool.map(same, std::vector<int>(), {.on_error = mp::collect}).empty());
}

TEST_CASE("a death is an outcome like another") {
    mp::Pool pool(2);
    auto const board = Board::make();
    auto const outcomes = pool.map(mp::partial(always_die, board), up_to(8), {.on_error = mp::collect});
    for (std::size_t i = 0; i < 8; ++i) CHECK(outcomes[i].has_value() == (i != 3));
    try {
        outcomes[3].value();
    } catch (mp::WorkerDiedError const& error) {
        CHECK(error.task_index() == 3);
        CHECK(error.signal_name() == "SIGKILL");
    }
}

TEST_CASE("items that failed are tried again, and know it") {
    mp::Pool pool(2);
    CHECK(pool.map(fail_twice, up_to(5), {.retries = 2}) == std::vector<int>{0, 3, 6, 9, 12});
    CHECK(pool.map(die_once, up_to(10), {.retries = 1}) == up_to(10));
    CHECK(pool.apply_async(fail_twice, std::tuple(2), {.retries = 4}).get() == 6);
    try {
        pool.map(fail_twice, up_to(5), {.retries = 1});
        FAIL("nothing was thrown");
    } catch (std::runtime_error const& error) {
        CHECK(std::string(error.what()) == "attempt 2"); // the last attempt says why
    }
    std::vector<int> streamed;
    for (int const each : pool.imap(fail_twice, up_to(5), {.retries = 2})) streamed.push_back(each);
    CHECK(streamed == std::vector<int>{0, 3, 6, 9, 12});
}

TEST_CASE("an item that goes on costing workers is given up") {
    mp::Pool pool(2);
    auto const board = Board::make();
    CHECK_THROWS_AS(pool.map(mp::partial(always_die, board), up_to(5), {.retries = 100}), mp::WorkerDiedError);
    CHECK(board.get() == 3);
    try {
        pool.map(mp::partial(always_die, board), up_to(5), {.retries = 100, .quarantine_after = 5});
        FAIL("nothing was thrown");
    } catch (mp::WorkerDiedError const& error) {
        CHECK(error.attempt() == 5);
        CHECK(error.task_index() == 3);
    }
    CHECK(board.get() == 8);
    CHECK(pool.map(same, up_to(5)) == up_to(5));
}

TEST_CASE("an item that takes too long costs itself, and no other") {
    mp::Pool pool(2);
    auto const board = Board::make();
    for (std::optional<std::int64_t> const chunksize :
         {std::optional<std::int64_t>(), std::optional<std::int64_t>(8)}) {
        auto const outcomes = pool.map(
            mp::partial(hang_at_four, board),
            up_to(16),
            {.chunksize = chunksize, .timeout = 1s, .on_error = mp::collect});
        for (std::size_t i = 0; i < 16; ++i) CHECK(outcomes[i].has_value() == (i != 4));
        try {
            outcomes[4].value();
        } catch (mp::TaskTimeoutError const& error) {
            CHECK(error.task_index() == 4);
            CHECK(error.pid() == board.get(3));
        }
    }
    CHECK(board.get(2) == 32); // none was run twice
    CHECK(pool.map(same, up_to(5)) == up_to(5));
}

TEST_CASE("a worker that was stopped is out of time, too") {
    mp::Pool pool(2);
    CHECK_THROWS_AS(pool.map(stop_at_four, up_to(8), {.timeout = 200ms}), mp::TaskTimeoutError);
    CHECK_THROWS_AS(pool.apply_async(stop_at_four, std::tuple(4), {.timeout = 200ms}).get(), mp::TimeoutError);
}

TEST_CASE("after its time an item may be tried again") {
    mp::Pool pool(2);
    CHECK(pool.map(hang_at_first_try, up_to(8), {.timeout = 800ms, .retries = 1}) == up_to(8));
    CHECK(pool.map_async(hang_at_first_try, up_to(8), {.timeout = 800ms, .retries = 1}).get() == up_to(8));
    std::vector<int> streamed;
    for (int const each : pool.imap_unordered(hang_at_first_try, up_to(8), {.timeout = 800ms, .retries = 1})) {
        streamed.push_back(each);
    }
    CHECK(std::accumulate(streamed.begin(), streamed.end(), 0) == 28);
}

TEST_CASE("an item out of time is noticed although nobody waits") {
    mp::Pool pool(1);
    auto const board = Board::make();
    auto const late = pool.apply_async(
        hang_at_four, std::tuple(board, 4), {.timeout = 100ms}, {.error_callback = [&](std::exception_ptr const&) {
            board.set(1);
        }});
    REQUIRE(board.await(1));
    CHECK_THROWS_AS(late.get(), mp::TaskTimeoutError);
}

TEST_CASE("items that are quick enough are not touched by a timeout") {
    mp::Pool pool(2);
    CHECK(pool.map(same, up_to(20000), {.timeout = 50s}) == up_to(20000));
    CHECK(pool.worker_pids() == pool.worker_pids());
}

TEST_CASE("a call is cancelled while it runs: the workers that are at it are replaced") {
    mp::Pool pool(2);
    auto const board = Board::make();
    auto running = pool.map_async(mp::partial(wait_for_stop, board), up_to(100), {.chunksize = 1});
    auto behind = pool.apply_async(same, 7);
    REQUIRE(board.await(2));
    CHECK(running.cancel());
    CHECK_FALSE(running.cancel());
    CHECK_THROWS_AS(running.get(), mp::CancelledError);
    CHECK(behind.get() == 7);
    CHECK(board.get() == 2);
    CHECK(pool.map(same, up_to(50)) == up_to(50));
}

TEST_CASE("a call is cancelled before it is begun: nothing of it runs, and nobody is hurt") {
    mp::Pool pool(1);
    auto const board = Board::make();
    auto const pids = pool.worker_pids();
    auto first = pool.apply_async(wait_for_stop, board, 1);
    REQUIRE(board.await(1));
    auto const counted = Board::make();
    auto queued = pool.map_async(mp::partial(count_runs, counted), up_to(10));
    CHECK(queued.cancel());
    board.set(1, 1);
    CHECK(first.get() == 1);
    CHECK_THROWS_AS(queued.get(), mp::CancelledError);
    CHECK(pool.apply(same, 3) == 3);
    CHECK(counted.get() == 0);
    CHECK(pool.worker_pids() == pids);
}

TEST_CASE("cancelling races with the end, and one of both wins") {
    mp::Pool pool(2);
    int cancelled = 0;
    for (int i = 0; i < 300; ++i) {
        auto result = pool.apply_async(same, i);
        if (i % 3 == 0) result.wait();
        bool const won = result.cancel();
        if (won) {
            ++cancelled;
            CHECK_THROWS_AS(result.get(), mp::CancelledError);
        } else {
            CHECK(result.get() == i);
        }
        CHECK(pool.apply(same, i) == i);
    }
    CHECK(cancelled <= 200);
}

TEST_CASE("a request to stop cancels the call") {
    mp::Pool pool(2);
    auto const board = Board::make();
    std::stop_source source;
    std::thread other([&] {
        board.await(2);
        source.request_stop();
    });
    CHECK_THROWS_AS(
        pool.map(mp::partial(wait_for_stop, board), up_to(10), {.stop = source.get_token()}), mp::CancelledError);
    other.join();
    CHECK_THROWS_AS(pool.map(same, up_to(10), {.stop = source.get_token()}), mp::CancelledError); // it was before
    CHECK(pool.map(same, up_to(10)) == up_to(10));
}

TEST_CASE("lambdas with captures have all options as well") {
    if (mp::get_start_method() != mp::StartMethod::fork) return; // elsewhere they cannot travel
    mp::Pool pool(2);
    int const offset = 10;
    auto const flaky = [&](int x) {
        if (x == 2 && mp::task_attempt() == 1) throw std::runtime_error("first");
        if (x == 3 && mp::task_attempt() == 1) ::kill(::getpid(), SIGKILL);
        if (x == 4 && mp::task_attempt() == 1) {
            for (;;) ::pause();
        }
        return x + offset;
    };
    std::vector<int> const expected{10, 11, 12, 13, 14, 15};
    CHECK(pool.map(flaky, up_to(6), {.timeout = 800ms, .retries = 1}) == expected);
    CHECK(pool.map_async(flaky, up_to(6), {.timeout = 800ms, .retries = 1}).get() == expected);
    auto const board = Board::make();
    auto waiting = pool.map_async(
        [&](int x) {
            board.add();
            board.await_stop(1);
            return x + offset;
        },
        up_to(6));
    REQUIRE(board.await(2));
    CHECK(waiting.cancel());
    CHECK_THROWS_AS(waiting.get(), mp::CancelledError);
}

TEST_CASE("options that make no sense") {
    mp::Pool pool(1);
    CHECK_THROWS_AS(pool.map(same, up_to(2), {.chunksize = 0}), mp::ValueError);
    CHECK_THROWS_AS(pool.map(same, up_to(2), {.timeout = 0s}), mp::ValueError);
    CHECK_THROWS_AS(pool.map(same, up_to(2), {.timeout = -1s}), mp::ValueError);
    CHECK_THROWS_AS(pool.map(same, up_to(2), {.retries = -1}), mp::ValueError);
    CHECK_THROWS_AS(pool.map_async(same, up_to(2), {.quarantine_after = 0}), mp::ValueError);
}
