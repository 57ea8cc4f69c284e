// runs per start method
// not on windows
#include <multiprocessing/containers.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/synchronize.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"

#include <chrono>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>

// Processes are killed while they hold the lock of a container. That they do, they have told.

namespace mp = multiprocessing;
using multiprocessing_test::Board;

using Stock = mp::shared::map<std::string, std::int64_t>;

namespace {

void stay_in(Stock stock, int doing, Board board) {
    auto const stay = [&] {
        board.add();
        mp::Semaphore(0).acquire();
    };
    if (doing == 0) stock.read([&](auto const&) { stay(); });
    if (doing == 1) stock.update("pears", [&](std::int64_t&) { stay(); });
    if (doing == 2) stock.with_lock([&](auto&) { stay(); });
    if (doing == 3) {
        stock.with_lock([&](auto& all) {
            all.clear();
            stock.insert("half", 1); // unmarks nothing
            stay();
        });
    }
}

/// Has a process killed in the middle of something.
void kill_in(Stock const& stock, int doing) {
    Board const board = Board::make();
    mp::Process process(stay_in, stock, doing, board);
    process.start();
    REQUIRE(board.await(1));
    process.kill();
    process.join();
}

} // namespace

TEST_CASE("the death of a reader does no harm") {
    Stock const stock{{"apples", 3}, {"pears", 2}};
    int const doing = GENERATE(0, 1);
    kill_in(stock, doing);
    CHECK(stock.at("pears") == 2);
    CHECK(stock.size() == 2);
    stock.insert_or_assign("plums", 1);
    CHECK(stock.at("plums") == 1);
}

TEST_CASE("a container that a process was killed in is damaged until it is reset") {
    Stock const stock{{"apples", 3}};
    int const doing = GENERATE(2, 3);
    kill_in(stock, doing);
    CHECK_THROWS_WITH(stock.size(), Catch::Contains("died") && Catch::Contains("reset()"));
    CHECK_THROWS_AS(stock.at("apples"), mp::OwnerDiedError);
    CHECK_THROWS_AS(stock.insert("pears", 1), mp::OwnerDiedError);
    CHECK_THROWS_AS(stock.clear(), mp::OwnerDiedError);
    Stock const same = stock;
    same.reset();
    CHECK(stock.empty());
    stock.insert("pears", 1);
    CHECK(stock.at("pears") == 1);
}

namespace {

void look_at(Stock stock, Board board) {
    try {
        stock.size();
    } catch (mp::OwnerDiedError const&) {
        board.add();
    }
}

} // namespace

TEST_CASE("everybody is told that a container is damaged") {
    Stock const stock{{"apples", 3}};
    kill_in(stock, 2);
    Board const board = Board::make();
    mp::Process one(look_at, stock, board);
    one.start();
    look_at(stock, board);
    one.join();
    CHECK(board.get() == 2);
}

namespace {

/// The sum of all values is always 0.
void move_to_and_fro(Stock stock, unsigned seed, Board board) {
    std::mt19937 random(seed);
    for (bool first = true;; first = false) {
        try {
            auto const amount = static_cast<std::int64_t>(random() % 100);
            auto const from = std::to_string(random() % 50) + std::string(random() % 40, 'f');
            auto const to = std::to_string(random() % 50);
            stock.with_lock([&](auto&) {
                stock.insert_or_assign(from, stock.get(from, 0) - amount);
                stock.insert_or_assign(to, stock.get(to, 0) + amount);
                if (stock.get(to, 0) == 0) stock.erase(to);
            });
        } catch (mp::OwnerDiedError const&) {
            stock.reset();
        }
        random.discard(random() % 4000); // about as long without the lock as with it
        if (first) board.add();
    }
}

std::int64_t sum(Stock const& stock) {
    std::int64_t result = 0;
    for (auto const value : stock.values()) result += value;
    return result;
}

} // namespace

TEST_CASE("kills at random moments: the container is right, or says that it is not") {
    char const* const more = std::getenv("MULTIPROCESSING_TEST_KILLS");
    int const kills = more != nullptr ? std::atoi(more) : 100;
    Stock const stock;
    std::mt19937 random(7);
    int damaged = 0;
    for (int i = 0; i < kills; ++i) {
        Board const board = Board::make();
        mp::Process one(move_to_and_fro, stock, static_cast<unsigned>(random()), board);
        one.start();
        REQUIRE(board.await(1));
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 2000)); // any moment will do
        one.kill();
        try {
            auto const total = sum(stock);
            CHECK(total == 0);
            stock.insert_or_assign("survivor", 0);
        } catch (mp::OwnerDiedError const&) {
            ++damaged;
            if (i % 2 == 0) stock.reset(); // or the next child does
        }
        one.join();
    }
    INFO("damaged " << damaged << " times in " << kills << " kills");
    if (more != nullptr) CHECK(damaged > 0);
    stock.reset();
    stock.insert("apples", 1);
    CHECK(stock.values() == std::vector<std::int64_t>{1});
}
