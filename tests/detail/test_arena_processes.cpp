// not on windows
#include <multiprocessing/detail/arena.hpp>

#include "support/catch.hpp"
#include "support/forked.hpp"
#include "support/hidden_case.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include <sys/resource.h>

using multiprocessing::detail::arena;
using multiprocessing::detail::arena_block;
using multiprocessing::detail::arena_offset;
using multiprocessing_test::Forked;
using multiprocessing_test::run_hidden_case;

namespace {

constexpr std::size_t largest = 3 * 64;

/// Takes and gives back blocks and looks whether anybody else writes to them.
class Hammer {
public:
    explicit Hammer(std::uint64_t mark) : mark_(mark), random_(static_cast<unsigned>(mark)) {}

    bool strike(std::size_t keep = 20) {
        arena& memory = arena::instance();
        if (mine_.size() < keep) {
            std::size_t const size = 64 * (1 + random_() % 3);
            arena_offset const block = memory.allocate(size);
            std::fill_n(memory.at<std::uint64_t>(block), size / 8, block ^ mark_);
            mine_.emplace_back(block, size);
            return true;
        }
        std::swap(mine_[random_() % mine_.size()], mine_.back());
        auto const [block, size] = mine_.back();
        mine_.pop_back();
        auto const* const words = memory.at<std::uint64_t>(block);
        bool const untouched =
            std::all_of(words, words + size / 8, [mark = block ^ mark_](std::uint64_t word) { return word == mark; });
        memory.deallocate(block, size);
        return untouched;
    }

    bool finish() {
        bool good = true;
        while (!mine_.empty()) good = strike(0) && good;
        return good;
    }

private:
    std::uint64_t mark_;
    std::minstd_rand random_;
    std::vector<std::pair<arena_offset, std::size_t>> mine_;
};

} // namespace

TEST_CASE("a forked child shares the arena") {
    arena& memory = arena::instance();
    arena_block const block(100);
    auto& word = *new (block.get()) std::atomic<std::uint64_t>(1);
    CHECK(multiprocessing_test::in_child([&] {
              word = memory.allocate(1000);
              *memory.at<int>(word) = 77;
              return 3;
          }) == 3);
    CHECK(word != 1);
    CHECK(*memory.at<int>(word) == 77);
    memory.deallocate(word, 1000);
}

TEST_CASE("processes that take and give back blocks never share one") {
    std::deque<Forked> children;
    for (std::uint64_t mark = 1; mark <= 4; ++mark) {
        children.emplace_back([mark] {
            Hammer hammer(mark << 48);
            bool good = true;
            for (int i = 0; i < 5000; ++i) good = hammer.strike() && good;
            return hammer.finish() && good ? 0 : 1;
        });
    }
    for (auto& child : children) CHECK(child.status() == 0);
}

TEST_CASE("processes that are killed while they allocate cost others nothing but what they held") {
    char const* const wanted = std::getenv("MULTIPROCESSING_TEST_KILLS");
    int const kills = wanted != nullptr ? std::atoi(wanted) : 60;
    arena& memory = arena::instance();
    arena_block const place(64);
    auto& strikes = *new (place.get()) std::atomic<std::int64_t>(0);
    std::minstd_rand random(std::random_device{}());
    std::size_t const before = memory.committed();

    Hammer mine(std::uint64_t{1} << 48);
    bool good = true;
    for (int i = 0; i < kills; ++i) {
        std::int64_t const begin = strikes;
        Forked child([&] {
            Hammer hammer(std::uint64_t{2} << 48);
            while (hammer.strike()) ++strikes;
            return 1; // somebody wrote to a block of it
        });
        std::int64_t const enough = begin + 1 + static_cast<std::int64_t>(random() % 500);
        while (strikes < enough && good) good = mine.strike();
        child.kill();
        CHECK(child.status() == -9);
        for (int strike = 0; strike < 100; ++strike) good = mine.strike() && good;
        REQUIRE(good);
    }
    CHECK(mine.finish());
    // A child holds 21 blocks at most.
    CHECK(memory.committed() - before <= static_cast<std::size_t>(kills) * 21 * largest + (std::size_t{1} << 20));
}

TEST_CASE("child: fills the arena", "[.]") {
    arena& memory = arena::instance();
    REQUIRE(memory.size() < std::size_t{1} << 30);
    constexpr std::size_t size = std::size_t{1} << 20;
    std::vector<arena_offset> blocks;
    bool exhausted = false;
    while (!exhausted) {
        REQUIRE(blocks.size() < memory.size() / size);
        try {
            blocks.push_back(memory.allocate(size));
            *memory.at<int>(blocks.back() + size - sizeof(int)) = 1; // there is memory behind it
        } catch (std::bad_alloc const&) {
            exhausted = true;
        }
    }
    CHECK(blocks.size() > memory.size() / size / 2);
    CHECK_THROWS_AS(memory.allocate(size), std::bad_alloc);
    // What is given back can be had again.
    arena_offset const last = blocks.back();
    memory.deallocate(last, size);
    CHECK(memory.allocate(size) == last);
    for (arena_offset const block : blocks) memory.deallocate(block, size);
}

TEST_CASE("with a limit on the size of files the arena is smaller, and exhaustion is bad_alloc") {
    auto const child = run_hidden_case("child: fills the arena", "", "ulimit -f 262144; "); // 128 MB
    INFO(child.output << child.errors);
    CHECK(child.exitcode == 0);
}

TEST_CASE("a limit that leaves no room for the arena is an error, not a signal") {
    CHECK(multiprocessing_test::in_child([] {
              rlimit const limit{1000, 1000};
              CHILD_CHECK(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
              std::error_code error;
              auto const segment = multiprocessing::platform::create_segment(std::size_t{1} << 26, error);
              CHILD_CHECK(segment == multiprocessing::platform::invalid_handle);
              CHILD_CHECK(error == std::errc::file_too_large);
              return 0;
          }) == 0);
}
