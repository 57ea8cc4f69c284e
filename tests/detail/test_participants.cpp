// runs per start method
#include <multiprocessing/detail/participants.hpp>
#include <multiprocessing/process.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"

#include <set>
#include <string>
#include <thread>
#include <vector>

namespace mp = multiprocessing;
using mp::detail::participant;
using multiprocessing_test::Board;

namespace {

void sit_down(Board board) {
    board.set(static_cast<std::int64_t>(participant::self().word()), 1);
    board.set(1, 0);
}

void sit_down_and_wait(Board board) {
    sit_down(board);
    board.await(2, 0);
}

participant seated(Board const& board) { return participant(static_cast<std::uint64_t>(board.get(1))); }

} // namespace

TEST_CASE("a participant is a word") {
    participant const one(17, 5);
    CHECK(one.seat() == 17);
    CHECK(one.generation() == 5);
    CHECK(participant(one.word()) == one);
    CHECK(one);
    CHECK(participant(0, 0)); // the first seat is not nobody
}

TEST_CASE("nobody is not alive") {
    CHECK_FALSE(participant());
    CHECK(participant().word() == 0);
    CHECK_FALSE(participant().is_alive());
    CHECK(participant().pid() == 0);
}

TEST_CASE("this process is alive and has one seat") {
    participant const self = participant::self();
    CHECK(self);
    CHECK(self.is_alive());
    CHECK(self.pid() == mp::platform::current_process_id());
    participant other;
    std::thread([&] { other = participant::self(); }).join();
    CHECK(other == self);
}

TEST_CASE("a seat that was taken anew is not who had it before") {
    participant const self = participant::self();
    participant const before(self.seat(), self.generation() - 1);
    CHECK_FALSE(before.is_alive());
    CHECK(before.pid() == 0);
}

TEST_CASE("a child has a seat of its own for as long as it runs") {
    Board const board = Board::make();
    mp::Process process(sit_down_and_wait, board);
    process.start();
    REQUIRE(board.await(1));
    participant const child = seated(board);
    CHECK(child != participant::self());
    CHECK(child.pid() == process.pid());
    CHECK(child.is_alive());
    board.set(2);
    process.join();
    CHECK_FALSE(child.is_alive());
}

TEST_CASE("the death of a killed child is seen before it is waited for") {
    Board const board = Board::make();
    mp::Process process(sit_down_and_wait, board);
    process.start();
    REQUIRE(board.await(1));
    participant const child = seated(board);
    process.kill();
    while (child.is_alive()) std::this_thread::yield(); // a zombie that nobody has waited for
    process.join();
    CHECK(process.exitcode() != 0);
}

TEST_CASE("processes that come one after another are told apart") {
    std::set<std::uint64_t> words;
    Board const board = Board::make();
    for (int i = 0; i < 8; ++i) {
        mp::Process process(sit_down, board);
        process.start();
        process.join();
        REQUIRE(process.exitcode() == 0);
        participant const child = seated(board);
        CHECK_FALSE(child.is_alive());
        CHECK(words.insert(child.word()).second);
    }
}
