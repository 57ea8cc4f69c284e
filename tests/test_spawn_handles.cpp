// not on windows
#include <multiprocessing/process.hpp>
#include <multiprocessing/spawn.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"
#include "support/faults.hpp"

#include <filesystem>
#include <fstream>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace mp = multiprocessing;
using multiprocessing_test::Board;
using multiprocessing_test::open_descriptors;

namespace {

void look_at(Board board, int descriptor) {
    board.set(::fcntl(descriptor, F_GETFD) >= 0 ? 1 : 2);
    board.set(static_cast<std::int64_t>(open_descriptors().size()), 1);
}

} // namespace

TEST_CASE("only a forked child inherits the descriptors of its parent") {
    int const high = ::fcntl(STDERR_FILENO, F_DUPFD, 100); // not even close-on-exec
    REQUIRE(high >= 100);
    for (auto const method : {mp::StartMethod::fork, mp::StartMethod::spawn, mp::StartMethod::forkserver}) {
        Board const board = Board::make();
        mp::Process process({.method = method}, look_at, board, high);
        process.start();
        process.join();
        REQUIRE(process.exitcode() == 0);
        CHECK(board.get() == (method == mp::StartMethod::fork ? 1 : 2));
    }
    ::close(high);
}

TEST_CASE("children do not have more descriptors the more siblings they have") {
    for (auto const method : {mp::StartMethod::spawn, mp::StartMethod::forkserver, mp::StartMethod::fork}) {
        std::vector<std::int64_t> counts;
        std::vector<mp::Process> siblings;
        Board const stop = Board::make();
        for (int i = 0; i < 4; ++i) {
            Board const board = Board::make();
            mp::Process process({.method = method}, look_at, board, 0);
            process.start();
            process.join();
            counts.push_back(board.get(1));
            siblings.emplace_back(
                mp::ProcessOptions{.method = method}, [](Board const& shared) { shared.await(1); }, stop);
            siblings.back().start();
        }
        INFO(mp::to_string(method));
        CHECK(counts == std::vector<std::int64_t>(4, counts[0]));
        stop.set(1);
        siblings.clear();
    }
}

TEST_CASE("what the library opens does not reach programs that others start") {
    auto const before = open_descriptors();
    Board const stop = Board::make();
    std::vector<mp::Process> children;
    for (auto const method : {mp::StartMethod::fork, mp::StartMethod::spawn, mp::StartMethod::forkserver}) {
        children.emplace_back(
            mp::ProcessOptions{.method = method}, [](Board const& shared) { shared.await(1); }, stop);
        children.back().start();
    }
    auto const now = open_descriptors();
    CHECK(now.size() > before.size());
    for (int const descriptor : now) {
        if (!before.contains(descriptor)) CHECK((::fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0);
    }
    stop.set(1);
}

TEST_CASE("a program may be replaced while it runs") {
    namespace fs = std::filesystem;
    // A copy of this program starts a child although its file is gone.
    fs::path const copy = fs::temp_directory_path() / "copied";
    fs::copy_file("/proc/self/exe", copy);
    std::string const command = copy.string() + " 'child: deletes its file and spawns' >/dev/null";
    CHECK(std::system(command.c_str()) == 0);
    CHECK_FALSE(fs::exists(copy));
    fs::remove(copy);
}

TEST_CASE("child: deletes its file and spawns", "[.]") {
    std::filesystem::path const program = std::filesystem::read_symlink("/proc/self/exe");
    REQUIRE(std::filesystem::remove(program));
    std::ofstream(program) << "something else";
    Board const board = Board::make();
    mp::Process process({.method = mp::StartMethod::spawn}, look_at, board, 0);
    process.start();
    process.join();
    REQUIRE(process.exitcode() == 0);
    REQUIRE(board.get() == 1);
    std::filesystem::remove(program);
}
