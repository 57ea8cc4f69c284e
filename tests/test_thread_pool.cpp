#include <multiprocessing/task.hpp>
#include <multiprocessing/thread_pool.hpp>
#include <multiprocessing/util.hpp>

#include "support/catch.hpp"
#include "support/hidden_case.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <iterator>
#include <list>
#include <memory>
#include <mutex>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <vector>

#if !defined(_WIN32)
#    include "support/forked.hpp"
#endif

namespace mp = multiprocessing;
using namespace std::chrono_literals;

namespace {

long square(long x) { return x * x; }
std::string twice(std::string const& text) { return text + text; }
double power(double base, int exponent) {
    double result = 1;
    for (int i = 0; i < exponent; ++i) result *= base;
    return result;
}
int odd_only(int x) {
    if (x % 2 == 0) throw std::domain_error(std::to_string(x));
    return x;
}

/// A call that runs until it is told to end.
struct Gate {
    std::promise<void> opened;
    std::shared_future<void> open{opened.get_future().share()};
    std::promise<void> reached;
    std::future<void> entered{reached.get_future()};

    void pass() {
        reached.set_value();
        open.wait();
    }
};

template <class Iterable>
std::vector<int> all_of(Iterable results) {
    std::vector<int> all;
    for (int x : results) all.push_back(x);
    return all;
}

} // namespace

TEST_CASE("threads: map") {
    mp::ThreadPool pool(3);
    std::vector<long> numbers(1000);
    std::iota(numbers.begin(), numbers.end(), 0L);
    std::vector<long> squares;
    for (long x : numbers) squares.push_back(x * x);
    CHECK(pool.map(square, numbers) == squares);
    CHECK(pool.map(square, numbers, 7) == squares);
    CHECK(pool.map(square, numbers, {.chunksize = 5000}) == squares);
    CHECK(pool.map(square, {1, 2}) == std::vector<long>{1, 4});
    CHECK(pool.map(square, std::list<short>{3, 4}) == std::vector<long>{9, 16});
    CHECK(pool.map(twice, {"a", "b"}) == std::vector<std::string>{"aa", "bb"});
    CHECK(pool.map([](bool yes) { return !yes; }, std::vector<bool>{true, false}) == std::vector<bool>{false, true});
    CHECK(pool.map(square, std::vector<long>()).empty());
    CHECK(pool.starmap(power, {std::pair(2, 3), std::pair(3, 2)}) == std::vector<double>{8, 9});
    CHECK(pool.starmap(power, std::vector{std::tuple(2.0, 3)}, 1) == std::vector<double>{8});
}

TEST_CASE("threads: items are handed over themselves, results moved") {
    mp::ThreadPool pool(2);
    std::vector<std::string> texts{"a", "b", "c"};
    pool.map([](std::string& text) { text += "!"; }, texts);
    CHECK(texts == std::vector<std::string>{"a!", "b!", "c!"});

    auto const data = std::make_unique<int>(5);
    auto const sums = pool.map([&](int x) { return std::make_unique<int>(x + *data); }, {1, 2});
    CHECK(*sums[1] == 7);

    std::vector<std::unique_ptr<int>> boxes;
    boxes.push_back(std::make_unique<int>(3));
    CHECK(pool.map([](std::unique_ptr<int> box) { return *box; }, std::move(boxes)) == std::vector<int>{3});

    auto result = pool.map_async(
        [](std::unique_ptr<int> box) { return box; },
        [] {
            std::vector<std::unique_ptr<int>> all;
            all.push_back(std::make_unique<int>(4));
            return all;
        }());
    CHECK(*std::move(result).get()[0] == 4);
}

TEST_CASE("threads: nothing of a call is kept when its result is there") {
    mp::ThreadPool pool(2);
    auto const used = std::make_shared<int>(1);
    for (int times = 0; times < 100; ++times) {
        auto const result = pool.map_async([used](int x) { return x + *used; }, std::vector<int>{1, 2, 3});
        result.wait();
        CHECK(used.use_count() == 1);
        auto const other = pool.apply_async([](std::shared_ptr<int> const& x) { return *x; }, used);
        other.wait();
        CHECK(used.use_count() == 1);
    }
}

TEST_CASE("threads: a result is moved out although a thread has just delivered it") {
    mp::ThreadPool pool(2);
    for (int i = 0; i < 1000; ++i) CHECK(*pool.apply([i] { return std::make_unique<int>(i); }) == i);
}

