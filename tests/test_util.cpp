// runs per start method
#include <multiprocessing/process.hpp>
#include <multiprocessing/util.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"
#include "support/hidden_case.hpp"

#include <cstdio>
#include <stdexcept>
#include <string>

namespace mp = multiprocessing;
using multiprocessing_test::Board;
using multiprocessing_test::run_hidden_case;

TEST_CASE("SystemExit is no std::exception, so that a handler for errors does not swallow it") {
    STATIC_REQUIRE_FALSE(std::is_base_of_v<std::exception, mp::SystemExit>);
    CHECK(mp::SystemExit(5).code() == 5);
}

// ---- the first process

TEST_CASE("child: exits with a code", "[.]") {
    std::printf("before ");
    mp::exit(23);
}

TEST_CASE("exit in the first process ends the program, and its output is not lost") {
    auto const child = run_hidden_case("child: exits with a code");
    CHECK(child.exitcode == 23);
    CHECK(child.output == "before ");
}

TEST_CASE("child: exits with a message", "[.]") {
    std::printf("before ");
    mp::exit("the reason");
}

TEST_CASE("exit with a message says it on standard error") {
    auto const child = run_hidden_case("child: exits with a message");
    CHECK(child.exitcode == 1);
    CHECK(child.output == "before ");
    CHECK(child.errors == "the reason\n");
}

TEST_CASE("child: registers exit functions", "[.]") {
    mp::at_exit([] { std::printf("first "); });
    mp::at_exit([] { throw std::runtime_error("a reason"); });
    mp::at_exit([] { throw 1; });
    mp::at_exit([] {
        mp::at_exit([] { std::printf("nested "); });
        std::printf("last ");
    });
}

TEST_CASE("exit functions run after main, the last registered first, whatever they throw") {
    auto const child = run_hidden_case("child: registers exit functions");
    CHECK(child.exitcode == 0);
    CHECK(child.output.ends_with("last nested first "));
    CHECK(
        child.errors == "multiprocessing: a function registered with at_exit threw\n"
                        "multiprocessing: a function registered with at_exit threw: a reason\n");
}

// ---- forks

namespace {

void report(Board board) { board.set(1, 1); }

} // namespace

TEST_CASE("functions registered for forks run in every forked child, in their order, before the target") {
    Board const board = Board::make();
    static Board* const shared = new Board(board);
    static std::int64_t const here = mp::platform::current_process_id();
    mp::register_after_fork([] {
        if (*shared->text().c_str() == '\0') shared->write("first ");
        shared->set(mp::platform::current_process_id() != here && shared->get(1) == 0, 0);
    });
    mp::register_after_fork([] { throw std::runtime_error("is reported, which belongs to the test"); });
    mp::register_after_fork([] {
        shared->write(shared->text() + "second ");
        shared->add(1, 2);
    });
    for (int round = 0; round < 2; ++round) {
        board.set(0, 1);
        mp::Process process(report, board);
        process.start();
        process.join();
        CHECK(process.exitcode() == 0);
        CHECK(board.get(1) == 1);
    }
    CHECK(mp::current_process().name() == "MainProcess");
    bool const forked = mp::Process(report, board).start_method() == mp::StartMethod::fork;
    CHECK(board.get(0) == forked);
    CHECK(board.get(2) == (forked ? 2 : 0)); // a fresh program has registered nothing
    CHECK(board.text() == (forked ? "first second second " : ""));
}

namespace {

/// Goes on to the next generation, which registers something as well.
void register_and_go_on(Board board, int generations) {
    mp::at_exit([board] { board.add(1, 0); });
    mp::register_after_fork([board] { board.add(1, 1); });
    if (generations == 0) return;
    mp::Process process(register_and_go_on, board, generations - 1);
    process.start();
    process.join();
    if (process.exitcode() != 0) mp::exit("a descendant failed");
}

} // namespace

TEST_CASE("every generation runs its own exit functions, and no others") {
    Board const board = Board::make();
    mp::Process process({.method = mp::StartMethod::fork}, register_and_go_on, board, 4);
    if (!mp::platform::has_fork) return;
    process.start();
    process.join();
    CHECK(process.exitcode() == 0);
    CHECK(board.get(0) == 5);
}
