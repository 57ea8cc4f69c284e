#include <multiprocessing/detail/arena.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <random>
#include <thread>
#include <vector>

using multiprocessing::detail::arena;
using multiprocessing::detail::arena_alignment;
using multiprocessing::detail::arena_block;
using multiprocessing::detail::arena_offset;

namespace {

constexpr std::array<std::size_t, 14> sizes{
    1, 63, 64, 65, 128, 200, 256, 257, 320, 1000, 4096, 5000, 70'000, 1'000'000};

} // namespace

TEST_CASE("blocks have at least the size that was asked for, and at most a quarter more") {
    std::size_t before = 0;
    for (std::size_t const size : sizes) {
        std::size_t const whole = arena::block_size(size);
        CHECK(whole >= size);
        CHECK(whole >= before);
        CHECK(whole % arena_alignment == 0);
        CHECK(whole <= size + std::max<std::size_t>(size / 4, arena_alignment - 1) + arena_alignment);
        CHECK(arena::block_size(whole) == whole);
        before = whole;
    }
    CHECK(arena::block_size(0) == arena_alignment);
}

TEST_CASE("block sizes never shrink when more is asked for") {
    std::size_t before = 0;
    for (std::size_t size = 1; size < 100'000; size += 7) {
        std::size_t const whole = arena::block_size(size);
        REQUIRE(whole >= size);
        REQUIRE(whole >= before);
        before = whole;
    }
}

TEST_CASE("blocks are aligned, writable and do not overlap") {
    arena& memory = arena::instance();
    std::vector<std::pair<arena_offset, std::size_t>> blocks;
    for (int round = 0; round < 20; ++round) {
        for (std::size_t const size : sizes) {
            arena_offset const block = memory.allocate(size);
            REQUIRE(block % arena_alignment == 0);
            REQUIRE(memory.contains(memory.at(block), size));
            std::fill_n(memory.at<unsigned char>(block), size, static_cast<unsigned char>(blocks.size()));
            blocks.emplace_back(block, size);
        }
    }
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        auto const* const bytes = memory.at<unsigned char>(blocks[i].first);
        bool const untouched = std::all_of(
            bytes, bytes + blocks[i].second, [&](unsigned char byte) { return byte == static_cast<unsigned char>(i); });
        CHECK(untouched);
    }
    for (auto const& [block, size] : blocks) memory.deallocate(block, size);
}

