// runs per start method
#include <multiprocessing/context.hpp>
#include <multiprocessing/functional.hpp>
#include <multiprocessing/pool.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <list>
#include <memory>
#include <numeric>
#include <ranges>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace mp = multiprocessing;

namespace {

long square(long x) { return x * x; }
int length(std::string_view text) { return static_cast<int>(text.size()); }
std::string twice(std::string const& text) { return text + text; }
double power(double base, int exponent) {
    double result = 1;
    for (int i = 0; i < exponent; ++i) result *= base;
    return result;
}
void nothing(int) {}
std::unique_ptr<int> boxed(int x) { return std::make_unique<int>(x); }
bool is_odd(int x) { return x % 2 != 0; }
std::vector<double> many(int n) { return std::vector<double>(static_cast<std::size_t>(n), n); }

struct Point {
    double x;
    double y;
};
Point mirrored(Point point) { return {point.y, point.x}; }

struct NoDefault {
    explicit NoDefault(int value) : number(value) {}
    int number;
};
NoDefault make_no_default(int value) { return NoDefault(value); }

/// A function object whose state travels.
struct Adder {
    int amount = 0;
    int operator()(int x) const { return x + amount; }
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& amount;
    }
};

/// 7 and 8, which can be read once, and nobody knows how many they are.
struct OnceOnly {
    struct iterator {
        using value_type = int;
        using difference_type = std::ptrdiff_t;
        int operator*() const { return at; }
        iterator& operator++() {
            ++at;
            return *this;
        }
        void operator++(int) { ++at; }
        bool operator==(std::default_sentinel_t) const { return at == 9; }
        int at = 7;
    };
    iterator begin() const { return {}; }
    std::default_sentinel_t end() const { return {}; }
};

std::vector<long> numbers_up_to(long n) {
    std::vector<long> all(static_cast<std::size_t>(n));
    std::iota(all.begin(), all.end(), 0L);
    return all;
}

std::vector<long> squares_up_to(long n) {
    auto all = numbers_up_to(n);
    for (auto& x : all) x *= x;
    return all;
}

} // namespace

