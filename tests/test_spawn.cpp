#include <multiprocessing/process.hpp>
#include <multiprocessing/spawn.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"
#include "support/sanitizers.hpp"

#include <cstdlib>
#include <string>

namespace mp = multiprocessing;
using multiprocessing_test::Board;

namespace {

mp::ProcessOptions const spawned{.method = mp::StartMethod::spawn};

void nothing() {}

void report_environment(Board board) {
    board.set(std::getenv(mp::detail::child_message::variable) != nullptr, 0);
    board.set(mp::detail::process_state::instance().bootstrapping, 1);
    char const* const own = std::getenv("MULTIPROCESSING_TEST_VARIABLE");
    board.write(own != nullptr ? own : "nothing");
}

} // namespace

TEST_CASE("freeze_support does nothing in a program that nobody has started as a child") {
    mp::freeze_support();
    mp::freeze_support();
    CHECK(mp::current_process().name() == "MainProcess");
}

TEST_CASE("a spawned child has the environment of its parent, and no trace of how it was started") {
    Board const board = Board::make();
    board.set(7, 0);
    board.set(7, 1);
#if defined(_WIN32)
    _putenv("MULTIPROCESSING_TEST_VARIABLE=value with spaces");
#else
    ::setenv("MULTIPROCESSING_TEST_VARIABLE", "value with spaces", 1);
#endif
    mp::Process process(spawned, report_environment, board);
    process.start();
    process.join();
    REQUIRE(process.exitcode() == 0);
    CHECK(board.get(0) == 0);
    CHECK(board.get(1) == 0);
    CHECK(board.text() == "value with spaces");
}

TEST_CASE("another copy of this program may be the child") {
    mp::set_executable(mp::platform::executable());
    mp::Process process(spawned, nothing);
    process.start();
    process.join();
    mp::set_executable("");
    CHECK(process.exitcode() == 0);
}

TEST_CASE("a program that does not exist is an OSError that names it") {
    // The thread sanitizer makes fork of vfork, so that the failure of exec does not become known.
    if (multiprocessing_test::with_thread_sanitizer) return;
    mp::set_executable("/no/such/program");
    mp::Process process(spawned, nothing);
    try {
        process.start();
        CHECK(false);
    } catch (mp::OSError const& error) {
        CHECK(std::string(error.what()).find("/no/such/program") != std::string::npos);
        CHECK(error.code() == std::errc::no_such_file_or_directory);
    }
    CHECK(process.pid() == std::nullopt);
    CHECK(mp::active_children().empty());
    mp::set_executable("");
    process.start(); // the same object may try again
    process.join();
    CHECK(process.exitcode() == 0);
}

namespace {

void take(Board board, std::string const& text) {
    std::int64_t sum = 0;
    for (char const letter : text) sum += letter;
    board.set(sum, 0);
    board.set(static_cast<std::int64_t>(text.size()), 1);
}

} // namespace

TEST_CASE("arguments may be large") {
    Board const board = Board::make();
    std::string const text(5'000'000, 'a');
    mp::Process process(spawned, take, board, text);
    process.start();
    process.join();
    CHECK(process.exitcode() == 0);
    CHECK(board.get(0) == 5'000'000 * std::int64_t{'a'});
    CHECK(board.get(1) == 5'000'000);
}

TEST_CASE("what was sent with a child is given back when it has ended") {
    auto const round = [] {
        mp::Process process(spawned, take, Board::make(), std::string(100'000, 'b'));
        process.start();
        process.join();
        REQUIRE(process.exitcode() == 0);
    };
    round();
    auto const committed = mp::detail::arena::instance().committed();
    for (int i = 0; i < 12; ++i) round();
    CHECK(mp::detail::arena::instance().committed() == committed);
}
