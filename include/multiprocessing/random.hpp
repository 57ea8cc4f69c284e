#pragma once

#include <multiprocessing/errors.hpp>

#include <array>
#include <cstdint>
#include <limits>

/// Random numbers that do not depend on how work is distributed.
namespace multiprocessing::inline v0 {

/// A stream of random numbers of its own for each pair of a seed and an index, which costs nothing to make: every item of a
/// call has one, and gets the same numbers whichever worker runs it, however many workers there are.
///
///     double sample(std::uint64_t item) {
///         auto rng = mp::task_rng(2024, item);
///         return rng.normal();
///     }
///
/// It is the counter-based generator Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011). The
/// seed is its key, the index the upper half of its counter, so no part of a stream of 2^65 numbers is a part of another
/// one with the same seed; another seed makes another generator. Not for secrets.
///
/// The numbers of this class are the same with every compiler and system, the floating point ones included. Those that a
/// std distribution makes of it are not: standard libraries differ there.
///
/// It satisfies std::uniform_random_bit_generator. A copy goes on from the same place; it may travel to another process.
///
/// Python: what `numpy.random.SeedSequence(seed).spawn(n)` is used for. Example    examples/42_monte_carlo_pi.cpp
class TaskRng {
public:
    using result_type = std::uint64_t;

    constexpr explicit TaskRng(std::uint64_t seed = 0, std::uint64_t index = 0) noexcept : seed_(seed), index_(index) {}

    static constexpr result_type min() noexcept { return 0; }
    static constexpr result_type max() noexcept { return std::numeric_limits<result_type>::max(); }

    /// The next 64 random bits.
    constexpr result_type operator()() noexcept;

    /// A number from 0 up to, but not including 1: a multiple of 2^-53.
    constexpr double uniform01() noexcept { return static_cast<double>((*this)() >> 11) * 0x1p-53; }

    /// A whole number from 0 up to, but not including n; all are equally likely.
    /// Throws     ValueError  n is 0
    constexpr std::uint64_t below(std::uint64_t n);

    /// A number of the normal distribution with mean 0 and standard deviation 1. It takes a varying count of numbers from the
    /// stream, 6.4 on average.
    constexpr double normal() noexcept;

    /// Goes on as if so many numbers had been taken.
    constexpr void discard(std::uint64_t count) noexcept;

    constexpr std::uint64_t seed() const noexcept { return seed_; }
    constexpr std::uint64_t index() const noexcept { return index_; }

    /// Whether the same numbers come from both.
    friend constexpr bool operator==(TaskRng const& one, TaskRng const& other) noexcept {
        return one.seed_ == other.seed_ && one.index_ == other.index_ && one.block_ == other.block_ &&
               one.second_ == other.second_;
    }

private:
    constexpr void fill() noexcept;
    constexpr bool accepts(std::uint64_t x, std::uint64_t side) noexcept;

