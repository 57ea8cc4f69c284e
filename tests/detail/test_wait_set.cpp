// runs per start method
#include <multiprocessing/detail/wait_set.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/queues.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"

#include <chrono>
#include <cstddef>
#include <system_error>
#include <thread>
#include <vector>

namespace mp = multiprocessing;
using mp::detail::wait_set;
using multiprocessing_test::Board;
using multiprocessing_test::patience;
using namespace std::chrono_literals;

namespace {

template <class... Things>
std::vector<bool> wait_for(mp::Timeout timeout, Things const&... things) {
    wait_set set;
    (set.add(things), ...);
    set.wait(timeout.deadline());
    std::vector<bool> ready;
    for (std::size_t i = 0; i < sizeof...(things); ++i) ready.push_back(set.is_ready(i));
    return ready;
}

/// The same for queues, which are added by a reference that may change them.
std::vector<bool> wait_for_queues(mp::Timeout timeout, std::vector<mp::Queue<int>> const& queues) {
    wait_set set;
    for (auto const& queue : queues) set.add(queue_of(queue));
    set.wait(timeout.deadline());
    std::vector<bool> ready;
    for (std::size_t i = 0; i < queues.size(); ++i) ready.push_back(set.is_ready(i));
    return ready;
}

/// Answers from one queue with the other, and looks for what comes by waiting.
void echo(mp::Queue<int> in, mp::Queue<int> out, mp::Queue<int> unused, int times) {
    for (int i = 0; i < times; ++i) {
        if (wait_for_queues(patience, {unused, in}) != std::vector{false, true}) return;
        out.put(in.get());
    }
}

void wait_for_ever(mp::Queue<int> queue, Board board) {
    board.add();
    wait_for_queues({}, {queue});
}

} // namespace

TEST_CASE("nothing, handles only") {
    CHECK(wait_for(1ms).empty());
    std::error_code error;
    auto const pair = mp::platform::make_channel(error);
    mp::detail::unique_handle const first(pair.first);
    mp::detail::unique_handle second(pair.second);
    CHECK(wait_for(1ms, first.get()) == std::vector{false});
    second.reset();
    CHECK(wait_for({}, first.get()) == std::vector{true});
    CHECK_THROWS_AS(wait_for(0s, first.get(), first.get()), mp::ValueError);
    CHECK_THROWS_AS(wait_for(0s, mp::platform::invalid_handle), mp::ValueError);
}

TEST_CASE("queues that hold something are ready, in the order in which they were added") {
    std::vector<mp::Queue<int>> queues(3);
    CHECK(wait_for_queues(0s, queues) == std::vector{false, false, false});
    auto const begin = std::chrono::steady_clock::now();
    CHECK(wait_for_queues(30ms, queues) == std::vector{false, false, false});
    CHECK(std::chrono::steady_clock::now() - begin >= 30ms);
    queues[1].put(1);
    CHECK(wait_for_queues({}, queues) == std::vector{false, true, false});
    queues[2].put(2);
    CHECK(wait_for_queues(-1s, queues) == std::vector{false, true, true});
    queues[1].get();
    CHECK(wait_for_queues({}, queues) == std::vector{false, false, true});
    CHECK_THROWS_AS(wait_for_queues(0s, {queues[0], queues[1], queues[0]}), mp::ValueError);
}

TEST_CASE("a wait for queues ends whenever something is put") {
    constexpr int times = 2000;
    mp::Queue<int> there, back, unused;
    mp::Process process(echo, there, back, unused, times);
    process.start();
    for (int i = 0; i < times; ++i) {
        there.put(i);
        REQUIRE(wait_for_queues(patience, {back, unused}) == std::vector{true, false});
        REQUIRE(back.get() == i);
    }
    process.join();
    CHECK(process.exitcode() == 0);
}

TEST_CASE("whoever puts calls those that sleep") {
    mp::Queue<int> queue, unused;
    auto& bell = mp::detail::arena::instance().bell();
    int calls = 0;
    for (int i = 0; i < 20; ++i) {
        std::thread waiter([&] { wait_for_queues({}, {unused, queue}); });
        while (!bell.someone_waits()) mp::platform::yield();
        queue.put(i);
        calls += bell.someone_waits() ? 0 : 1;
        waiter.join();
        queue.get();
    }
    CHECK(calls > 0); // all of them, unless one has just looked around by himself
}

TEST_CASE("who is killed while it waits leaves the others waking") {
    mp::Queue<int> queue;
    Board const board = Board::make();
    std::vector<mp::Process> sleepers;
    for (int i = 0; i < 3; ++i) {
        sleepers.emplace_back(wait_for_ever, queue, board);
        sleepers.back().start();
    }
    CHECK(board.await(3));
    sleepers[0].kill();
    sleepers[1].kill();
    sleepers[0].join();
    sleepers[1].join();
    queue.put(1);
    sleepers[2].join();
    CHECK(sleepers[2].exitcode() == 0);
    CHECK(wait_for_queues({}, {queue}) == std::vector{true});
}
