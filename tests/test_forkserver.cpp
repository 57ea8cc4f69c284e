// not on windows
#include <multiprocessing/forkserver.hpp>
#include <multiprocessing/process.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"
#include "support/faults.hpp"
#include "support/hidden_case.hpp"
#include "support/sanitizers.hpp"

#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include <unistd.h>

namespace mp = multiprocessing;
using multiprocessing_test::Board;
using multiprocessing_test::eventually;
using multiprocessing_test::is_gone;
using multiprocessing_test::SignalHandler;

namespace {

mp::ProcessOptions const from_server{.method = mp::StartMethod::forkserver};

void leave(int code) { mp::exit(code); }

void wait_then_leave(Board board, int code) {
    board.add();
    board.await(1, 1);
    mp::exit(code);
}

int exitcode_after(int code) {
    mp::Process process(from_server, leave, code);
    process.start();
    process.join();
    return process.exitcode().value_or(-1000);
}

pid_t server() { return static_cast<pid_t>(mp::detail::fork_server::instance().pid()); }

} // namespace

TEST_CASE("the server is started when it is needed, and serves all") {
    CHECK(server() == 0);
    CHECK(exitcode_after(3) == 3);
    pid_t const first = server();
    CHECK(first > 0);
    CHECK(exitcode_after(4) == 4);
    CHECK(server() == first);
    mp::detail::fork_server::instance().stop();
    CHECK(server() == 0);
    CHECK(eventually([&] { return is_gone(first); }));
    CHECK(exitcode_after(5) == 5);
    CHECK(server() != first);
}

namespace {

void report_parents(Board board) {
    board.set(::getppid(), 0);
    board.set(mp::parent_process()->pid(), 1);
    board.set(mp::parent_process()->is_alive(), 2);
}

} // namespace

TEST_CASE("for the system the server is the parent, for the library it is who asked") {
    Board const board = Board::make();
    mp::Process process(from_server, report_parents, board);
    process.start();
    process.join();
    CHECK(board.get(0) == server());
    CHECK(board.get(1) == ::getpid());
    CHECK(board.get(2) == 1);
}

namespace {

/// A child that runs while its server gets a signal.
void survive(int number, bool replaced) {
    Board const board = Board::make();
    mp::Process process(from_server, wait_then_leave, board, 9);
    process.start();
    REQUIRE(board.await(1));
    pid_t const old = server();
    ::kill(old, number);
    if (replaced) REQUIRE(eventually([&] { return is_gone(old); }));
    CHECK(process.is_alive());
    CHECK(exitcode_after(7) == 7);
    CHECK((server() != old) == replaced);
    CHECK(process.is_alive());
    board.set(1, 1);
    process.join();
    CHECK(process.exitcode() == 9);
    CHECK(mp::active_children().empty());
}

} // namespace

TEST_CASE("a server that is killed is replaced, and its children run on") { survive(SIGKILL, true); }

TEST_CASE("a server that is interrupted goes on") { survive(SIGINT, false); }

TEST_CASE("a child whose server is dead can be killed") {
    Board const board = Board::make();
    mp::Process process(from_server, wait_then_leave, board, 0);
    process.start();
    REQUIRE(board.await(1));
    pid_t const old = server();
    ::kill(old, SIGKILL);
    REQUIRE(eventually([&] { return is_gone(old); }));
    process.kill();
    process.join();
    CHECK(process.exitcode() == 255); // nobody can tell any more
}

TEST_CASE("a child is signalled by its sentinel") {
    Board const board = Board::make();
    mp::Process process(from_server, wait_then_leave, board, 0);
    process.start();
    REQUIRE(board.await(1));
    auto const sentinel = process.sentinel();
    bool ready = true;
    std::error_code error;
    mp::platform::poll({&sentinel, 1}, {&ready, 1}, mp::platform::deadline::min(), error);
    CHECK_FALSE(ready);
    ::kill(server(), SIGKILL); // makes no difference
    board.set(1, 1);
    mp::platform::poll({&sentinel, 1}, {&ready, 1}, mp::platform::never, error);
    CHECK(ready);
    process.join();
}