TEST_CASE("a block that was given back is used again") {
    arena& memory = arena::instance();
    arena_offset const first = memory.allocate(3000);
    memory.deallocate(first, 3000);
    arena_offset const second = memory.allocate(arena::block_size(3000)); // another size of the same kind
    CHECK(second == first);
    memory.deallocate(second, 3000);

    auto const committed = memory.committed();
    for (int i = 0; i < 1000; ++i) memory.deallocate(memory.allocate(50'000), 50'000);
    CHECK(memory.committed() <= committed + (std::size_t{2} << 20));
}

TEST_CASE("a big block can be used, given back and used again") {
    arena& memory = arena::instance();
    constexpr std::size_t size = std::size_t{65} << 20; // so big that its memory goes back to the system
    for (int round = 0; round < 2; ++round) {
        arena_offset const block = memory.allocate(size);
        *memory.at<int>(block) = 1;
        *memory.at<int>(block + size / 2) = 2;
        *memory.at<int>(block + size - sizeof(int)) = 3;
        CHECK(*memory.at<int>(block) == 1);
        CHECK(*memory.at<int>(block + size / 2) == 2);
        memory.deallocate(block, size);
    }
}

TEST_CASE("more than there is cannot be had") {
    arena& memory = arena::instance();
    CHECK_THROWS_AS(memory.allocate(memory.size() + 1), std::bad_alloc);
    CHECK_THROWS_AS(memory.allocate(std::numeric_limits<std::size_t>::max()), std::bad_alloc);
    memory.deallocate(memory.allocate(1), 1); // and it goes on
}

TEST_CASE("giving back nothing is allowed") { arena::instance().deallocate(0, 100); }

namespace {

struct Counted {
    static inline int alive = 0;
    int value;

    explicit Counted(int number) : value(number) {
        if (number < 0) throw number;
        ++alive;
    }
    ~Counted() { --alive; }
};

} // namespace

TEST_CASE("create and destroy an object") {
    arena& memory = arena::instance();
    auto* const object = memory.create<Counted>(7);
    CHECK(object->value == 7);
    CHECK(Counted::alive == 1);
    CHECK(memory.at<Counted>(memory.offset_of(object)) == object);
    memory.destroy(object);
    CHECK(Counted::alive == 0);
}

TEST_CASE("a constructor that throws costs no memory") {
    arena& memory = arena::instance();
    arena_offset const next = memory.allocate(sizeof(Counted));
    memory.deallocate(next, sizeof(Counted));
    CHECK_THROWS_AS(memory.create<Counted>(-1), int);
    CHECK(Counted::alive == 0);
    CHECK(memory.allocate(sizeof(Counted)) == next);
    memory.deallocate(next, sizeof(Counted));
}

TEST_CASE("what is not in the arena is known as such") {
    arena& memory = arena::instance();
    arena_block const block(100);
    int here = 0;
    CHECK_FALSE(memory.contains(&here));
    CHECK(memory.contains(block.get(), 100));
    CHECK_FALSE(memory.contains(block.get(), memory.size()));
}

TEST_CASE("an arena_block gives its block back once") {
    arena& memory = arena::instance();
    arena_offset offset = 0;
    {
        arena_block first(5000);
        offset = first.offset();
        arena_block second(std::move(first));
        CHECK(first.offset() == 0);
        CHECK(second.offset() == offset);
        CHECK(second.size() == 5000);
        arena_block third;
        third = std::move(second);
        CHECK(third.offset() == offset);
    }
    arena_offset const again = memory.allocate(5000);
    arena_offset const other = memory.allocate(5000);
    CHECK(again == offset);
    CHECK(other != offset);
    memory.deallocate(other, 5000);
    memory.deallocate(again, 5000);

    arena_block released(100);
    arena_offset const mine = released.release();
    CHECK(released.offset() == 0);
    CHECK(mine != 0);
    memory.deallocate(mine, 100);
}

TEST_CASE("a block that leaves and comes back while another thread looks at it is noticed") {
    std::atomic<int> overlaps{0};
    std::atomic<int> waiting{4};
    auto const work = [&](std::uint64_t mark) {
        arena& memory = arena::instance();
        --waiting;
        while (waiting != 0) std::this_thread::yield();
        for (int i = 0; i < 300'000; ++i) {
            // Given back in another order than taken, so that what follows a block in the list changes.
            arena_offset const first = memory.allocate(64);
            arena_offset const second = memory.allocate(64);
            memory.at<std::uint64_t>(first)[1] = mark;
            memory.at<std::uint64_t>(second)[1] = mark;
            if (first == second || memory.at<std::uint64_t>(first)[1] != mark ||
                memory.at<std::uint64_t>(second)[1] != mark)
                ++overlaps;
            memory.deallocate(first, 64);
            memory.deallocate(second, 64);
        }
    };
    std::vector<std::thread> threads;
    for (std::uint64_t mark = 1; mark <= 4; ++mark) threads.emplace_back(work, mark);
    for (auto& thread : threads) thread.join();
    CHECK(overlaps == 0);
}

TEST_CASE("threads that take and give back blocks never share one") {
    std::atomic<int> overlaps{0};
    auto const work = [&](unsigned seed) {
        arena& memory = arena::instance();
        std::minstd_rand random(seed);
        std::vector<std::pair<arena_offset, std::size_t>> mine;
        for (int i = 0; i < 3000; ++i) {
            if (mine.size() < 20) {
                std::size_t const size = 64 * (1 + random() % 3);
                arena_offset const block = memory.allocate(size);
                std::fill_n(memory.at<std::uint64_t>(block), size / 8, block + seed);
                mine.emplace_back(block, size);
            } else {
                std::swap(mine[random() % mine.size()], mine.back());
                auto const [block, size] = mine.back();
                mine.pop_back();
                auto const* const words = memory.at<std::uint64_t>(block);
                std::uint64_t const mark = block + seed;
                if (!std::all_of(words, words + size / 8, [&](std::uint64_t word) { return word == mark; })) ++overlaps;
                memory.deallocate(block, size);
            }
        }
        for (auto const& [block, size] : mine) memory.deallocate(block, size);
    };
    std::vector<std::thread> threads;
    for (unsigned seed = 1; seed <= 4; ++seed) threads.emplace_back(work, seed);
    for (auto& thread : threads) thread.join();
    CHECK(overlaps == 0);
}
