// runs per start method
#include <multiprocessing/context.hpp>
#include <multiprocessing/pool.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <optional>
#include <set>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <vector>

namespace mp = multiprocessing;
using multiprocessing_test::Board;
using multiprocessing_test::up_to;
using namespace std::chrono_literals;

namespace {

int square(int x) { return x * x; }
std::string name(int x) { return "number " + std::to_string(x); }
int fail_at_three(int x) {
    if (x == 3) throw std::out_of_range("three");
    return x;
}
int end_at_three(int x) {
    if (x == 3) mp::platform::exit_process(9);
    return x;
}
void count_on(Board board) { board.add(); }
int after_the_others(Board board, int x) {
    if (x == 0) board.await_stop(0);
    return x;
}
struct wait_at_zero {
    Board board;
    int operator()(int x) const { return after_the_others(board, x); }
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& board;
    }
};

/// 0, 1, 2, … without an end, or with an exception for an end; counts what was read.
struct numbers {
    struct iterator {
        using value_type = int;
        using difference_type = std::ptrdiff_t;
        numbers* owner = nullptr;

        int operator*() const { return owner->read; }
        iterator& operator++() {
            if (++owner->read == owner->fails_at) throw std::domain_error("nothing more");
            return *this;
        }
        void operator++(int) { ++*this; }
        bool operator==(std::default_sentinel_t) const { return owner->read == owner->ends_at; }
    };
    iterator begin() { return {this}; }
    std::default_sentinel_t end() const { return {}; }

    int fails_at = -1;
    int ends_at = -1;
    int read = 0;
};

template <class Results>
auto all_of(Results results) {
    std::vector<typename Results::value_type> all;
    for (auto& each : results) all.push_back(std::move(each));
    return all;
}

} // namespace

TEST_CASE("results come in order, of plain data and of other") {
    mp::Pool pool(2);
    CHECK(all_of(pool.imap(square, up_to(1000))) == pool.map(square, up_to(1000)));
    CHECK(all_of(pool.imap(name, up_to(300), 7)) == pool.map(name, up_to(300)));
    CHECK(all_of(pool.imap(square, std::vector<int>())).empty());
    auto const board = Board::make();
    auto nothings = pool.imap(count_on, std::vector<Board>(10, board));
    int count = 0;
    for ([[maybe_unused]] auto const& nothing : nothings) ++count;
    CHECK(count == 10);
    CHECK(board.get() == 10);
}

TEST_CASE("next gives one result after the other, and at the end nothing") {
    mp::Pool pool(2);
    auto results = pool.imap(square, up_to(3));
    CHECK(results.next() == 0);
    CHECK(results.next(50s) == 1);
    CHECK(results.next() == 4);
    CHECK(results.next() == std::nullopt);
    CHECK(results.next(0s) == std::nullopt);
}

TEST_CASE("without order everything comes once") {
    mp::Pool pool(2);
    auto results = all_of(pool.imap_unordered(square, up_to(500)));
    std::sort(results.begin(), results.end());
    CHECK(results == pool.map(square, up_to(500)));
}

TEST_CASE("without order nobody waits for a slow item") {
    mp::Pool pool(2);
    auto const board = Board::make();
    auto results = pool.imap_unordered(wait_at_zero{board}, up_to(40), 1);
    std::set<int> others;
    for (int i = 0; i < 3; ++i) others.insert(*results.next());
    CHECK(others.count(0) == 0);
    board.set(1);
    while (auto const result = results.next()) others.insert(*result);
    CHECK(others.size() == 40);
}

TEST_CASE("in order, one that is not there is waited for") {
    mp::Pool pool(2);
    auto const board = Board::make();
    auto results = pool.imap(wait_at_zero{board}, up_to(10), 1);
    CHECK_THROWS_AS(results.next(20ms), mp::TimeoutError);
    CHECK_THROWS_AS(results.next(0s), mp::TimeoutError);
    board.set(1);
    for (int i = 0; i < 10; ++i) CHECK(results.next() == i);
}

TEST_CASE("an input without an end is read only a little ahead") {
    mp::Pool pool(2);
    numbers endless;
    auto results = pool.imap(square, endless);
    for (int i = 0; i < 100; ++i) {
        CHECK(results.next() == i * i);
        CHECK(endless.read <= i + 1 + 4096);
    }
    auto slow = pool.imap_unordered(wait_at_zero{Board::make()}, endless, 1);
    CHECK(slow.next() > 0);
}

TEST_CASE("slow items are not read ahead of their workers") {
    mp::Pool pool(2);
    auto const board = Board::make();
    numbers endless;
    auto results = pool.imap(wait_at_zero{board}, endless, 1);
    CHECK_THROWS_AS(results.next(10ms), mp::TimeoutError);
    CHECK(endless.read <= 4);
    board.set(1);
    CHECK(results.next() == 0);
}

