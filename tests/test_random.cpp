#include <multiprocessing/random.hpp>

#include "support/catch.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <random>
#include <type_traits>
#include <vector>

namespace mp = multiprocessing;
using mp::task_rng;
using mp::detail::philox4x32;
using Block = std::array<std::uint32_t, 4>;

TEST_CASE("Philox4x32-10 gives the published blocks, also at compile time") {
    STATIC_REQUIRE(philox4x32({}, {}) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    std::uint32_t const all = 0xffffffff;
    CHECK(philox4x32({all, all, all, all}, {all, all}) == Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    CHECK(
        philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("the seed is the key, the index the upper half of the counter") {
    auto rng = task_rng(0x299f31d0'a4093822, 0x03707344'13198a2e);
    CHECK(rng.seed() == 0x299f31d0'a4093822);
    CHECK(rng.index() == 0x03707344'13198a2e);
    Block const first = philox4x32({0, 0, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0});
    Block const second = philox4x32({1, 0, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0});
    for (Block const& block : {first, second}) {
        CHECK(rng() == (block[0] | std::uint64_t{block[1]} << 32));
        CHECK(rng() == (block[2] | std::uint64_t{block[3]} << 32));
    }
    rng.discard(0x8000'0000'0000'0000); // from block 2 on
    auto const far = philox4x32({2, 0x4000'0000, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0});
    CHECK(rng() == (far[0] | std::uint64_t{far[1]} << 32));
}

TEST_CASE("other seeds and other indices give other numbers") {
    std::vector<std::uint64_t> seen;
    for (std::uint64_t seed = 0; seed < 3; ++seed) {
        for (std::uint64_t index = 0; index < 3; ++index) seen.push_back(task_rng(seed, index)());
    }
    for (std::size_t i = 0; i < seen.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) CHECK(seen[i] != seen[j]);
    }
}

TEST_CASE("discard goes where as many calls go, and equal generators give equal numbers") {
    for (std::uint64_t before = 0; before < 4; ++before) {
        for (std::uint64_t count = 0; count < 6; ++count) {
            auto called = task_rng(1, 2);
            for (std::uint64_t i = 0; i < before; ++i) called();
            auto skipped = called;
            for (std::uint64_t i = 0; i < count; ++i) called();
            CHECK((skipped == called) == (count == 0));
            skipped.discard(count);
            CHECK(skipped == called);
            CHECK(skipped() == called());
            CHECK(skipped() == called());
        }
    }
    CHECK(task_rng(1, 2) != task_rng(1, 3));
    CHECK(task_rng(1, 2) != task_rng(2, 2));
}

TEST_CASE("it is a generator for std, and may travel") {
    STATIC_REQUIRE(std::uniform_random_bit_generator<mp::TaskRng>);
    STATIC_REQUIRE(std::is_trivially_copyable_v<mp::TaskRng>);
    auto rng = task_rng(1, 2);
    int const die = std::uniform_int_distribution(1, 6)(rng);
    CHECK((die >= 1 && die <= 6));
}

// The figures below are pinned: they must be the same with every compiler and every system.

TEST_CASE("uniform01 is the same everywhere, and uniform") {
    STATIC_REQUIRE(task_rng(0, 0).uniform01() == double(0xe169c58d6627e8d5 >> 11) * 0x1p-53);
    auto rng = task_rng(2024, 7);
    double sum = 0;
    std::array<int, 10> tenths{};
    for (int i = 0; i < 100'000; ++i) {
        double const x = rng.uniform01();
        REQUIRE((x >= 0 && x < 1));
        sum += x;
        ++tenths[static_cast<std::size_t>(x * 10)];
    }
    CHECK(std::abs(sum / 100'000 - 0.5) < 0.005);
    for (int const count : tenths) CHECK(std::abs(count - 10'000) < 500);
}

TEST_CASE("below is the same everywhere, and every number is equally likely") {
    auto rng = task_rng(2024, 7);
    std::array<int, 6> counts{};
    for (int i = 0; i < 60'000; ++i) ++counts.at(rng.below(6));
    for (int const count : counts) CHECK(std::abs(count - 10'000) < 500);
    CHECK(rng.below(1) == 0);
    auto pinned = task_rng(2024, 8);
    CHECK((pinned.below(1000) == 554 && pinned.below(1000) == 21 && pinned.below(1000) == 426));
    CHECK_THROWS_AS(rng.below(0), mp::ValueError);

    // A quarter of all numbers is dropped here; if it were not, the lower third would be twice as likely.
    std::uint64_t const large = 3 * (std::uint64_t{1} << 62);
    int low = 0;
    for (int i = 0; i < 30'000; ++i) low += rng.below(large) < large / 3 ? 1 : 0;
    CHECK(std::abs(low - 10'000) < 500);
}

TEST_CASE("normal is the same everywhere, and normal") {
    auto rng = task_rng(2024, 7);
    std::array<double, 6> first{};
    for (double& x : first) x = rng.normal();
    CHECK(
        first == std::array{
                     -0x1.89d96de5e29d3p+0,
                     -0x1.0b4c51261d0cp-4,
                     -0x1.02872e1fff514p-3,
                     -0x1.e34561069b4e4p-3,
                     -0x1.797f3e8a7f9acp+0,
                     -0x1.8906eb3febc9p-3});

    int const n = 400'000;
    double sum = 0, squares = 0, cubes = 0, fourths = 0;
    std::array<int, 5> within{}; // of so many standard deviations
    for (int i = 0; i < n; ++i) {
        double const x = rng.normal();
        sum += x;
        squares += x * x;
        cubes += x * x * x;
        fourths += x * x * x * x;
        for (std::size_t k = 1; k < within.size(); ++k) within[k] += std::abs(x) < static_cast<double>(k) ? 1 : 0;
    }
    CHECK(std::abs(sum / n) < 0.008);
    CHECK(std::abs(squares / n - 1) < 0.011);
    CHECK(std::abs(cubes / n) < 0.02);
    CHECK(std::abs(fourths / n - 3) < 0.08);
    for (std::size_t k = 1; k < within.size(); ++k) {
        double const expected = std::erf(static_cast<double>(k) / std::sqrt(2.0));
        double const deviation = std::sqrt(expected * (1 - expected) / n);
        CHECK(std::abs(within[k] / double(n) - expected) < 5 * deviation);
    }
}

TEST_CASE("the whole parts of normal numbers have their probabilities") {
    double all = 0;
    for (int k = 0; k < 40; ++k) all += std::exp(-0.5 * k * k);
    double sum = 0;
    for (std::size_t k = 0; k < mp::detail::normal_whole_parts.size(); ++k) {
        sum += std::exp(-0.5 * static_cast<double>(k * k)) / all;
        CHECK(static_cast<double>(mp::detail::normal_whole_parts[k]) == Approx(sum * 0x1p64).epsilon(1e-14));
    }
}
