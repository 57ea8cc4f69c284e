#include <multiprocessing/context.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <string>
#include <type_traits>
#include <vector>

namespace mp = multiprocessing;
using mp::StartMethod;
using multiprocessing_test::Board;

namespace {

/// Every test case begins and ends without a fixed start method.
struct Unfixed {
    Unfixed() { mp::set_start_method(std::nullopt, true); }
    ~Unfixed() { mp::set_start_method(std::nullopt, true); }
};

void report_method(Board board) {
    auto const method = mp::get_start_method(true);
    board.write(method ? mp::to_string(*method) : "none");
}

} // namespace

TEST_CASE_METHOD(Unfixed, "the start methods of this system, the default first") {
    auto const all = mp::get_all_start_methods();
    CHECK(all.front() == *mp::get_start_method());
    CHECK(std::find(all.begin(), all.end(), StartMethod::spawn) != all.end());
    CHECK(all.size() == (mp::platform::has_fork ? 3 : 1));
#if defined(__linux__)
    CHECK(all == std::vector{StartMethod::fork, StartMethod::spawn, StartMethod::forkserver});
#endif
}

TEST_CASE("start methods have Python's names") {
    CHECK(std::string(mp::to_string(StartMethod::fork)) == "fork");
    CHECK(std::string(mp::to_string(StartMethod::spawn)) == "spawn");
    CHECK(std::string(mp::to_string(StartMethod::forkserver)) == "forkserver");
    for (auto const method : {StartMethod::fork, StartMethod::spawn, StartMethod::forkserver})
        CHECK(mp::start_method_from(mp::to_string(method)) == method);
    CHECK_THROWS_AS(mp::start_method_from("thread"), mp::ValueError);
    CHECK_THROWS_AS(mp::start_method_from(""), mp::ValueError);
}

TEST_CASE_METHOD(Unfixed, "asking for the start method fixes it, unless none is an answer") {
    CHECK(mp::get_start_method(true) == std::nullopt);
    CHECK(mp::get_start_method(true) == std::nullopt);
    CHECK(mp::get_start_method() == mp::get_all_start_methods().front());
    CHECK(mp::get_start_method(true) == mp::get_all_start_methods().front());
    CHECK_THROWS_AS(mp::set_start_method(StartMethod::spawn), mp::RuntimeError);
}

TEST_CASE_METHOD(Unfixed, "the start method can be fixed once, and changed by force") {
    mp::set_start_method("spawn");
    CHECK(mp::get_start_method() == StartMethod::spawn);
    CHECK_THROWS_AS(mp::set_start_method("spawn"), mp::RuntimeError);
    for (auto const method : mp::get_all_start_methods()) {
        mp::set_start_method(method, true);
        CHECK(mp::get_start_method() == method);
        CHECK(mp::Process().start_method() == method);
        CHECK(mp::get_context().get_start_method() == method);
    }
    mp::set_start_method(std::nullopt, true);
    CHECK(mp::get_start_method(true) == std::nullopt);
    mp::set_start_method(std::nullopt); // the default
    CHECK(mp::get_start_method(true) == mp::get_all_start_methods().front());
}

TEST_CASE_METHOD(Unfixed, "an unknown start method is an error and changes nothing") {
    CHECK_THROWS_AS(mp::set_start_method("spoon"), mp::ValueError);
    CHECK_THROWS_AS(mp::get_context("spoon"), mp::ValueError);
    CHECK(mp::get_start_method(true) == std::nullopt);
}

TEST_CASE_METHOD(Unfixed, "the context of the program fixes the start method, others do not") {
    mp::get_context("spawn");
    mp::freeze_support();
    CHECK(mp::get_start_method(true) == std::nullopt);
    CHECK(mp::get_context().get_start_method() == mp::get_all_start_methods().front());
    CHECK(mp::get_start_method(true) == mp::get_all_start_methods().front());
}

TEST_CASE_METHOD(Unfixed, "a context has its start method for ever, and passes it on to its children") {
    for (auto const method : mp::get_all_start_methods()) {
        auto const context = mp::get_context(method);
        CHECK(context.get_start_method() == method);
        CHECK_THROWS_AS(context.set_start_method(StartMethod::spawn), mp::ValueError);
        CHECK_THROWS_AS(context.set_start_method(method, true), mp::ValueError);
        CHECK_THROWS_AS(context.set_start_method(std::nullopt), mp::ValueError);
        Board const board = Board::make();
        auto process = context.Process(report_method, board);
        CHECK(process.start_method() == method);
        process.start();
        process.join();
        CHECK(process.exitcode() == 0);
        CHECK(board.text() == mp::to_string(method));
        CHECK(mp::get_start_method(true) == std::nullopt); // here nothing is fixed by that

        mp::set_start_method(mp::get_all_start_methods().back()); // whatever the program uses otherwise
        auto second = context.Process(report_method, board);
        second.start();
        second.join();
        CHECK(board.text() == mp::to_string(method));
        mp::set_start_method(std::nullopt, true);
    }
}

TEST_CASE_METHOD(Unfixed, "children inherit the start method of the program") {
    for (auto const method : mp::get_all_start_methods()) {
        mp::set_start_method(method, true);
        Board const board = Board::make();
        mp::Process process(report_method, board);
        process.start();
        process.join();
        CHECK(board.text() == mp::to_string(method));
    }
}

TEST_CASE("options in front of the target") {
    auto const context = mp::get_context("spawn");
    auto const process = context.Process({.name = "named", .daemon = true}, report_method, Board::make());
    CHECK(process.name() == "named");
    CHECK(process.daemon());
    CHECK(process.start_method() == StartMethod::spawn);
}

TEST_CASE("contexts that are known at compile time") {
    mp::SpawnContext const context;
    CHECK(context.get_start_method() == StartMethod::spawn);
    Board const board = Board::make();
    auto process = context.Process({.name = "static"}, report_method, board);
    CHECK(process.name() == "static");
    process.start();
    process.join();
    CHECK(process.exitcode() == 0);
    CHECK(board.text() == "spawn");
    CHECK(mp::ForkContext().get_start_method() == StartMethod::fork);
    CHECK(mp::ForkServerContext().Process(report_method, board).start_method() == StartMethod::forkserver);
}

namespace {

void add(Board board) { board.add(); }

void pass_on(Board board, std::vector<StartMethod> methods) {
    add(board);
    for (auto const method : methods) {
        auto process = mp::get_context(method).Process(add, board);
        process.start();
        process.join();
    }
}

} // namespace

TEST_CASE("shared objects go through processes of every start method") {
    auto const all = mp::get_all_start_methods();
    Board const board = Board::make();
    for (auto const method : all) {
        auto process = mp::get_context(method).Process(pass_on, board, all);
        process.start();
        process.join();
        CHECK(process.exitcode() == 0);
    }
    CHECK(board.get() == static_cast<std::int64_t>(all.size() * (1 + all.size())));
}

#if defined(_WIN32)

TEST_CASE("a context of a method that this system has not") {
    CHECK_THROWS_AS(mp::get_context("fork"), mp::ValueError);
    CHECK_THROWS_AS(mp::set_start_method("forkserver", true), mp::ValueError);
}

#endif
