// runs per start method
#include <multiprocessing/connection.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/queues.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace mp = multiprocessing;
using multiprocessing_test::Board;
using multiprocessing_test::patience;
using namespace std::chrono_literals;

namespace {

void send_ten(mp::Connection connection, int number) {
    for (int i = 0; i < 10; ++i) connection.send(std::pair(i, number));
    connection.close();
}

/// Receives from all until the last one has ended.
std::set<std::pair<int, int>> collect(std::vector<mp::Connection> readers) {
    std::set<std::pair<int, int>> messages;
    while (!readers.empty()) {
        for (auto& reader : mp::wait(readers)) {
            try {
                messages.insert(reader.recv<std::pair<int, int>>());
            } catch (mp::EOFError const&) {
                std::erase(readers, reader);
                reader.close();
            }
        }
    }
    return messages;
}

std::set<std::pair<int, int>> expected_messages() {
    std::set<std::pair<int, int>> all;
    for (int number = 0; number < 4; ++number) {
        for (int i = 0; i < 10; ++i) all.emplace(i, number);
    }
    return all;
}

} // namespace

TEST_CASE("the messages of several processes are collected as they come") {
    std::vector<mp::Connection> readers;
    std::vector<mp::Process> processes;
    for (int number = 0; number < 4; ++number) {
        auto [reader, writer] = mp::Pipe(false);
        processes.emplace_back(mp::ProcessOptions{.daemon = true}, send_ten, writer, number);
        processes.back().start();
        writer.close();
        readers.push_back(reader);
    }
    CHECK(collect(readers) == expected_messages());
    for (auto& process : processes) process.join();
}

#if !defined(_WIN32)

namespace {

void connect_and_send(mp::Address const& address, int number) { send_ten(mp::Client(address), number); }

} // namespace

TEST_CASE("the messages of several sockets are collected as they come") {
    mp::Listener listener({"localhost", 0});
    std::vector<mp::Process> processes;
    for (int number = 0; number < 4; ++number) {
        processes.emplace_back(mp::ProcessOptions{.daemon = true}, connect_and_send, listener.address(), number);
        processes.back().start();
    }
    std::vector<mp::Connection> readers;
    for (int number = 0; number < 4; ++number) readers.push_back(listener.accept());
    CHECK(collect(readers) == expected_messages());
    for (auto& process : processes) process.join();
}

TEST_CASE("a listener is ready when a client is there") {
    mp::Listener listener;
    auto [reader, writer] = mp::Pipe(false);
    CHECK(mp::wait({listener, reader}, 0s).empty());
    auto const client = mp::Client(listener.address());
    CHECK(mp::wait({listener, reader}, patience) == std::vector<mp::Waitable>{listener});
    auto accepted = listener.accept();
    CHECK(mp::wait({listener, reader, accepted}, 0s).empty());
    auto const handle = listener.fileno();
    listener.close();
    CHECK_THROWS_AS(mp::wait({listener}), mp::OSError);
    CHECK_THROWS_AS(mp::wait({handle}), mp::OSError);
}

#endif

TEST_CASE("wait ends after its timeout, or with what is ready") {
    auto [a, b] = mp::Pipe();
    auto const begin = std::chrono::steady_clock::now();
    CHECK(mp::wait({a, b}, 50ms).empty());
    CHECK(std::chrono::steady_clock::now() - begin >= 50ms);
    b.send(1);
    CHECK(mp::wait({a, b}, patience) == std::vector<mp::Waitable>{a});
    CHECK(mp::wait({a, b}) == std::vector<mp::Waitable>{a});
    a.send(2);
    CHECK(mp::wait({b, a}, -1s) == std::vector<mp::Waitable>{b, a}); // the order of the list
    CHECK(mp::wait(std::vector<mp::Connection>{a, b}, 0s) == std::vector<mp::Connection>{a, b});
    CHECK(mp::wait({}, 1ms).empty());
    a.recv<int>();
    CHECK(mp::wait({a}, -1s).empty());
}

TEST_CASE("the same thing twice, and things that are closed") {
    auto [a, b] = mp::Pipe();
    mp::Connection const copy = a;
    CHECK_THROWS_AS(mp::wait({a, b, copy}, 0s), mp::ValueError);
    CHECK_THROWS_AS(mp::wait({mp::platform::invalid_handle}, 0s), mp::ValueError);
    CHECK_THROWS_AS(mp::wait({a, mp::Connection()}, 0s), mp::OSError);
    b.close();
    CHECK_THROWS_AS(mp::wait({a, b}, 0s), mp::OSError);
    CHECK(mp::wait({a}, 0s).size() == 1); // its stream has ended
}

