// runs per start method
#include <multiprocessing/futures.hpp>
#include <multiprocessing/queues.hpp>
#include <multiprocessing/synchronize.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"
#include "support/hidden_case.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace mp = multiprocessing;
namespace futures = mp::futures;
using futures::Future;
using futures::ProcessPoolExecutor;
using futures::ThreadPoolExecutor;
using multiprocessing_test::Board;
using namespace std::chrono_literals;

// One suite for both worlds. What only one of them has comes at the end.

namespace {

long power(long base, int exponent) {
    long result = 1;
    for (int i = 0; i < exponent; ++i) result *= base;
    return result;
}
long inverse(long x) {
    if (x == 0) throw std::domain_error("division by zero");
    return 100 / x;
}
std::string twice(std::string const& text) { return text + text; }
std::unique_ptr<int> boxed(int x) { return std::make_unique<int>(x); }
void count(Board board, int place) { board.add(1, static_cast<std::size_t>(place)); }
/// Says that it runs, and goes on when it may.
int pass(Board board, int x) {
    board.add(1, 0);
    board.await(1, 1);
    return x;
}
int pass_if_zero(Board board, int x) { return x == 0 ? pass(board, x) : x; }
void fail_to_begin() { throw std::domain_error("not today"); }
void begin(Board board) { board.add(1, 2); }

std::vector<long> up_to(long n) {
    std::vector<long> all(static_cast<std::size_t>(n));
    std::iota(all.begin(), all.end(), 0L);
    return all;
}

std::vector<int> exponents_up_to(int n) {
    std::vector<int> all(static_cast<std::size_t>(n));
    std::iota(all.begin(), all.end(), 0);
    return all;
}

/// 0, 1, 2…; counts how far it has been read.
struct Endless {
    struct iterator {
        using value_type = long;
        using difference_type = std::ptrdiff_t;
        int* read = nullptr;
        long operator*() const { return *read; }
        iterator& operator++() {
            ++*read;
            return *this;
        }
        void operator++(int) { ++*read; }
        bool operator==(std::default_sentinel_t) const { return false; }
    };
    int* read;
    iterator begin() const { return {read}; }
    std::default_sentinel_t end() const { return {}; }
};

template <class R>
std::vector<R> all_of(futures::MapResults<R> results) {
    std::vector<R> all;
    for (auto const& one : results) all.push_back(one);
    return all;
}

} // namespace

TEMPLATE_TEST_CASE("executor: submit", "", ThreadPoolExecutor, ProcessPoolExecutor) {
    TestType executor(2);
    CHECK(executor.max_workers() == 2);
    auto const future = executor.submit(power, 2, 8);
    CHECK(future.result() == 256);
    CHECK(future.result() == 256);
    CHECK(future.exception() == nullptr);
    CHECK(future.done());
    CHECK_FALSE(future.running());
    CHECK(executor.submit(twice, "ab").result() == "abab");
    CHECK(*executor.submit(boxed, 3).result() == 3);
    CHECK(executor.submit([](int x) { return x + 1; }, 1).result() == 2);
    CHECK_THROWS_AS(executor.submit(inverse, 0).result(), std::domain_error);
    Board const board = Board::make();
    executor.submit(count, board, 0).result();
    CHECK(board.get() == 1);
    CHECK_FALSE(executor.broken());
}

TEMPLATE_TEST_CASE("executor: wrong numbers are refused", "", ThreadPoolExecutor, ProcessPoolExecutor) {
    CHECK_THROWS_AS(TestType(0), mp::ValueError);
    CHECK_THROWS_AS(TestType(-1), mp::ValueError);
    TestType executor(1);
    CHECK_THROWS_AS(executor.map(inverse, {.chunksize = 0}, up_to(3)), mp::ValueError);
    CHECK_THROWS_AS(executor.map(inverse, {.chunksize = -1}, up_to(3)), mp::ValueError);
    CHECK_THROWS_AS(executor.map(inverse, {.buffersize = 0}, up_to(3)), mp::ValueError);
    TestType by_default;
    CHECK(by_default.max_workers() >= 1);
}

