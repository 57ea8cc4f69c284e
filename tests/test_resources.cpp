// runs per start method
#include <multiprocessing/detail/archive.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/resources.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"
#include "support/sanitizers.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#if !defined(_WIN32)
#    include <sys/resource.h>
#endif

namespace mp = multiprocessing;
using namespace std::chrono_literals;
using mp::WorkerLimits;
using mp::detail::apply_limits;
using multiprocessing_test::Board;

namespace {

int told_threads = 0;

int exitcode_of(
    void (*target)(Board, WorkerLimits, unsigned),
    Board const& board,
    WorkerLimits const& limits,
    unsigned number = 0) {
    mp::Process process(target, board, limits, number);
    process.start();
    process.join();
    return process.exitcode().value();
}

} // namespace

/// As in a program that is linked with OpenMP.
extern "C" void omp_set_num_threads(int count) { told_threads = count; }

TEST_CASE("limits that make no sense anywhere") {
    using Catch::Matchers::Message;
    CHECK_NOTHROW(apply_limits({}, 0));
    CHECK_THROWS_MATCHES(apply_limits({.memory = 0}, 0), mp::ValueError, Message("WorkerLimits: memory must not be 0"));
    CHECK_THROWS_AS(apply_limits({.address_space = 0}, 0), mp::ValueError);
    CHECK_THROWS_AS(apply_limits({.cpu_time = 0s}, 0), mp::ValueError);
    CHECK_THROWS_AS(apply_limits({.processors = {0, -1}}, 0), mp::ValueError);
    CHECK_THROWS_AS(apply_limits({.threads = 0}, 0), mp::ValueError);
}

TEST_CASE("limits travel") {
    WorkerLimits const limits{
        .memory = 1,
        .address_space = 2,
        .cpu_time = 3s,
        .nice = 4,
        .processors = {5, 6},
        .one_processor_each = true,
        .threads = 7};
    for (WorkerLimits const& each : {limits, WorkerLimits()}) {
        mp::detail::byte_buffer bytes;
        mp::detail::save(bytes, each);
        CHECK(mp::detail::load<WorkerLimits>(bytes.bytes()) == each);
    }
}

// ---- threads of libraries

namespace {

void report_threads(Board board, WorkerLimits limits, unsigned number) {
    apply_limits(limits, number);
    for (char const* const name : mp::platform::thread_count_variables) {
        char const* const value = std::getenv(name);
        board.add(value != nullptr && std::string(value) == "3");
    }
    board.set(told_threads, 1);
}

} // namespace

TEST_CASE("libraries for numbers are told how many threads to start") {
    Board const board = Board::make();
    CHECK(exitcode_of(report_threads, board, {.threads = 3}) == 0);
    CHECK(board.get() == 5);
#if defined(__linux__)
    CHECK(board.get(1) == 3);
#endif
}

// ---- processors

namespace {

void report_processors(Board board, WorkerLimits limits, unsigned number) {
    try {
        apply_limits(limits, number);
    } catch (mp::OSError const& error) {
        return board.write(error.what());
    }
    std::string text;
    for (int const processor : mp::platform::usable_processors()) text += std::to_string(processor) + ' ';
    board.write(text);
}

} // namespace

#if !defined(__APPLE__)

TEST_CASE("workers run on the processors that were given") {
    std::vector<int> const usable = mp::platform::usable_processors();
    REQUIRE_FALSE(usable.empty());
    Board const board = Board::make();
    for (int const processor : {usable.front(), usable.back()}) {
        CHECK(exitcode_of(report_processors, board, {.processors = {processor}}) == 0);
        CHECK(board.text() == std::to_string(processor) + ' ');
    }
    CHECK(exitcode_of(report_processors, board, {.processors = usable}) == 0);
    std::string all;
    for (int const processor : usable) all += std::to_string(processor) + ' ';
    CHECK(board.text() == all);
}