TEST_CASE("threads: apply") {
    mp::ThreadPool pool(1);
    CHECK(pool.apply(power, 2, 5) == 32);
    auto const here = std::this_thread::get_id();
    CHECK(pool.apply([&] { return std::this_thread::get_id() != here; }));
    int calls = 0;
    pool.apply([&] { ++calls; });
    CHECK(calls == 1);
    auto const result = pool.apply_async(power, 3, 2);
    CHECK(result.get() == 9);
    CHECK(result.successful());
    CHECK(pool.apply_async(power, std::tuple(2, 4), {}).get() == 16);
}

TEST_CASE("threads: exceptions arrive as they were thrown") {
    mp::ThreadPool pool(2);
    std::atomic<int> ran = 0;
    try {
        pool.map(
            [&](int x) {
                ++ran;
                return odd_only(x);
            },
            {1, 3, 4, 5, 7},
            {.chunksize = 1});
        FAIL("no exception");
    } catch (std::domain_error const& error) {
        CHECK(std::string(error.what()) == "4");
        CHECK(dynamic_cast<mp::RemoteError const*>(&error) == nullptr);
    }
    CHECK(ran == 5);
    CHECK_THROWS_AS(pool.apply([] { throw 7; }), int);
    CHECK_THROWS_AS(pool.apply([] { throw mp::SystemExit(3); }), mp::SystemExit);
    auto const result = pool.apply_async(odd_only, 2);
    CHECK_THROWS_AS(result.get(), std::domain_error);
    CHECK_THROWS_AS(result.get(), std::domain_error);
    CHECK_FALSE(result.successful());

    auto const outcomes = pool.map(odd_only, {1, 2, 3}, {.on_error = mp::collect});
    REQUIRE(outcomes.size() == 3);
    CHECK(*outcomes[2] == 3);
    CHECK_THROWS_AS(outcomes[1].value(), std::domain_error);
    auto const later = pool.map_async(odd_only, std::vector<int>{1, 2}, {.on_error = mp::collect});
    CHECK_FALSE(later.get()[1].has_value());
    CHECK(pool.starmap(power, {std::pair(2, 3)}, {.on_error = mp::collect})[0].value() == 8);
}

TEST_CASE("threads: failed items are tried again") {
    mp::ThreadPool pool(2);
    std::atomic<int> tries = 0;
    auto const third_time = [&](std::string text) {
        if (++tries < 3) throw std::runtime_error(text);
        return text;
    };
    CHECK(pool.map(third_time, {"x"}, {.retries = 2}) == std::vector<std::string>{"x"});
    tries = 0;
    CHECK_THROWS_AS(pool.map(third_time, {"x"}, {.retries = 1}), std::runtime_error);
    tries = 0;
    CHECK(pool.apply_async(third_time, std::tuple("y"), {.retries = 2}).get() == "y");
    CHECK_THROWS_AS(
        pool.map_async([](std::unique_ptr<int>) {}, std::vector<std::unique_ptr<int>>(1), {.retries = 1}),
        mp::ValueError);
}

TEST_CASE("threads: an item knows its position, and how often it was tried") {
    mp::ThreadPool pool(2);
    auto const index = [](int) { return static_cast<int>(*mp::task_index()); };
    CHECK(pool.map(index, std::vector<int>(5)) == std::vector<int>{0, 1, 2, 3, 4});
    int next = 0;
    for (int const each : pool.imap(index, std::vector<int>(20))) CHECK(each == next++);
    CHECK(next == 20);
    auto const third_time = [](int) {
        if (mp::task_attempt() < 3) throw std::runtime_error("not yet");
        return mp::task_attempt();
    };
    CHECK(pool.map(third_time, std::vector<int>(2), {.retries = 2}) == std::vector<unsigned>{3, 3});
    CHECK_FALSE(mp::task_index());
}

TEST_CASE("threads: progress") {
    mp::ThreadPool pool(2);
    std::atomic<std::uint64_t> last = 0;
    std::atomic<int> ends = 0;
    mp::Progress const progress(
        [&](mp::ProgressState const& state) {
            last = state.done;
            ends += state.finished;
        },
        {.interval = std::chrono::nanoseconds(1)});
    std::vector<int> const items(50, 3);
    auto const same = [](int x) { return x; };
    pool.map(same, items, {.progress = progress});
    CHECK(last == 50);
    pool.map_async(same, items, {.progress = progress}).wait();
    CHECK(last == 50);
    for (int const each : pool.imap(same, items, {.progress = progress})) CHECK(each == 3);
    CHECK(last == 50);
    CHECK(ends == 3);
}