TEMPLATE_TEST_CASE("executor: map", "", ThreadPoolExecutor, ProcessPoolExecutor) {
    TestType executor(3);
    std::vector<long> powers;
    for (long i = 0; i < 10; ++i) powers.push_back(power(i, static_cast<int>(i)));
    CHECK(all_of(executor.map(power, up_to(10), exponents_up_to(20))) == powers);
    CHECK(all_of(executor.map(power, {.chunksize = 3}, up_to(10), exponents_up_to(20))) == powers);
    std::vector<long> fourth = up_to(40);
    for (auto& x : fourth) x = x * x * x * x;
    std::vector<int> const exponents(40, 4);
    for (long const size : {6L, 40L, 50L}) {
        CHECK(all_of(executor.map(power, {.chunksize = size}, up_to(40), exponents)) == fourth);
        CHECK(all_of(executor.map(power, {.chunksize = size, .buffersize = 10}, up_to(40), exponents)) == fourth);
    }
    CHECK(all_of(executor.map(twice, std::vector<std::string>{"a"})) == std::vector<std::string>{"aa"});
    CHECK(all_of(executor.map(inverse, std::vector<int>())).empty());
    Board const board = Board::make();
    auto counted = executor.map(count, std::vector<Board>(3, board), std::vector{0, 1, 2});
    int results = 0;
    while (counted.next()) ++results;
    CHECK(results == 3);
    CHECK(board.get(2) == 1);
}

TEMPLATE_TEST_CASE("executor: map ends at an exception", "", ThreadPoolExecutor, ProcessPoolExecutor) {
    TestType executor(2);
    auto results = executor.map(inverse, std::vector<long>{100, 50, 0, 25});
    CHECK(results.next() == 1);
    CHECK(results.next() == 2);
    CHECK_THROWS_AS(results.next(), std::domain_error);
    CHECK(results.next() == std::nullopt);
}

TEMPLATE_TEST_CASE("executor: map, and what does not come in time", "", ThreadPoolExecutor, ProcessPoolExecutor) {
    Board const board = Board::make();
    TestType executor(1);
    std::vector<Board> const boards(4, board);
    auto results = executor.map(pass_if_zero, {.timeout = 1ms}, boards, std::vector{1, 0, 2, 3});
    REQUIRE(board.await(1)); // the second one has begun, so the first is there
    CHECK(results.next() == 1);
    CHECK_THROWS_AS(results.next(), mp::TimeoutError);
    CHECK(results.next() == std::nullopt);
    board.set(1, 1);
    CHECK(executor.submit(power, 1, 1).result() == 1);
}

TEMPLATE_TEST_CASE("executor: map reads all, or a few items ahead", "", ThreadPoolExecutor, ProcessPoolExecutor) {
    Board const board = Board::make();
    {
        TestType executor(2);
        auto const never_taken = executor.map(count, std::vector<Board>(5, board), std::vector<int>(5, 0));
        CHECK(board.await(5));
    }
    int read = 0;
    TestType executor(2);
    auto results = executor.map([](long x) { return -x; }, {.buffersize = 4}, Endless{&read});
    for (long i = 0; i < 10; ++i) CHECK(results.next() == -i);
    CHECK(read <= 14);
}

TEMPLATE_TEST_CASE("executor: nothing after shutdown", "", ThreadPoolExecutor, ProcessPoolExecutor) {
    TestType executor(2);
    std::vector<Future<long>> all;
    for (int i = 0; i < 50; ++i) all.push_back(executor.submit(power, i, 2));
    executor.shutdown();
    executor.shutdown();
    CHECK_THROWS_AS(executor.submit(power, 1, 1), mp::RuntimeError);
    CHECK_THROWS_AS(executor.map(inverse, up_to(2)), mp::RuntimeError);
    for (int i = 0; i < 50; ++i) CHECK(all[static_cast<std::size_t>(i)].result(0s) == i * i);
}

TEMPLATE_TEST_CASE("executor: shutdown does not wait, or cancels", "", ThreadPoolExecutor, ProcessPoolExecutor) {
    Board const board = Board::make();
    std::vector<Future<int>> all;
    {
        TestType executor(2);
        for (int i = 0; i < 10; ++i) all.push_back(executor.submit(pass, board, i));
        CHECK(board.await(2));
        CHECK(all[0].running());
        CHECK_FALSE(all[0].cancel());
        CHECK(all[9].cancel());
        executor.shutdown(false);
        CHECK_FALSE(all[0].done());
        CHECK_FALSE(all[5].cancelled());
        executor.shutdown(false, true);
        board.set(1, 1);
    }
    CHECK(all[0].result(0s) == 0);
    CHECK(all[1].result(0s) == 1);
    for (std::size_t i = 2; i < 10; ++i) CHECK(all[i].cancelled());
    CHECK(board.get() == 2);
    CHECK(futures::wait(all, 0s).not_done.empty()); // those that are cancelled have been notified
}

TEMPLATE_TEST_CASE("executor: the end waits for everything", "", ThreadPoolExecutor, ProcessPoolExecutor) {
    Board const board = Board::make();
    {
        TestType executor(2);
        for (int i = 0; i < 20; ++i) executor.submit(count, board, 3);
        executor.submit(inverse, 0).cancel();
    }
    CHECK(board.get(3) == 20);
}

