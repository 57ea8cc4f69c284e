// runs per start method
#include <multiprocessing/process.hpp>
#include <multiprocessing/sharedctypes.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <list>
#include <mutex>
#include <numeric>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace mp = multiprocessing;
using multiprocessing_test::Board;

namespace {

struct Point {
    int x = 0;
    double y = 0;
    bool operator==(Point const&) const = default;
};

template <class F, class... Args>
void run_in_child(F function, Args const&... args) {
    mp::Process child(function, args...);
    child.start();
    child.join();
    REQUIRE(child.exitcode() == 0);
}

template <class Printable>
std::string text_of(Printable const& object) {
    std::ostringstream stream;
    stream << object;
    return stream.str();
}

mp::Value<int> const static_value(3);

template <class Handle>
concept has_lock = requires(Handle const& handle) {
    handle.get_lock();
    handle.get_obj();
    handle.acquire();
};
template <class T>
concept has_value = requires(mp::Array<T> const& array) { array.value(); };

static_assert(std::is_same_v<mp::typecode<'c'>, char> && std::is_same_v<mp::typecode<'u'>, wchar_t>);
static_assert(std::is_same_v<mp::typecode<'b'>, signed char> && std::is_same_v<mp::typecode<'B'>, unsigned char>);
static_assert(std::is_same_v<mp::typecode<'h'>, short> && std::is_same_v<mp::typecode<'H'>, unsigned short>);
static_assert(std::is_same_v<mp::typecode<'i'>, int> && std::is_same_v<mp::typecode<'I'>, unsigned>);
static_assert(std::is_same_v<mp::typecode<'l'>, long> && std::is_same_v<mp::typecode<'L'>, unsigned long>);
static_assert(std::is_same_v<mp::typecode<'q'>, long long> && std::is_same_v<mp::typecode<'Q'>, unsigned long long>);
static_assert(std::is_same_v<mp::typecode<'f'>, float> && std::is_same_v<mp::typecode<'d'>, double>);
static_assert(has_lock<mp::Value<int>> && has_lock<mp::Array<int>>);
static_assert(!has_lock<mp::RawValue<int>> && !has_lock<mp::RawArray<int>>);
static_assert(has_value<char> && !has_value<wchar_t> && !has_value<int>);

} // namespace

// ---- Value

namespace {

void change_values(
    mp::Value<int> i, mp::Value<double> d, mp::Value<short, mp::Lock> h, mp::Value<long long> q, mp::Value<char> c) {
    i.value(-i.value());
    d.value(d.value() * 2);
    h.value(static_cast<short>(h.value() + 1));
    q.value(q.value() >> 1);
    c.value('z');
}
void change_raw_values(mp::RawValue<int> i, mp::RawValue<double> d, mp::RawValue<char> c, mp::RawValue<Point> p) {
    i.value(-i.value());
    *d *= 2;
    c.get_obj() = 'z';
    p->x = 5;
}

} // namespace

TEST_CASE("a value that a child changes is changed here") {
    mp::Value<int> const i(7);
    mp::Value<double> const d(1.25);
    mp::Value<short, mp::Lock> const h(-3);
    mp::Value<long long> const q(std::int64_t{1} << 33);
    mp::Value<char> const c('a');
    run_in_child(change_values, i, d, h, q, c);
    CHECK(i.value() == -7);
    CHECK(d.value() == 2.5);
    CHECK(h.value() == -2);
    CHECK(q.value() == std::int64_t{1} << 32);
    CHECK(c.value() == 'z');
    CHECK(static_value.value() == 3);
    CHECK(mp::Value<int>().value() == 0);
}

TEST_CASE("a raw value that a child changes is changed here") {
    mp::RawValue<int> const i(7);
    mp::RawValue<double> const d(1.25);
    mp::RawValue<char> const c;
    mp::RawValue<Point> const p;
    CHECK(c.value() == '\0');
    run_in_child(change_raw_values, i, d, c, p);
    CHECK(i.value() == -7);
    CHECK(d.value() == 2.5);
    CHECK(c.value() == 'z');
    CHECK(*p == Point{5, 0});
}

TEST_CASE("a value has a lock of its own, or the one that it is given") {
    mp::Value<int> const own(1);
    mp::RLock const its = own.get_lock();
    CHECK(its == own.get_lock());
    own.acquire();
    CHECK(its.to_string() == "<RLock(MainProcess, 1)>");
    own.release();
    CHECK_THROWS_AS(own.release(), mp::AssertionError);
    CHECK(&own.get_obj() == &mp::Value<int>(own).get_obj());

    mp::Lock const lock;
    mp::Value const first(1, lock);
    mp::Value const second(2.5, lock);
    CHECK(second.get_lock() == lock);
    {
        std::scoped_lock const guard(first);
        CHECK(lock.locked());
        CHECK_FALSE(second.try_lock());
    }
    mp::Value<int, mp::Semaphore> const with_semaphore(1, mp::Semaphore(1));
    with_semaphore += 1;
    CHECK(with_semaphore.value() == 2);
    CHECK(with_semaphore.get_lock().get_value() == 1);
}

