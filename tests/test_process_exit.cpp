// runs per start method
#include <multiprocessing/process.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"
#include "support/hidden_case.hpp"

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>

namespace mp = multiprocessing;
using multiprocessing_test::Board;
using multiprocessing_test::count_of;
using multiprocessing_test::run_hidden_case;

namespace {

void leave_by_exit(int code) { mp::exit(code); }
void leave_at_once(int code) { std::_Exit(code); }
void leave_by_abort() { std::abort(); }

template <class... Args>
int exitcode_of(Args&&... args) {
    mp::Process process(std::forward<Args>(args)...);
    process.start();
    process.join();
    return process.exitcode().value();
}

} // namespace

TEST_CASE("exit codes") {
    CHECK(exitcode_of(leave_by_exit, 0) == 0);
    CHECK(exitcode_of(leave_by_exit, 8) == 8);
    CHECK(exitcode_of(leave_at_once, 5) == 5);
    CHECK(exitcode_of([] { mp::exit(); }) == 0);
}

TEST_CASE("the system keeps the low eight bits of an exit code") {
    if (!mp::platform::has_fork) return; // Windows keeps all
    CHECK(exitcode_of(leave_by_exit, 256) == 0);
    CHECK(exitcode_of(leave_by_exit, 300) == 44);
    CHECK(exitcode_of(leave_by_exit, -1) == 255);
}

TEST_CASE("a child that aborts tells which signal it was") {
    if (!mp::platform::has_fork) return;
    CHECK(exitcode_of(leave_by_abort) == -6);
}

namespace {

struct Unwound {
    Board board;
    ~Unwound() { board.set(1); }
};

void leave_with_objects(Board board) {
    Unwound const object{std::move(board)};
    try {
        mp::exit(3);
    } catch (std::exception const&) {
    } // an exit is no error
}

} // namespace

TEST_CASE("exit unwinds the stack of a child") {
    Board const board = Board::make();
    CHECK(exitcode_of(leave_with_objects, board) == 3);
    CHECK(board.get() == 1);
}

// ---- what a child prints when it fails

namespace {

void fail() { throw std::out_of_range("no such thing"); }
void fail_strangely() { throw 42; }
void fail_nested() {
    try {
        throw std::runtime_error("inner reason");
    } catch (...) {
        std::throw_with_nested(std::logic_error("outer reason"));
    }
}

} // namespace

TEST_CASE("child: fails", "[.]") {
    CHECK(exitcode_of(mp::ProcessOptions{.name = "Unlucky"}, fail) == 1);
    CHECK(exitcode_of(mp::ProcessOptions{.name = "Strange"}, fail_strangely) == 1);
    CHECK(exitcode_of(mp::ProcessOptions{.name = "Nested"}, fail_nested) == 1);
}

TEST_CASE("an exception ends a child with 1 and is reported on standard error") {
    auto const child = run_hidden_case("child: fails");
    INFO(child.output << child.errors);
    CHECK(child.exitcode == 0);
    CHECK(count_of("Process Unlucky:\nstd::out_of_range: no such thing\n", child.errors) == 1);
    CHECK(count_of("Process Strange:\n", child.errors) == 1);
    CHECK(count_of("Process Nested:\nstd::logic_error: outer reason\n", child.errors) == 1);
    CHECK(count_of("std::runtime_error: inner reason", child.errors) == 1);
}

TEST_CASE("child: exits with a message", "[.]") {
    CHECK(exitcode_of([] { mp::exit("that is all"); }) == 1);
}

TEST_CASE("exit with a message prints it and ends with 1") {
    auto const child = run_hidden_case("child: exits with a message");
    CHECK(child.exitcode == 0);
    CHECK(child.errors == "that is all\n");
}

// ---- what is printed, is printed once

namespace {

void print_more() {
    std::printf("child-printf ");
    std::cout << "child-cout ";
    std::fprintf(stderr, "child-stderr ");
}

} // namespace

TEST_CASE("child: prints", "[.]") {
    std::printf("parent-printf ");
    std::cout << "parent-cout ";
    for (int i = 0; i < 2; ++i) CHECK(exitcode_of(print_more) == 0);
    CHECK(exitcode_of([] {
              std::printf("failing-printf ");
              fail();
          }) == 1);
    CHECK(exitcode_of([] {
              std::printf("exiting-printf ");
              mp::exit(4);
          }) == 4);
    std::printf("parent-end\n");
}

TEST_CASE("output appears exactly once, whoever has written it and however it ends") {
    auto const child = run_hidden_case("child: prints");
    INFO(child.output << child.errors);
    CHECK(child.exitcode == 0);
    CHECK(count_of("parent-printf ", child.output) == 1);
    CHECK(count_of("parent-cout ", child.output) == 1);
    CHECK(count_of("child-printf ", child.output) == 2);
    CHECK(count_of("child-cout ", child.output) == 2);
    CHECK(count_of("child-stderr ", child.errors) == 2);
    CHECK(count_of("failing-printf ", child.output) == 1);
    CHECK(count_of("exiting-printf ", child.output) == 1);
    CHECK(count_of("parent-end", child.output) == 1);
}