TEST_CASE("map gives the results in the order of the items") {
    mp::Pool pool(4);
    CHECK(pool.map(square, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) == squares_up_to(10));
    CHECK(pool.map(square, numbers_up_to(100), 20) == squares_up_to(100));
    CHECK(pool.map(square, numbers_up_to(100), {.chunksize = 1}) == squares_up_to(100));
    CHECK(pool.map(square, numbers_up_to(100), {.chunksize = 1000}) == squares_up_to(100));
    CHECK(pool.map(square, numbers_up_to(20'000)) == squares_up_to(20'000));
}

TEST_CASE("map takes any range, and converts its items") {
    mp::Pool pool(2);
    CHECK(pool.map(square, std::list<int>{1, 2, 3}) == std::vector<long>{1, 4, 9});
    CHECK(pool.map(square, std::array<short, 2>{4, 5}) == std::vector<long>{16, 25});
    CHECK(pool.map(length, std::vector<char const*>{"a", "bcd"}) == std::vector<int>{1, 3});
    CHECK(pool.map(length, {"", "four"}) == std::vector<int>{0, 4});
    CHECK(pool.map(square, std::vector<bool>{true, false}) == std::vector<long>{1, 0});
    CHECK(pool.map(square, OnceOnly()) == std::vector<long>{49, 64});
    std::vector<long> const empty;
    CHECK(pool.map(square, empty).empty());
    CHECK(pool.starmap(power, std::vector<std::pair<int, int>>()).empty());
}

TEST_CASE("items that lie in shared memory are not copied") {
    auto const memory = mp::detail::arena_block(3 * sizeof(long));
    auto* const items = memory.get<long>();
    std::iota(items, items + 3, 5L);
    std::span<long const> const view(items, 3);
    mp::detail::call_input<long, std::span<long const>> const input(view, true);
    mp::detail::batch work;
    input.describe(work);
    CHECK(work.input == memory.offset());
    mp::Pool pool(2);
    CHECK(pool.map(square, view) == std::vector<long>{25, 36, 49});
}

#if !defined(__clang__) || __clang_major__ >= 16 // clang 14 cannot use the views of libstdc++ 12
TEST_CASE("whole numbers of a view are not stored") {
    auto const view = std::views::iota(-3, 4);
    mp::detail::call_input<long, std::ranges::iota_view<int, int>> const input(view, true);
    mp::detail::batch work;
    input.describe(work);
    CHECK(work.input == 0);
    mp::Pool pool(2);
    CHECK(pool.map(square, view) == std::vector<long>{9, 4, 1, 0, 1, 4, 9});
}
#endif

TEST_CASE("results of all kinds") {
    mp::Pool pool(2);
    CHECK(pool.map(twice, std::vector<std::string>{"ab", "", "c"}) == std::vector<std::string>{"abab", "", "cc"});
    CHECK(pool.map(is_odd, {1, 2, 3}) == std::vector<bool>{true, false, true});
    auto const boxes = pool.map(boxed, {1, 2, 3});
    REQUIRE(boxes.size() == 3);
    CHECK(*boxes[2] == 3);
    auto const points = pool.map(mirrored, {Point{1, 2}, Point{3, 4}});
    CHECK(points[1].x == 4);
    CHECK(pool.map(make_no_default, {4, 5})[1].number == 5);
    static_assert(std::is_void_v<decltype(pool.map(nothing, {1}))>);
    pool.map(nothing, {1, 2, 3});
    // Results that need many regions of memory, and one that needs a big one.
    auto const lists = pool.map(many, std::vector<int>(50, 3000));
    CHECK(lists.size() == 50);
    CHECK(lists[49] == std::vector<double>(3000, 3000.0));
    CHECK(pool.map(many, {1'000'000})[0].size() == 1'000'000);
}

TEST_CASE("starmap unpacks its items") {
    mp::Pool pool(2);
    std::vector<std::pair<int, int>> const pairs{{2, 3}, {3, 2}};
    CHECK(pool.starmap(power, pairs) == std::vector<double>{8, 9});
    CHECK(pool.starmap(power, pairs, {.chunksize = 1}) == std::vector<double>{8, 9});
    CHECK(pool.starmap(power, {std::tuple(2.0, 2)}) == std::vector<double>{4});
    CHECK(pool.starmap([](auto a, auto b) { return a + b; }, {std::tuple(1, 2.5)}) == std::vector<double>{3.5});
}

TEST_CASE("apply calls once, in a worker") {
    mp::Pool pool(2);
    CHECK(pool.apply(square, 5) == 25);
    CHECK(pool.apply(power, 2, 10) == 1024);
    CHECK(pool.apply(twice, "ab") == "abab");
    pool.apply(nothing, 1);
    auto const pid = pool.apply([] { return mp::current_process().pid().value(); });
    auto const workers = pool.worker_pids();
    CHECK(std::find(workers.begin(), workers.end(), pid) != workers.end());
    CHECK(pool.apply([] { return mp::current_process().daemon(); }));
    CHECK(pool.apply([] { return mp::current_process().name(); }).starts_with("PoolWorker-"));
}

TEST_CASE("function objects with state travel") {
    mp::Pool pool(2);
    CHECK(pool.map(Adder{10}, {1, 2}) == std::vector<int>{11, 12});
    CHECK(pool.map(mp::partial(power, 2.0), {1, 2, 3}) == std::vector<double>{2, 4, 8});
    int factor = 3;
    CHECK(pool.map(mp::by_value([factor](int x) { return factor * x; }), {1, 2}) == std::vector<int>{3, 6});
    CHECK(pool.map([](auto x) { return x + 1; }, {1, 2}) == std::vector<int>{2, 3});
}

TEST_CASE("lambdas with captures run in workers that are forked for the call") {
    mp::Pool pool(2);
    std::vector<std::string> const words{"a", "b", "c"};
    auto const look_up = [&](std::size_t i) { return words[i] + std::to_string(words.size()); };
    if (mp::get_start_method() == mp::StartMethod::fork) {
        CHECK(pool.map(look_up, {2U, 0U}) == std::vector<std::string>{"c3", "a3"});
        CHECK(pool.apply(look_up, 1U) == "b3");
    } else {
        CHECK_THROWS_AS(pool.map(look_up, {2U, 0U}), mp::PicklingError);
    }
    CHECK(pool.map(square, {3}) == std::vector<long>{9}); // the pool has not been harmed
}

TEST_CASE("wrong numbers are refused") {
    CHECK_THROWS_AS(mp::Pool(0), mp::ValueError);
    CHECK_THROWS_AS(mp::Pool(-1), mp::ValueError);
    CHECK_THROWS_AS(mp::Pool({.maxtasksperchild = 0}), mp::ValueError);
    mp::Pool pool(3);
    CHECK(pool.worker_pids().size() == 3);
    CHECK_THROWS_AS(pool.map(square, {1}, {.chunksize = 0}), mp::ValueError);
    CHECK_THROWS_AS(pool.map(square, {1}, {.chunksize = -1}), mp::ValueError);
    CHECK(mp::Pool().worker_pids().size() == mp::process_cpu_count());
}

TEST_CASE("a pool has states") {
    mp::Pool pool(2);
    CHECK(pool.to_string() == "<multiprocessing.pool.Pool state=RUN pool_size=2>");
    CHECK_THROWS_AS(pool.join(), mp::ValueError);
    CHECK(pool.map(square, {2}) == std::vector<long>{4});
    pool.close();
    CHECK(pool.to_string() == "<multiprocessing.pool.Pool state=CLOSE pool_size=2>");
    CHECK_THROWS_AS(pool.map(square, {2}), mp::ValueError);
    CHECK_THROWS_AS(pool.apply(square, 2), mp::ValueError);
    std::vector<long> const empty;
    CHECK_THROWS_AS(pool.map(square, empty), mp::ValueError);
    pool.join();
    pool.join();
    pool.terminate();
    CHECK(pool.to_string() == "<multiprocessing.pool.Pool state=TERMINATE pool_size=2>");
    pool.close();
    CHECK_THROWS_AS(pool.map(square, {2}), mp::ValueError);
}

TEST_CASE("several threads may use a pool") {
    mp::Pool pool(2);
    std::array<std::vector<long>, 3> results;
    std::vector<std::thread> threads;
    for (auto& result : results) {
        threads.emplace_back([&] {
            for (int i = 0; i < 20; ++i) result = pool.map(square, numbers_up_to(500));
        });
    }
    for (auto& thread : threads) thread.join();
    for (auto const& result : results) CHECK(result == squares_up_to(500));
}

TEST_CASE("many calls do not make the shared memory grow") {
    mp::Pool pool(2);
    auto const call = [&] {
        pool.map(square, numbers_up_to(2000));
        pool.map(twice, std::vector<std::string>(100, "text"));
    };
    for (int i = 0; i < 20; ++i) call();
    auto const before = mp::detail::arena::instance().committed();
    for (int i = 0; i < 200; ++i) call();
    CHECK(mp::detail::arena::instance().committed() <= before + (std::size_t{1} << 20));
}