    std::uint64_t seed_;
    std::uint64_t index_;
    std::uint64_t block_ = 0;                // that the next number comes from
    std::array<std::uint64_t, 2> numbers_{}; // of that block, if its first number has been taken
    bool second_ = false;                    // the first has been taken
};

/// The stream of one item, at its beginning.
constexpr TaskRng task_rng(std::uint64_t seed, std::uint64_t index) noexcept { return TaskRng(seed, index); }

// ---- implementation

namespace detail {

/// Ten rounds of Philox: for each key a mapping of counters to blocks, one to one.
constexpr std::array<std::uint32_t, 4>
philox4x32(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) noexcept {
    for (int round = 0; round < 10; ++round) {
        std::uint64_t const left = std::uint64_t{0xD2511F53} * counter[0];
        std::uint64_t const right = std::uint64_t{0xCD9E8D57} * counter[2];
        counter = {
            static_cast<std::uint32_t>(right >> 32) ^ counter[1] ^ key[0],
            static_cast<std::uint32_t>(right),
            static_cast<std::uint32_t>(left >> 32) ^ counter[3] ^ key[1],
            static_cast<std::uint32_t>(left)};
        key[0] += 0x9E3779B9; // the golden ratio
        key[1] += 0xBB67AE85; // the square root of 3, less 1
    }
    return counter;
}

} // namespace detail

constexpr void TaskRng::fill() noexcept {
    auto const low = [](std::uint64_t number) { return static_cast<std::uint32_t>(number); };
    auto const high = [](std::uint64_t number) { return static_cast<std::uint32_t>(number >> 32); };
    auto const words =
        detail::philox4x32({low(block_), high(block_), low(index_), high(index_)}, {low(seed_), high(seed_)});
    numbers_ = {words[0] | std::uint64_t{words[1]} << 32, words[2] | std::uint64_t{words[3]} << 32};
}

constexpr TaskRng::result_type TaskRng::operator()() noexcept {
    if (second_) {
        second_ = false;
        ++block_;
        return numbers_[1];
    }
    fill();
    second_ = true;
    return numbers_[0];
}

constexpr void TaskRng::discard(std::uint64_t count) noexcept {
    bool const odd = count % 2 != 0;
    block_ += count / 2 + (odd && second_ ? 1 : 0);
    second_ = second_ != odd;
    if (second_) fill();
}

constexpr std::uint64_t TaskRng::below(std::uint64_t n) {
    if (n == 0) throw ValueError("TaskRng.below: there is no number below 0");
    std::uint64_t const surplus = (0 - n) % n; // 2^64 modulo n: so many numbers would make some remainders likelier
    for (;;) {
        std::uint64_t const number = (*this)();
        if (number >= surplus) return number % n;
    }
}

// Karney's "algorithm N" (Sampling exactly from the normal distribution, 2016): the whole part k of a number is chosen with the
// probability exp(-k^2/2), and a fraction x accepted with exp(-x (2k + x)/2). All of it compares whole numbers of 64 bits.
// The usual ways need a logarithm, whose last digit depends on the library that computes it.

namespace detail {

/// 2^64 times the probability that the whole part is not above k. Above 9 it is less than 2^-64.
inline constexpr std::array<std::uint64_t, 9> normal_whole_parts{
    0x92025B19482CE72C,
    0xEA91798547A0EF94,
    0xFE5415C6E9DA4BAF,
    0xFFF3523319908C12,
    0xFFFFDC31B8EF5942,
    0xFFFFFFDAA2D72345,
    0xFFFFFFFFF1A20DA4,
    0xFFFFFFFFFFFDF76C,
    0xFFFFFFFFFFFFFFE5};

} // namespace detail

/// True with the probability exp(-x (2k + x)/(2k + 2)), if `side` is the probability (2k + x)/(2k + 2); all in units of 2^-64.
/// So often is the length of a run of falling random numbers even, which starts at x and breaks off with 1 - side.
constexpr bool TaskRng::accepts(std::uint64_t x, std::uint64_t side) noexcept {
    bool even = true;
    for (std::uint64_t last = x, next = (*this)(); next < last && (*this)() < side; next = (*this)()) {
        last = next;
        even = !even;
    }
    return even;
}

constexpr double TaskRng::normal() noexcept {
    for (;;) {
        std::uint64_t const choice = (*this)();
        std::uint64_t k = 0;
        while (k < detail::normal_whole_parts.size() && choice >= detail::normal_whole_parts[k]) ++k;
        std::uint64_t const x = (*this)() | 2;
        std::uint64_t const side = 0 - (0 - x / 2) / (k + 1); // 1 - (1 - x/2)/(k + 1)
        bool accepted = true;
        for (std::uint64_t left = k + 1; accepted && left != 0; --left) accepted = accepts(x, side);
        if (!accepted) continue;
        double const size = static_cast<double>(k) + static_cast<double>(x >> 11) * 0x1p-53;
        return choice % 2 != 0 ? -size : size;
    }
}

} // namespace multiprocessing::inline v0