TEMPLATE_TEST_CASE("executor: wait and as_completed", "", ThreadPoolExecutor, ProcessPoolExecutor) {
    Board const board = Board::make();
    TestType executor(2);
    auto const late = executor.submit(pass, board, 1);
    std::vector<Future<int>> all{late, executor.submit([](int x) { return x; }, 2)};
    auto const first = futures::wait(all, {}, futures::FIRST_COMPLETED);
    CHECK(first.not_done == std::vector{late});
    auto completed = futures::as_completed(all);
    CHECK(completed.next()->result() == 2);
    board.set(1, 1);
    CHECK(completed.next()->result() == 1);
    CHECK(completed.next() == std::nullopt);
    std::vector<Future<long>> fails{executor.submit(inverse, 0)};
    CHECK(futures::wait(fails, {}, futures::FIRST_EXCEPTION).done.size() == 1);
}

TEMPLATE_TEST_CASE("executor: callbacks", "", ThreadPoolExecutor, ProcessPoolExecutor) {
    std::vector<long> seen;
    {
        TestType executor(1);
        executor.submit(power, 2, 3).add_done_callback([&](Future<long> const& done) {
            seen.push_back(done.result());
        });
    }
    CHECK(seen == std::vector{8L});
}

TEMPLATE_TEST_CASE("executor: each worker is initialised", "", ThreadPoolExecutor, ProcessPoolExecutor) {
    using options = std::conditional_t<
        std::is_same_v<TestType, ThreadPoolExecutor>,
        futures::ThreadExecutorOptions,
        futures::ProcessExecutorOptions>;
    Board const board = Board::make();
    options two;
    two.max_workers = 2;
    {
        TestType executor(two, begin, board);
        for (int i = 0; i < 4; ++i) executor.submit(pass, board, i);
        CHECK(board.await(2));
        CHECK(board.get(2) == 2);
        board.set(1, 1);
    }
    TestType broken(two, fail_to_begin);
    std::vector<Future<long>> all;
    try {
        for (int i = 0; i < 5; ++i) all.push_back(broken.submit(inverse, 1));
    } catch (futures::BrokenExecutor const&) {
    }
    for (auto const& one : all) CHECK_THROWS_AS(one.result(), futures::BrokenExecutor);
    CHECK(broken.broken());
    CHECK_THROWS_AS(broken.submit(inverse, 1), futures::BrokenExecutor);
    CHECK_THROWS_AS(broken.map(inverse, up_to(2)), futures::BrokenExecutor);
}

TEMPLATE_TEST_CASE("executor: several threads may use it", "", ThreadPoolExecutor, ProcessPoolExecutor) {
    TestType executor(2);
    std::vector<long> sums(3);
    {
        std::vector<std::jthread> users;
        for (std::size_t i = 0; i < sums.size(); ++i) {
            users.emplace_back([&, i] {
                for (int times = 0; times < 20; ++times) sums[i] += executor.submit(power, 2, 1).result();
            });
        }
    }
    CHECK(sums == std::vector{40L, 40L, 40L});
}

// ---- threads only

TEST_CASE("thread executor: threads start when they are needed, and have names") {
    CHECK(ThreadPoolExecutor().max_workers() == static_cast<int>(std::min(32U, mp::process_cpu_count() + 4)));
    Board const board = Board::make();
    ThreadPoolExecutor executor({.max_workers = 3, .thread_name_prefix = "test"});
    CHECK(executor.thread_count() == 0);
    std::vector<Future<int>> all;
    for (int i = 0; i < 10; ++i) all.push_back(executor.submit(pass, board, i));
    CHECK(board.await(3));
    CHECK(executor.thread_count() == 3);
    board.set(1, 1);
    futures::wait(all);
    CHECK(executor.submit([] { return mp::detail::thread_name(); }).result().substr(0, 5) == "test_");
    ThreadPoolExecutor other;
    auto const name = other.submit([] { return mp::detail::thread_name(); }).result();
    CHECK(name.substr(0, 19) == "ThreadPoolExecutor-");
    CHECK(name.substr(name.size() - 2) == "_0");
    CHECK(other.thread_count() == 1);
}

TEST_CASE("thread executor: exceptions as they were thrown, and nothing kept") {
    ThreadPoolExecutor executor(1);
    CHECK_THROWS_AS(executor.submit([] { throw 7; }).result(), int);
    auto const used = std::make_shared<int>(1);
    auto const future = executor.submit([](std::shared_ptr<int> const& x) { return *x; }, used);
    future.result();
    CHECK(used.use_count() == 1);
    auto results = executor.map([](int x) { return std::make_shared<int>(x); }, std::vector{1, 2});
    for (auto const& one : results) CHECK(one.use_count() == 1);
}

TEST_CASE("thread executor: processes are started from its threads") {
    ThreadPoolExecutor executor(2);
    auto const many = [] {
        ProcessPoolExecutor processes(1);
        return processes.submit(power, 2, 5).result();
    };
    auto const one = executor.submit(many);
    auto const two = executor.submit(many);
    CHECK(one.result() + two.result() == 64);
}