namespace {

void acquire_in_child(mp::Value<int> own, mp::Value<int, mp::Lock> given, Board board) {
    std::scoped_lock const guard(own, given);
    board.add(1, 0);
    board.await(1, 1);
}

} // namespace

TEST_CASE("the lock of a value travels with it") {
    mp::Value<int> const own(1);
    mp::Lock const lock;
    mp::Value<int, mp::Lock> const given(1, lock);
    Board const board = Board::make();
    mp::Process child(acquire_in_child, own, given, board);
    child.start();
    REQUIRE(board.await(1, 0));
    CHECK_FALSE(own.acquire(false));
    CHECK_FALSE(lock.acquire(false));
    board.set(1, 1);
    child.join();
    CHECK(own.acquire(false));
    own.release();
}

TEST_CASE("the operators of a value do what those of the number do") {
    mp::Value const v(10);
    CHECK((v += 5) == 15);
    CHECK((v -= 1) == 14);
    CHECK((v *= 3) == 42);
    CHECK((v /= 4) == 10);
    CHECK((v %= 4) == 2);
    CHECK((v <<= 3) == 16);
    CHECK((v >>= 1) == 8);
    CHECK((v |= 3) == 11);
    CHECK((v &= 6) == 2);
    CHECK((v ^= 7) == 5);
    CHECK(++v == 6);
    CHECK(v++ == 6);
    CHECK(--v == 6);
    CHECK(v-- == 6);
    CHECK(v.fetch_add(2) == 5);
    CHECK(v.fetch_sub(3) == 7);
    CHECK(v.exchange(9) == 4);
    CHECK(v.value() == 9);
    CHECK(v.with_lock([](int& number) { return ++number; }) == 10);
    mp::Value<short> const narrow(1);
    narrow += 1;
    CHECK(narrow.value() == 2);
    mp::Value const real(1.5);
    CHECK((real *= 2) == 3.0);
}

namespace {

void count_many(mp::Barrier start, mp::Value<long> total, mp::Value<Point> point, mp::Array<int> array) {
    start.wait();
    for (int i = 0; i < 20'000; ++i) {
        total += 2;
        total--;
        point->x += 1;
        array[-1]++;
    }
}

} // namespace