namespace {

void write_file(std::string const& path) {
    std::FILE* const file = std::fopen(path.c_str(), "w");
    std::fputs("not written out yet", file);
}

} // namespace

TEST_CASE("what a child has written to a file is in the file, although nobody has closed it") {
    std::string const path = multiprocessing_test::temporary_file("written");
    CHECK(exitcode_of(write_file, path) == 0);
    CHECK(multiprocessing_test::contents_of(path) == "not written out yet");
    std::remove(path.c_str());
}

// ---- the end of the parent

namespace {

void wait_for_ever(Board board) {
    board.add(1, 0);
    board.await_stop(7);
}

void finish_later(Board board) {
    board.await(1, 1);
    std::printf("the child has ended\n");
}

void let_finish(Board board) {
    std::printf("the parent ends\n");
    std::fflush(stdout);
    board.set(1, 1);
}

} // namespace

TEST_CASE("child: leaves children behind", "[.]") {
    Board const board = Board::make();
    static mp::Process daemon({.daemon = true}, wait_for_ever, board); // destroyed after main
    static mp::Process worker(finish_later, board);
    daemon.start();
    worker.start();
    REQUIRE(board.await(1));
    let_finish(board);
    std::exit(6);
}

TEST_CASE("at its end a process terminates daemons and waits for other children") {
    auto const child = run_hidden_case("child: leaves children behind");
    INFO(child.output << child.errors);
    CHECK(child.exitcode == 6);
    CHECK(child.output == "the parent ends\nthe child has ended\n");
    CHECK(child.errors.empty());
}

TEST_CASE("child: has a handler from before it had children", "[.]") {
    Board const board = Board::make();
    mp::at_exit([board] { let_finish(board); });
    auto& worker = *new mp::Process(finish_later, board); // never destroyed
    worker.start();
    mp::exit(0);
}

TEST_CASE("children are waited for after the exit functions") {
    auto const child = run_hidden_case("child: has a handler from before it had children");
    INFO(child.output << child.errors);
    CHECK(child.exitcode == 0);
    CHECK(child.output == "the parent ends\nthe child has ended\n");
    CHECK(child.errors.empty());
}

namespace {

void have_children(Board board) {
    auto& daemon = *new mp::Process({.daemon = true}, wait_for_ever, board);
    auto& worker = *new mp::Process(
        [](Board const& shared) {
            shared.await(1, 1);
            shared.set(1, 2);
        },
        board);
    daemon.start();
    worker.start();
    board.set(*daemon.pid(), 3);
    board.await(1, 0);
    board.set(1, 1);
    mp::exit(2);
}

} // namespace

TEST_CASE("a child ends with its own children as well") {
    Board const board = Board::make();
    CHECK(exitcode_of(have_children, board) == 2);
    CHECK(board.get(2) == 1); // the grandchild that is no daemon was waited for
}

// ---- exit functions

namespace {

void register_exit_functions(Board board) {
    mp::at_exit([board] { board.write(board.text() + "first "); });
    mp::at_exit([] { throw std::runtime_error("from an exit function"); });
    mp::at_exit([board] {
        board.write(board.text() + "second ");
        mp::at_exit([board] { board.write(board.text() + "nested "); });
    });
}

} // namespace

TEST_CASE("child: has exit functions", "[.]") {
    mp::at_exit([] { std::printf("parent "); });
    Board const board = Board::make();
    CHECK(exitcode_of(register_exit_functions, board) == 0);
    std::printf("[%s] ", board.text().c_str());
    board.write("");
    CHECK(
        exitcode_of(
            [](Board const& shared) {
                register_exit_functions(shared);
                mp::exit(9);
            },
            board) == 9);
    std::printf("[%s] ", board.text().c_str());
    board.write("");
    CHECK(
        exitcode_of(
            [](Board const& shared) {
                register_exit_functions(shared);
                fail();
            },
            board) == 1);
    std::printf("[%s] ", board.text().c_str());
}

TEST_CASE("exit functions of a child run at its end, last first, and those of its parent do not") {
    auto const child = run_hidden_case("child: has exit functions");
    INFO(child.output << child.errors);
    CHECK(child.exitcode == 0);
    CHECK(count_of("[second nested first ]", child.output) == 3);
    CHECK(count_of("parent ", child.output) == 1);
    CHECK(count_of("at_exit threw: from an exit function", child.errors) == 3);
}

TEST_CASE("an exit function that nobody runs: a child that is killed") {
    Board const board = Board::make();
    mp::Process process(
        [](Board const& shared) {
            mp::at_exit([shared] { shared.set(1, 5); });
            wait_for_ever(shared);
        },
        board);
    process.start();
    REQUIRE(board.await(1));
    process.terminate();
    process.join();
    CHECK(board.get(5) == 0);
}

// ---- threads of a child

TEST_CASE("a child that has joined its threads ends normally") {
    Board const board = Board::make();
    CHECK(exitcode_of([](Board const& shared) { std::thread([shared] { shared.set(1); }).join(); }, board) == 0);
    CHECK(board.get() == 1);
}