TEST_CASE("each worker runs on one processor, in turn") {
    std::vector<int> const usable = mp::platform::usable_processors();
    Board const board = Board::make();
    for (unsigned number = 0; number < 3; ++number) {
        CHECK(exitcode_of(report_processors, board, {.one_processor_each = true}, number) == 0);
        CHECK(board.text() == std::to_string(usable[number % usable.size()]) + ' ');
    }
    std::vector<int> const backwards(usable.rbegin(), usable.rend());
    CHECK(exitcode_of(report_processors, board, {.processors = backwards, .one_processor_each = true}) == 0);
    CHECK(board.text() == std::to_string(usable.back()) + ' ');
}

TEST_CASE("a processor that does not exist is an OSError that names it") {
    Board const board = Board::make();
    CHECK(exitcode_of(report_processors, board, {.processors = {3000}}) == 0);
    CHECK(board.text().starts_with("WorkerLimits: processors 3000: "));
}

#endif

#if !defined(_WIN32)

// ---- priority, time and memory

namespace {

void report_niceness(Board board, WorkerLimits limits, unsigned number) {
    apply_limits(limits, number);
    board.set(::getpriority(PRIO_PROCESS, 0));
}

} // namespace

TEST_CASE("workers may be nice to others") {
    Board const board = Board::make();
    CHECK(exitcode_of(report_niceness, board, {.nice = 4}) == 0);
    CHECK(board.get() == std::min(19, ::getpriority(PRIO_PROCESS, 0) + 4));
}

namespace {

void compute(Board, WorkerLimits limits, unsigned number) {
    apply_limits(limits, number);
    auto const until = std::chrono::steady_clock::now() + multiprocessing_test::patience;
    while (std::chrono::steady_clock::now() < until) {
    }
}

void report_limit(Board board, WorkerLimits limits, unsigned number) {
    apply_limits(limits, number);
    limits.cpu_time = 1000s; // does not make it longer again
    apply_limits(limits, number);
    struct rlimit limit {};
    ::getrlimit(RLIMIT_CPU, &limit);
    board.set(static_cast<std::int64_t>(limit.rlim_cur), 0);
    board.set(static_cast<std::int64_t>(limit.rlim_max), 1);
}

} // namespace

TEST_CASE("a worker that computes for too long is ended") {
    Board const board = Board::make();
    CHECK(exitcode_of(compute, board, {.cpu_time = 1s}) == -SIGXCPU);
    CHECK(exitcode_of(report_limit, board, {.cpu_time = 30s}) == 0);
    CHECK(board.get(0) == 30);
    CHECK(board.get(1) == 31);
}

#endif

#if defined(__linux__)

namespace {

constexpr std::uint64_t megabyte = 1 << 20;

void allocate(Board board, WorkerLimits limits, unsigned number) {
    apply_limits(limits, number);
    for (std::int64_t const size : {100, 1000}) {
        try {
            auto* const memory = new std::byte[static_cast<std::uint64_t>(size) * megabyte];
            void* volatile escaped = memory; // or the compiler leaves it out
            delete[] static_cast<std::byte*>(escaped);
            board.set(size);
        } catch (std::bad_alloc const&) {
            board.set(size, 1);
        }
    }
    Board::make(); // shared memory does not count
}

} // namespace

TEST_CASE("a worker cannot allocate more than it may") {
    if (multiprocessing_test::with_sanitizer) return; // the memory of a sanitizer would count
    Board const board = Board::make();
    CHECK(exitcode_of(allocate, board, {.address_space = 600 * megabyte}) == 0);
    CHECK(board.get(0) == 100);
    CHECK(board.get(1) == 1000);
}

#endif

#if !defined(__APPLE__)

TEST_CASE("memory in use is noticed") {
    std::uint64_t const before = mp::platform::resident_memory();
    REQUIRE(before > 0);
    CHECK_FALSE(mp::detail::exceeds_memory({}));
    CHECK(mp::detail::exceeds_memory({.memory = 1}));
    WorkerLimits const limits{.memory = before + (std::uint64_t{32} << 20)};
    CHECK_FALSE(mp::detail::exceeds_memory(limits));
    std::vector<char> const used(std::size_t{64} << 20, 'x');
    CHECK(used[used.size() / 2] == 'x');
    CHECK(mp::detail::exceeds_memory(limits));
}

#endif