TEST_CASE("the operators are atomic") {
    mp::Value<long> const total(0);
    mp::Value<Point> const point;
    mp::Array<int> const array(3);
    mp::Barrier const start(4);
    mp::Process one(count_many, start, total, point, array);
    mp::Process two(count_many, start, total, point, array);
    one.start();
    two.start();
    std::thread three(count_many, start, total, point, array);
    count_many(start, total, point, array);
    one.join();
    two.join();
    three.join();
    CHECK(total.value() == 80'000);
    CHECK(point.value().x == 80'000);
    CHECK(array[2] == 80'000);
}

namespace {

void acquire_and_end(mp::Value<int> value) { value.acquire(); }

} // namespace

TEST_CASE("a value outlives a process that ended with its lock") {
    mp::Value<int> const value(4);
    run_in_child(acquire_and_end, value);
    CHECK_THROWS_AS(value += 1, mp::OwnerDiedError);
    CHECK((value += 1) == 5);
}

// ---- Array

namespace {

void sum_up(std::span<int> all) {
    for (std::size_t i = 1; i < all.size(); ++i) all[i] += all[i - 1];
}
void sum_up_array(mp::Array<int> array) { sum_up(array); }
void sum_up_raw_array(mp::RawArray<int> array) { sum_up(array); }

template <template <class...> class Kind>
void check_array(void (*child)(Kind<int>)) {
    std::vector<int> numbers{680, 626, 934, 821, 150, 233, 548, 982, 714, 831};
    Kind<int> const array(numbers);
    auto const content = [&] { return std::vector<int>(array.begin(), array.end()); };
    CHECK(array.size() == 10);
    CHECK(array[3] == 821);
    CHECK(array.at(-1) == 831);
    CHECK(array.get() == numbers);
    CHECK(array.get({2, 7}) == std::vector{934, 821, 150, 233, 548});

    array.set({4, 8}, {1, 2, 3, 4});
    std::copy_n(std::array{1, 2, 3, 4}.begin(), 4, numbers.begin() + 4);
    CHECK(content() == numbers);

    run_in_child(child, array);
    sum_up(numbers);
    CHECK(content() == numbers);
    CHECK(array.at(0) == 680);
}

} // namespace

TEST_CASE("an array has positions and slices, and a child changes it in place") { check_array(sum_up_array); }

TEST_CASE("a raw array has the same") { check_array(sum_up_raw_array); }

TEST_CASE("slices are Python's") {
    mp::Array<int> const array{0, 1, 2, 3, 4, 5};
    using list = std::vector<int>;
    CHECK(array.get({1, 3}) == list{1, 2});
    CHECK(array.get({-2}) == list{4, 5});
    CHECK(array.get({.stop = -4}) == list{0, 1});
    CHECK(array.get({.step = 2}) == list{0, 2, 4});
    CHECK(array.get({1, 6, 2}) == list{1, 3, 5});
    CHECK(array.get({.step = -1}) == list{5, 4, 3, 2, 1, 0});
    CHECK(array.get({4, 1, -2}) == list{4, 2});
    CHECK(array.get({-100, 100}).size() == 6);
    CHECK(array.get({100, -100, -5}) == list{5, 0});
    CHECK(array.get({3, 3}).empty());
    CHECK(array.get({4, 2}).empty());
    CHECK(array.get({.step = PTRDIFF_MIN}) == list{5});
    CHECK(array.get({.step = PTRDIFF_MAX}) == list{0});
    CHECK(mp::Array<int>(0).get({.step = -1}).empty());
    CHECK_THROWS_AS(array.get({.step = 0}), mp::ValueError);
    array.set({.step = -2}, std::list<short>{50, 30, 10});
    CHECK(array.get() == list{0, 10, 2, 30, 4, 50});
    CHECK_THROWS_WITH(array.set({0, 2}, {1}), Catch::Contains("same size"));
    CHECK_THROWS_AS(array.assign(list(7)), mp::ValueError);
    CHECK(array.get() == list{0, 10, 2, 30, 4, 50});
    CHECK_THROWS_AS(array[6] = 1, std::out_of_range);
    CHECK_THROWS_AS(array.at(-7), std::out_of_range);
    CHECK_THROWS_AS(array.get_obj().at(6), std::out_of_range);
}

TEST_CASE("an array of a size is zero, also in memory that was used before") {
    for (int round = 0; round < 3; ++round) {
        mp::Array<int> const array(10);
        CHECK(array.size() == 10);
        CHECK(array.get() == std::vector<int>(10));
        std::vector<int> numbers(10);
        std::iota(numbers.begin(), numbers.end(), 0);
        array.assign(numbers);
        CHECK(array.get() == numbers);
        array.assign({9, 8, 7, 6, 5, 4, 3, 2, 1, 0});
        CHECK(array[0] == 9);
    }
    CHECK_THROWS_AS(mp::Array<int>(-1), mp::ValueError);
    CHECK_THROWS_AS(mp::RawArray<int>(-1), mp::ValueError);
    CHECK_THROWS_AS(mp::RawArray<double>(PTRDIFF_MAX), std::bad_alloc);
    CHECK(mp::Array<double>(0).empty());
    CHECK(reinterpret_cast<std::uintptr_t>(mp::RawArray<char>(100).data()) % 64 == 0);
}

TEST_CASE("an array has a lock of its own, or the one that it is given") {
    mp::Array<int> const own(3);
    {
        std::scoped_lock const guard(own);
        CHECK(own.get_lock().to_string() == "<RLock(MainProcess, 1)>");
        for (int& number : own) number = 4;
    }
    CHECK(own.get_obj()[2] == 4);
    mp::Lock const lock;
    mp::Array<int, mp::Lock> const given({1, 2}, lock);
    CHECK(given.get_lock() == lock);
    lock.acquire();
    CHECK_FALSE(given.try_lock());
    lock.release();
    given[0] = given[1];
    CHECK(given[0] == 2);
    CHECK(given[0].exchange(5) == 2);
    CHECK(given.with_lock([](std::span<int> all) { return all[0] + all[1]; }) == 7);
    CHECK(lock.acquire(false));
}

TEST_CASE("an array of characters is text") {
    mp::Array<char> const array("hello world");
    CHECK(array.size() == 11);
    CHECK(array.value() == "hello world");
    array.value("hi");
    CHECK(array.value() == "hi");
    CHECK(array.raw() == std::string("hi\0lo world", 11));
    array.raw("HELLO");
    CHECK(array.value() == "HELLO world");
    CHECK_THROWS_AS(array.value("longer than that"), mp::ValueError);
    CHECK_THROWS_AS(array.raw("longer than that"), mp::ValueError);
    mp::RawArray<char> const empty(3);
    CHECK(empty.value().empty());
    empty.value("abc");
    CHECK(empty.value() == "abc");
}

// ---- sharedctypes

namespace {

void double_raw(
    mp::RawValue<int> x,
    mp::RawValue<double> y,
    mp::RawValue<Point> point,
    mp::RawArray<double> array,
    mp::RawArray<char> text) {
    *x *= 2;
    *y *= 2;
    *point = {point->x * 2, point->y * 2};
    for (double& number : array) number *= 2;
    text.value(text.value() + text.value());
}
void double_locked(
    mp::Value<int> x, mp::Value<double> y, mp::Value<Point> point, mp::Array<double> array, mp::Array<char> text) {
    x *= 2;
    y *= 2;
    point.with_lock([](Point& old) { old = {old.x * 2, old.y * 2}; });
    for (std::ptrdiff_t i = 0; i < std::ssize(array); ++i) array[i] *= 2;
    std::scoped_lock const guard(text);
    text.value(text.value() + text.value());
}

} // namespace

TEST_CASE("a child changes values, structs, arrays and text without a lock") {
    mp::RawValue<int> const x(7);
    mp::RawValue<double> const y(1.0 / 3);
    mp::RawValue<Point> const point({3, 2});
    mp::RawArray<double> const array({0, 1, 2, 3});
    mp::RawArray<char> const text(20);
    text.value("hello");
    run_in_child(double_raw, x, y, point, array, text);
    CHECK(x.value() == 14);
    CHECK(y.value() == 2.0 / 3);
    CHECK(point.value() == Point{6, 4});
    CHECK(array.get() == std::vector<double>{0, 2, 4, 6});
    CHECK(text.value() == "hellohello");
}

TEST_CASE("a child changes values, structs, arrays and text with locks") {
    mp::Value<int> const x(7);
    mp::Value<double> const y(1.0 / 3);
    mp::Value<Point> const point({3, 2});
    mp::Array<double> const array({0, 1, 2, 3});
    mp::Array<char> const text(20);
    text.value("hello");
    run_in_child(double_locked, x, y, point, array, text);
    CHECK(x.value() == 14);
    CHECK(y.value() == 2.0 / 3);
    CHECK(point.value() == Point{6, 4});
    CHECK(array.get() == std::vector<double>{0, 2, 4, 6});
    CHECK(text.value() == "hellohello");
}

TEST_CASE("a copy is independent, synchronized is not") {
    mp::RawValue<Point> const point({1, 2});
    auto const other = mp::copy(point);
    point->x = 0;
    CHECK(other.value() == Point{1, 2});
    CHECK(mp::copy(mp::Value(5)).value() == 5);
    mp::Array<int> const array{1, 2, 3};
    auto const raw = mp::copy(array);
    array[0] = 9;
    CHECK(raw.get() == std::vector{1, 2, 3});

    auto const locked = mp::synchronized(raw);
    locked[0] += 4;
    CHECK(raw[0] == 5);
    CHECK(mp::synchronized(raw).get_lock() == locked.get_lock());
    mp::Lock const lock;
    CHECK(mp::synchronized(point, lock).get_lock() == lock);
    CHECK(mp::copy(raw).get() == raw.get());
}

TEST_CASE("types are deduced, and have a text") {
    mp::Value const number(5);
    mp::Array const array(std::list<long>{1, 2});
    mp::Array const text("abc");
    static_assert(std::is_same_v<decltype(array), mp::Array<long> const>);
    static_assert(std::is_same_v<decltype(text), mp::Array<char> const>);
    CHECK(text_of(number) == "<Synchronized wrapper for int(5)>");
    CHECK(text_of(mp::RawValue(2.5)) == "double(2.5)");
    CHECK(text_of(array) == "<SynchronizedArray wrapper for long[2]>");
    CHECK(text_of(text.get_obj()) == "char[3]");
    CHECK(text.value() == "abc");
}

namespace {

struct alignas(32) Wide {
    std::array<float, 8> lanes;
};

} // namespace

TEST_CASE("values are aligned as their type asks") {
    mp::Value<Wide> const wide;
    CHECK(reinterpret_cast<std::uintptr_t>(&wide.get_obj()) % alignof(Wide) == 0);
    mp::Value<long double> const exact(0.5L);
    CHECK(reinterpret_cast<std::uintptr_t>(&exact.get_obj()) % alignof(long double) == 0);
    CHECK(exact.value() == 0.5L);
    CHECK(mp::detail::arena::instance().contains(wide->lanes.data(), sizeof(Wide)));
}