TEST_CASE("threads: callbacks run before the result is there") {
    mp::ThreadPool pool(1);
    std::vector<std::string> seen;
    auto const sum = pool.map_async(square, std::vector<int>{1, 2}, {}, {.callback = [&](std::vector<long> const& all) {
                                        seen.push_back(std::to_string(all.size()));
                                    }});
    sum.wait();
    CHECK(seen == std::vector<std::string>{"2"});
    auto const failed =
        pool.apply_async(odd_only, std::tuple(2), {}, {.error_callback = [&](std::exception_ptr const& error) {
                             CHECK_THROWS_AS(std::rethrow_exception(error), std::domain_error);
                             seen.push_back("error");
                         }});
    failed.wait();
    CHECK(seen.size() == 2);
    auto const nothing = pool.apply_async([] {}, std::tuple(), {}, {.callback = [&] { seen.push_back("void"); }});
    nothing.get();
    CHECK(seen.size() == 3);
    auto const empty = pool.map_async(
        square, std::vector<int>(), {}, {.callback = [&](std::vector<long> const&) { seen.push_back("never"); }});
    CHECK(empty.ready());
    CHECK(empty.get().empty());
    CHECK(seen.size() == 3);
}

TEST_CASE("what a callback throws", "[.]") {
    mp::ThreadPool pool(1);
    auto const result = pool.apply_async(
        square, std::tuple(2), {}, {.callback = [](long) { throw std::runtime_error("from the callback"); }});
    REQUIRE(result.get() == 4);
    REQUIRE(pool.apply(square, 3) == 9);
}

TEST_CASE("threads: a callback that throws harms nothing") {
    auto const ended = multiprocessing_test::run_hidden_case("what a callback throws");
    CHECK(ended.exitcode == 0);
    CHECK(multiprocessing_test::count_of("from the callback", ended.errors) == 1);
}

TEST_CASE("threads: results one by one") {
    mp::ThreadPool pool(2);
    std::vector<int> const numbers{5, 6, 7, 8};
    auto const add = [](int x) { return x + 1; };
    CHECK(all_of(pool.imap(add, numbers)) == std::vector<int>{6, 7, 8, 9});
    CHECK(all_of(pool.imap(add, {5, 6}, {.chunksize = 2})) == std::vector<int>{6, 7});
    CHECK(all_of(pool.imap(add, std::vector<int>(100, 1), 3)) == std::vector<int>(100, 2));
    auto some_order = all_of(pool.imap_unordered(add, numbers));
    std::sort(some_order.begin(), some_order.end());
    CHECK(some_order == std::vector<int>{6, 7, 8, 9});
    CHECK(all_of(pool.imap(add, std::vector<int>())).empty());

    auto results = pool.imap(odd_only, {1, 2, 3});
    CHECK(results.next() == 1);
    CHECK_THROWS_AS(results.next(), std::domain_error);
    CHECK(results.next() == 3);
    CHECK(results.next() == std::nullopt);
    CHECK(results.next() == std::nullopt);

    auto nothing = pool.imap([](int) {}, {1, 2});
    CHECK(nothing.next().has_value());
    CHECK(nothing.next().has_value());
    CHECK_FALSE(nothing.next().has_value());
}

TEST_CASE("threads: imap reads only a few items ahead") {
    mp::ThreadPool pool(2);
    std::atomic<int> read = 0;
    struct Endless {
        std::atomic<int>* read;
        struct iterator {
            using value_type = int;
            using difference_type = std::ptrdiff_t;
            std::atomic<int>* read = nullptr;
            int operator*() const { return *read; }
            iterator& operator++() {
                if (++*read == 1000) throw std::length_error("enough");
                return *this;
            }
            void operator++(int) { ++*this; }
            bool operator==(std::default_sentinel_t) const { return false; }
        };
        iterator begin() const { return {read}; }
        std::default_sentinel_t end() const { return {}; }
    };
    {
        auto results = pool.imap([](int x) { return x; }, Endless{&read});
        for (int i = 0; i < 20; ++i) CHECK(results.next() == i);
        CHECK(read < 40);
        int last = 0;
        CHECK_THROWS_AS(
            [&] {
                for (int x : results) last = x;
            }(),
            std::length_error);
        CHECK(last == 999);
        CHECK(results.next() == std::nullopt);
    }
}