TEST_CASE("children see interrupts as they would without the server") {
    for (bool const ignored : {false, true}) {
        // The thread sanitizer does not say which signals were ignored before it came.
        if (ignored && multiprocessing_test::with_thread_sanitizer) return;
        SignalHandler const handler(SIGINT, ignored ? SIG_IGN : SIG_DFL);
        Board const board = Board::make();
        mp::Process process(from_server, wait_then_leave, board, 3);
        process.start();
        REQUIRE(board.await(1));
        process.interrupt();
        if (ignored) board.set(1, 1);
        process.join();
        CHECK(process.exitcode().value() == (ignored ? 3 : -SIGINT));
        mp::detail::fork_server::instance().stop();
    }
}

namespace {

int loaded = 0;

void load_something() { ++loaded; }
void print_something() { std::printf("printed by the preload function\n"); } // nothing writes it out yet

void report_loaded(Board board) {
    board.set(loaded);
    board.add(1, 1);
}

} // namespace

TEST_CASE("what the server has loaded is there in every child, and has been loaded once") {
    mp::set_forkserver_preload({load_something, load_something});
    for (int round = 0; round < 2; ++round) {
        Board const board = Board::make();
        mp::Process process(from_server, report_loaded, board);
        process.start();
        process.join();
        CHECK(board.get() == 2);
    }
    CHECK(loaded == 0);
    mp::set_forkserver_preload({});
}

TEST_CASE("child: prints in the server", "[.]") {
    mp::set_forkserver_preload({print_something});
    REQUIRE(exitcode_after(0) == 0);
    REQUIRE(exitcode_after(0) == 0);
}

TEST_CASE("what a preload function prints appears once") {
    auto const child = multiprocessing_test::run_hidden_case("child: prints in the server");
    INFO(child.output << child.errors);
    CHECK(child.exitcode == 0);
    CHECK(multiprocessing_test::count_of("printed by the preload function", child.output) == 1);
    CHECK(child.errors.empty());
}

namespace {

void fail_to_load() { throw std::runtime_error("cannot load"); }

} // namespace

TEST_CASE("child: a preload function throws", "[.]") {
    mp::set_forkserver_preload({fail_to_load, load_something});
    Board const board = Board::make();
    mp::Process process(from_server, report_loaded, board);
    process.start();
    process.join();
    REQUIRE(process.exitcode() == 0);
    REQUIRE(board.get() == 1);
}

TEST_CASE("a preload function that throws is reported, and the server serves") {
    auto const child = multiprocessing_test::run_hidden_case("child: a preload function throws");
    INFO(child.output << child.errors);
    CHECK(child.exitcode == 0);
    CHECK(multiprocessing_test::count_of("cannot load", child.errors) == 1);
}

namespace {

Board preloaded_board;

void make_shared_object() { preloaded_board = Board::make(); }
void use_shared_object(Board board) {
    preloaded_board.add(5);
    board.set(preloaded_board.get());
}

} // namespace

TEST_CASE("a shared object that the server has made works in its children") {
    mp::set_forkserver_preload({make_shared_object});
    Board const board = Board::make();
    for (int round = 1; round <= 2; ++round) {
        mp::Process process(from_server, use_shared_object, board);
        process.start();
        process.join();
        REQUIRE(process.exitcode() == 0);
        CHECK(board.get() == 5 * round);
    }
    mp::set_forkserver_preload({});
}

namespace {

void start_own_child(Board board) {
    mp::Process process(from_server, leave, 6);
    process.start();
    process.join();
    board.set(process.exitcode().value());
    // A fork of this process, too, may ask the server.
    mp::Process forked({.method = mp::StartMethod::fork}, [board] { board.set(exitcode_after(8), 1); });
    forked.start();
    forked.join();
}

} // namespace

TEST_CASE("children of the server, and forked children, may use a server") {
    Board const board = Board::make();
    mp::Process process(from_server, start_own_child, board);
    process.start();
    process.join();
    CHECK(process.exitcode() == 0);
    CHECK(board.get(0) == 6);
    CHECK(board.get(1) == 8);
}

TEST_CASE("several threads may ask the server at the same time") {
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&wrong, thread] {
            for (int i = 0; i < 5; ++i) {
                if (exitcode_after(10 * thread + i) != 10 * thread + i) ++wrong;
            }
        });
    }
    for (auto& thread : threads) thread.join();
    CHECK(wrong == 0);
}