namespace {

void wait_for_stop(Board board, std::int64_t stop) { board.await(stop); }

} // namespace

TEST_CASE("connections and processes together") {
    auto board = Board::make();
    auto [a, b] = mp::Pipe();
    mp::Process p(wait_for_stop, board, 1);
    p.start();
    mp::Waitable const sentinel = p;
    CHECK(sentinel == mp::Waitable(p.sentinel()));
    CHECK(mp::wait({a, p, b}, 1ms).empty());

    board.set(1);
    CHECK(mp::wait({a, p, b}, patience) == std::vector<mp::Waitable>{p});
    a.send(1);
    CHECK(mp::wait({a, p, b}, patience) == std::vector<mp::Waitable>{p, b});
    b.send(1);
    CHECK(mp::wait({a, p.handle(), b}, patience) == std::vector<mp::Waitable>{a, p, b});
    p.join();

    mp::Process first(wait_for_stop, board, 3), second(wait_for_stop, board, 2);
    first.start();
    second.start();
    std::vector<mp::ProcessHandle> const handles{first.handle(), second.handle()};
    board.set(2);
    auto const ended = mp::wait(handles);
    REQUIRE(ended.size() == 1);
    CHECK(ended[0].pid() == second.pid());
    board.set(3);
    first.join();
    second.join();
}

namespace {

void put_ten(mp::Queue<std::pair<int, int>> queue, int number) {
    for (int i = 0; i < 10; ++i) queue.put({i, number});
}

/// Does one thing after the other, when it is told to.
void use_each(mp::Connection connection, mp::Queue<int> queue, mp::SimpleQueue<int> simple, Board board) {
    board.await(1);
    connection.send(1);
    board.await(2);
    queue.put(1);
    board.await(3);
    simple.put(1);
    board.await(4);
}

} // namespace

TEST_CASE("the items of several queues are collected as they come") {
    std::vector<mp::Queue<std::pair<int, int>>> queues(4);
    std::vector<mp::Process> processes;
    for (int number = 0; number < 4; ++number) {
        processes.emplace_back(put_ten, queues[static_cast<std::size_t>(number)], number);
        processes.back().start();
    }
    std::set<std::pair<int, int>> items;
    while (items.size() < 40) {
        auto const ready = mp::wait(queues, patience);
        REQUIRE_FALSE(ready.empty());
        for (auto queue : ready) items.insert(queue.get_nowait());
    }
    CHECK(items == expected_messages());
    CHECK(mp::wait(queues, 0s).empty());
    for (auto& process : processes) process.join();
}

TEST_CASE("connections, processes and queues together") {
    auto board = Board::make();
    auto ends = mp::Pipe();
    mp::Connection& a = ends.first;
    mp::Queue<int> queue;
    mp::JoinableQueue<int> joinable;
    mp::SimpleQueue<int> simple;
    mp::Process p(use_each, ends.second, queue, simple, board);
    p.start();
    auto const wait = [&](mp::Timeout timeout) { return mp::wait({queue, a, joinable, p, simple}, timeout); };
    auto const begin = std::chrono::steady_clock::now();
    CHECK(wait(30ms).empty());
    CHECK(std::chrono::steady_clock::now() - begin >= 30ms);
    CHECK(wait(0s).empty());

    board.set(1);
    CHECK(wait(patience) == std::vector<mp::Waitable>{a});
    a.recv<int>();
    board.set(2);
    CHECK(wait(patience) == std::vector<mp::Waitable>{queue});
    queue.get();
    board.set(3);
    CHECK(wait({}) == std::vector<mp::Waitable>{simple});
    joinable.put(1);
    CHECK(wait(0s) == std::vector<mp::Waitable>{joinable, simple});
    simple.get();
    joinable.get();
    board.set(4);
    CHECK(wait(patience) == std::vector<mp::Waitable>{p});
    p.join();
}

TEST_CASE("a queue twice, and queues that are closed") {
    auto [a, b] = mp::Pipe();
    mp::Queue<int> queue, other;
    mp::Queue<int> const copy = queue;
    mp::SimpleQueue<int> simple;
    CHECK_THROWS_AS(mp::wait({queue, a, copy}, 0s), mp::ValueError);
    CHECK(mp::Waitable(queue) == mp::Waitable(copy));
    CHECK(mp::Waitable(queue) != mp::Waitable(other));
    CHECK(mp::wait({mp::Waitable(a), other}, 0s).empty());
    other.close();
    CHECK_THROWS_AS(mp::wait({other, a}, 0s), mp::ValueError);
    simple.close();
    CHECK_THROWS_AS(mp::wait({simple}, 0s), mp::OSError);
    a.close();
    CHECK_THROWS_AS(mp::wait({queue, a}, 0s), mp::OSError);
}