TEST_CASE("threads: a result that does not come in time can still come") {
    mp::ThreadPool pool(1);
    Gate gate;
    auto results = pool.imap([&](int x) { return gate.pass(), x; }, {1});
    CHECK_THROWS_AS(results.next(0s), mp::TimeoutError);
    CHECK_THROWS_AS(results.next(1ms), mp::TimeoutError);
    gate.opened.set_value();
    CHECK(results.next() == 1);
}

TEST_CASE("threads: the end of an iterator cancels what is queued") {
    mp::ThreadPool pool(1);
    Gate gate;
    std::atomic<int> ran = 0;
    {
        auto const results = pool.imap([&](int) { gate.pass(), ++ran; }, {1, 2, 3});
        gate.entered.wait();
    }
    gate.opened.set_value();
    CHECK(pool.apply(square, 2) == 4);
    CHECK(ran == 1);
}

TEST_CASE("threads: close lets a begun imap go on, join does not") {
    mp::ThreadPool pool(1);
    auto results = pool.imap(odd_only, std::vector<int>(50, 1));
    pool.close();
    CHECK_THROWS_AS(pool.apply(square, 1), mp::ValueError);
    CHECK_THROWS_AS(pool.imap(square, {1}), mp::ValueError);
    for (int i = 0; i < 40; ++i) CHECK(results.next() == 1);
    pool.join();
    CHECK_THROWS_AS(all_of(std::move(results)), mp::ValueError);
}

TEST_CASE("threads: calls can be given up") {
    mp::ThreadPool pool(1);
    Gate gate;
    auto running = pool.apply_async([&] { gate.pass(); });
    gate.entered.wait();
    bool ran = false;
    auto queued = pool.apply_async([&] { ran = true; });
    std::stop_source stop;
    auto stopped = pool.map_async([&](int) { ran = true; }, std::vector<int>{1, 2}, {.stop = stop.get_token()});
    CHECK(queued.cancel());
    CHECK_FALSE(queued.cancel());
    CHECK_THROWS_AS(queued.get(), mp::CancelledError);
    stop.request_stop();
    CHECK_THROWS_AS(stopped.get(), mp::CancelledError);
    CHECK(running.cancel());
    CHECK_THROWS_AS(running.get(), mp::CancelledError);
    CHECK_THROWS_AS(pool.map(square, {1}, {.stop = stop.get_token()}), mp::CancelledError);
    CHECK_THROWS_AS(pool.apply_async(square, std::tuple(1), {.stop = stop.get_token()}).get(), mp::CancelledError);
    gate.opened.set_value();
    CHECK(pool.apply(square, 2) == 4);
    CHECK_FALSE(ran);
}

TEST_CASE("threads: a stop ends a call that waits, when nobody runs its items any more") {
    mp::ThreadPool pool(2);
    Gate gate;
    std::stop_source stop;
    std::atomic<int> ran = 0;
    std::jthread const asker([&] {
        gate.entered.wait();
        stop.request_stop();
        gate.opened.set_value();
    });
    struct Mine {
        std::atomic<bool> alive = true;
        ~Mine() { alive = false; }
    };
    std::vector<int> numbers(10000);
    std::iota(numbers.begin(), numbers.end(), 0);
    {
        Mine mine;
        CHECK_THROWS_AS(
            pool.map(
                [&](int i) {
                    i == 0 ? gate.pass() : gate.open.wait();
                    if (!mine.alive) std::abort();
                    ++ran;
                },
                numbers,
                {.chunksize = 1, .stop = stop.get_token()}),
            mp::CancelledError);
    }
    CHECK(ran <= 2);
    CHECK(pool.apply(square, 2) == 4);
}

TEST_CASE("threads: terminate drops what is queued, and waits for nothing") {
    mp::ThreadPool pool(1);
    Gate gate;
    auto const running = pool.apply_async([&] { return gate.pass(), 1; });
    gate.entered.wait();
    auto const queued = pool.apply_async(square, 2);
    auto const more = pool.map_async(square, std::vector<int>{1, 2}, {.on_error = mp::collect});
    pool.terminate();
    CHECK_THROWS_AS(queued.get(), mp::ProcessError);
    CHECK_THROWS_AS(more.get(), mp::ProcessError);
    CHECK_FALSE(running.ready());
    CHECK(pool.to_string() == "<multiprocessing.pool.ThreadPool state=TERMINATE pool_size=1>");
    gate.opened.set_value();
    CHECK(running.get() == 1);
    pool.join();
    CHECK_THROWS_AS(pool.map(square, {1}), mp::ValueError);
}