// ---- processes only

namespace {

std::int64_t own_pid() { return mp::platform::current_process_id(); }
[[noreturn]] int leave(int code) { mp::exit(code); }
int die(Board board) {
    board.add(1, 0);
    board.await_stop(1);
    return 0;
}

} // namespace

TEST_CASE("process executor: what a worker threw says where it came from") {
    ProcessPoolExecutor executor(1);
    auto const future = executor.submit(inverse, 0);
    try {
        future.result();
        FAIL("no exception");
    } catch (std::domain_error const& error) {
        auto const* const remote = dynamic_cast<mp::RemoteError const*>(&error);
        REQUIRE(remote != nullptr);
        CHECK(remote->pid() == executor.worker_pids()[0]);
        CHECK(remote->message() == "division by zero");
    }
    CHECK(future.to_string().find("state=finished raised std::domain_error>") != std::string::npos);
}

TEST_CASE("process executor: a worker that dies costs its future, and the executor heals") {
    ProcessPoolExecutor executor(2);
    auto const lost = executor.submit(leave, 7);
    try {
        lost.result();
        FAIL("no exception");
    } catch (futures::BrokenProcessPool const& error) {
        auto const* const death = dynamic_cast<mp::WorkerDiedError const*>(&error);
        REQUIRE(death != nullptr);
        CHECK(death->exitcode() == 7);
        CHECK(death->pid() > 0);
        CHECK(death->task_index() == 0);
    }
    CHECK(executor.submit(power, 2, 3).result() == 8);
    CHECK_FALSE(executor.broken());

    Board const board = Board::make();
    auto const killed = executor.submit(die, board);
    auto const others = executor.map(power, up_to(20), std::vector<int>(20, 1));
    REQUIRE(board.await(1));
    for (auto const pid : executor.worker_pids()) {
        std::error_code error;
        mp::platform::kill_process(pid, error);
    }
    CHECK_THROWS_AS(killed.result(), mp::WorkerDiedError);
    CHECK(executor.submit(power, 2, 3).result() == 8);
    CHECK(executor.worker_pids().size() == 2);
}

TEST_CASE("process executor: a death after shutdown") {
    ProcessPoolExecutor executor(2);
    auto const lost = executor.submit(leave, 3);
    auto const fine = executor.submit(power, 2, 4);
    executor.shutdown();
    CHECK_THROWS_AS(lost.result(0s), mp::WorkerDiedError);
    CHECK(fine.result(0s) == 16);
    CHECK(executor.worker_pids().empty());
}

TEST_CASE("process executor: workers may be ended") {
    for (bool const kill : {false, true}) {
        Board const board = Board::make();
        ProcessPoolExecutor executor(1);
        auto const running = executor.submit(die, board);
        auto const queued = executor.submit(power, 2, 1);
        REQUIRE(board.await(1));
        kill ? executor.kill_workers() : executor.terminate_workers();
        CHECK_THROWS_AS(running.result(), futures::BrokenProcessPool);
        CHECK(queued.cancelled());
        CHECK_THROWS_AS(executor.submit(power, 2, 1), mp::RuntimeError);
        kill ? executor.kill_workers() : executor.terminate_workers();
    }
}

TEST_CASE("process executor: workers are replaced after their share") {
    ProcessPoolExecutor executor({.max_workers = 1, .max_tasks_per_child = 3});
    std::vector<std::int64_t> pids;
    for (int i = 0; i < 7; ++i) pids.push_back(executor.submit(own_pid).result());
    CHECK(pids[0] == pids[2]);
    CHECK(pids[2] != pids[3]);
    CHECK(pids[3] == pids[5]);
    CHECK(pids[5] != pids[6]);
    CHECK_THROWS_AS(ProcessPoolExecutor({.max_tasks_per_child = 0}), mp::ValueError);
    std::vector<Future<long>> all;
    {
        ProcessPoolExecutor one_each({.max_workers = 2, .max_tasks_per_child = 1});
        for (int i = 0; i < 10; ++i) all.push_back(one_each.submit(power, i, 1));
    }
    for (int i = 0; i < 10; ++i) CHECK(all[static_cast<std::size_t>(i)].result() == i);
}

TEST_CASE("process executor: never more workers than were asked for") {
    Board const board = Board::make();
    ProcessPoolExecutor executor(2);
    std::vector<Future<int>> all;
    for (int i = 0; i < 10; ++i) all.push_back(executor.submit(pass, board, i));
    CHECK(board.await(2));
    CHECK(executor.worker_pids().size() == 2);
    CHECK(board.get() == 2);
    board.set(1, 1);
    CHECK(futures::wait(all).done.size() == 10);
}