TEST_CASE("what an input throws comes at its place, and is the end") {
    mp::Pool pool(2);
    numbers failing{.fails_at = 25};
    auto results = pool.imap(square, failing);
    for (int i = 0; i < 25; ++i) CHECK(results.next() == i * i);
    CHECK_THROWS_AS(results.next(), std::domain_error);
    CHECK(results.next() == std::nullopt);
    numbers at_once{.fails_at = 1};
    auto none = pool.imap_unordered(square, at_once);
    CHECK(none.next() == 0);
    CHECK_THROWS_AS(none.next(), std::domain_error);
    CHECK(none.next() == std::nullopt);
}

TEST_CASE("an item that fails throws when its turn comes, and the others are not touched") {
    mp::Pool pool(2);
    for (bool const by_death : {false, true}) {
        auto results = pool.imap(by_death ? end_at_three : fail_at_three, up_to(8));
        for (int i = 0; i < 8; ++i) {
            if (i != 3) {
                CHECK(results.next() == i);
            } else if (by_death) {
                CHECK_THROWS_AS(results.next(), mp::WorkerDiedError);
            } else {
                CHECK_THROWS_AS(results.next(), std::out_of_range);
            }
        }
        CHECK(results.next() == std::nullopt);
    }
}

TEST_CASE("the position of an item that failed is that in the whole input") {
    mp::Pool pool(1);
    auto results = pool.imap(fail_at_three, std::vector<int>{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3});
    for (int i = 0; i < 11; ++i) CHECK(results.next() == 0);
    try {
        results.next();
        FAIL("nothing was thrown");
    } catch (mp::RemoteError const& error) {
        CHECK(error.task_index() == 11);
    }
}

TEST_CASE("results that are left early leave the pool as it was") {
    mp::Pool pool(2);
    numbers endless;
    try {
        for (int const each : pool.imap(square, endless)) {
            if (each == 100) throw std::runtime_error("enough");
        }
    } catch (std::runtime_error const&) {
    }
    CHECK(pool.map(square, {2, 3}) == std::vector<int>{4, 9});
}

TEST_CASE("a pool that is closed still gives what it has begun to give") {
    mp::Pool pool(2);
    auto results = pool.imap(square, up_to(200));
    CHECK(results.next() == 0);
    pool.close();
    CHECK(results.next() == 1);
    pool.join(); // does not wait for items that nobody has taken
    for (int i = 2; i < 200; ++i) CHECK(results.next() == i * i);
    CHECK(results.next() == std::nullopt);
}

TEST_CASE("a pool that is terminated ends its results") {
    mp::Pool pool(2);
    auto const board = Board::make();
    auto results = pool.imap(wait_at_zero{board}, up_to(10), 1);
    CHECK_THROWS_AS(results.next(0s), mp::TimeoutError);
    pool.terminate();
    CHECK_THROWS_AS(results.next(), mp::ProcessError);
}

TEST_CASE("results outlive their pool") {
    std::optional<mp::IMapIterator<int>> results;
    {
        mp::Pool pool(2);
        results.emplace(pool.imap(square, up_to(5)));
    }
    CHECK_THROWS_AS(results->next(), mp::ValueError);
}

TEST_CASE("a request to stop ends the results") {
    mp::Pool pool(2);
    std::stop_source source;
    bool has_finished = false;
    auto const note = [&](mp::ProgressState const& state) { has_finished |= state.finished; };
    auto results = pool.imap(
        wait_at_zero{Board::make()}, up_to(10), {.chunksize = 1, .progress = note, .stop = source.get_token()});
    CHECK_THROWS_AS(results.next(0s), mp::TimeoutError);
    source.request_stop();
    CHECK_THROWS_AS(results.next(), mp::CancelledError);
    CHECK(results.next() == std::nullopt);
    CHECK_FALSE(has_finished);
}

TEST_CASE("lambdas with captures in a stream") {
    if (mp::get_start_method() != mp::StartMethod::fork) return; // elsewhere they cannot travel
    mp::Pool pool(2);
    std::vector<int> const table{5, 6, 7};
    auto const look_up = [&](int i) { return table[static_cast<std::size_t>(i % 3)]; };
    CHECK(all_of(pool.imap(look_up, up_to(6))) == std::vector<int>{5, 6, 7, 5, 6, 7});
    auto left = pool.imap(look_up, up_to(100));
    CHECK(left.next() == 5);
    pool.close();
    CHECK(left.next() == 6);
}

TEST_CASE("an option that makes no sense") {
    mp::Pool pool(1);
    CHECK_THROWS_AS(pool.imap(square, up_to(3), 0), mp::ValueError);
    CHECK_THROWS_AS(pool.imap_unordered(square, up_to(3), -1), mp::ValueError);
}