TEST_CASE("threads: the states of a pool") {
    mp::ThreadPool pool(2);
    CHECK(pool.to_string() == "<multiprocessing.pool.ThreadPool state=RUN pool_size=2>");
    CHECK_THROWS_AS(pool.join(), mp::ValueError);
    auto const result = pool.map_async(square, std::vector<int>(100, 2));
    pool.close();
    pool.close();
    pool.join();
    CHECK(result.ready());
    pool.join();
    CHECK(pool.to_string() == "<multiprocessing.pool.ThreadPool state=CLOSE pool_size=2>");
    CHECK_THROWS_AS(pool.apply_async(square, 1), mp::ValueError);
    pool.terminate();
    auto other = mp::ThreadPool(1);
    pool = std::move(other);
    CHECK(pool.apply(square, 5) == 25);
    auto taken = std::move(pool);
    CHECK(taken.apply(square, 5) == 25);
}

TEST_CASE("threads: wrong numbers are refused") {
    CHECK_THROWS_AS(mp::ThreadPool(0), mp::ValueError);
    CHECK_THROWS_AS(mp::ThreadPool(-1), mp::ValueError);
    mp::ThreadPool pool({.processes = 1});
    CHECK_THROWS_AS(pool.map(square, {1}, {.chunksize = 0}), mp::ValueError);
    CHECK_THROWS_AS(pool.imap(square, {1}, {.chunksize = -1}), mp::ValueError);
    CHECK_THROWS_AS(pool.map(square, {1}, {.timeout = 1s}), mp::ValueError);
    CHECK_THROWS_AS(pool.map(square, {1}, {.retries = -1}), mp::ValueError);
    CHECK_THROWS_AS(pool.map(square, {1}, {.quarantine_after = 0}), mp::ValueError);
}

TEST_CASE("threads: each is initialised") {
    std::mutex mutex;
    std::set<std::thread::id> initialised;
    {
        mp::ThreadPool pool(
            3,
            [&](std::string const& text) {
                if (text != "x") std::abort();
                std::scoped_lock const guard(mutex);
                initialised.insert(std::this_thread::get_id());
            },
            "x");
        pool.map(
            [&](int) {
                std::scoped_lock const guard(mutex);
                if (!initialised.contains(std::this_thread::get_id())) throw std::logic_error("not initialised");
            },
            std::vector<int>(100, 1));
        pool.close();
        pool.join();
    }
    CHECK(initialised.size() == 3);

    mp::ThreadPool broken(2, [] { throw std::domain_error("no"); });
    CHECK_THROWS_AS(broken.apply(square, 1), std::domain_error);
    CHECK_THROWS_AS(broken.map(square, {1, 2}), std::domain_error);
}

TEST_CASE("threads: several threads use and end a pool") {
    mp::ThreadPool pool(3);
    std::vector<std::jthread> users;
    std::atomic<int> right = 0;
    for (int i = 0; i < 4; ++i) {
        users.emplace_back([&, i] {
            for (int times = 0; times < 50; ++times) {
                if (pool.map(square, {i, i + 1}) == std::vector<long>{i * i, (i + 1) * (i + 1)}) ++right;
            }
        });
    }
    users.clear();
    CHECK(right == 200);
    users.emplace_back([&] {
        try {
            for (;;) pool.map(square, std::vector<int>(100, 1));
        } catch (mp::ProcessError const&) {
        } catch (mp::ValueError const&) {
        }
    });
    pool.terminate();
    users.clear();
    pool.join();
}

#if !defined(_WIN32)
TEST_CASE("threads: a pool is its maker's") {
    mp::ThreadPool pool(2);
    auto const result = pool.apply_async(square, 3);
    result.wait();
    CHECK(multiprocessing_test::in_child([&] {
              try {
                  pool.map(square, {1});
                  return 1;
              } catch (mp::AssertionError const&) {
              }
              try {
                  result.get();
                  return 2;
              } catch (mp::AssertionError const&) {
              }
              { auto const ends_here = std::move(pool); }
              return 0;
          }) == 0);
    CHECK(pool.apply(square, 2) == 4);
}
#endif
