#include <multiprocessing/future.hpp>

#include "support/catch.hpp"
#include "support/hidden_case.hpp"

#include <atomic>
#include <chrono>
#include <coroutine>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

namespace mp = multiprocessing;
namespace futures = mp::futures;
using futures::Future;
using namespace std::chrono_literals;

namespace {

Future<int> pending() { return {}; }
Future<int> running() {
    Future<int> future;
    future.set_running_or_notify_cancel();
    return future;
}
Future<int> cancelled() {
    Future<int> future;
    future.cancel();
    return future;
}
Future<int> notified() {
    auto future = cancelled();
    future.set_running_or_notify_cancel();
    return future;
}
Future<int> failed() {
    Future<int> future;
    future.set_exception(std::domain_error("bad"));
    return future;
}
Future<int> successful(int value = 42) {
    Future<int> future;
    future.set_result(value);
    return future;
}

std::vector<Future<int>> in_all_states() {
    return {pending(), running(), cancelled(), notified(), failed(), successful()};
}

std::vector<bool> of_all(std::vector<Future<int>> all, std::function<bool(Future<int>&)> ask) {
    std::vector<bool> answers;
    for (auto& one : all) answers.push_back(ask(one));
    return answers;
}

} // namespace

TEST_CASE("future: states") {
    auto const all = in_all_states();
    using answers = std::vector<bool>;
    CHECK(of_all(all, [](auto& f) { return f.cancelled(); }) == answers{0, 0, 1, 1, 0, 0});
    CHECK(of_all(all, [](auto& f) { return f.done(); }) == answers{0, 0, 1, 1, 1, 1});
    CHECK(of_all(all, [](auto& f) { return f.running(); }) == answers{0, 1, 0, 0, 0, 0});
    CHECK(of_all(all, [](auto& f) { return f.cancel(); }) == answers{1, 0, 1, 1, 0, 0});
    CHECK(of_all(all, [](auto& f) { return f.cancelled(); }) == answers{1, 0, 1, 1, 0, 0});
}

TEST_CASE("future: texts") {
    auto const text = [](Future<int> const& future) {
        auto const all = future.to_string();
        return all.substr(0, 13) + all.substr(all.find(" state"));
    };
    std::vector<std::string> texts;
    for (auto const& one : in_all_states()) texts.push_back(text(one));
    CHECK(
        texts == std::vector<std::string>{
                     "<Future at 0x state=pending>",
                     "<Future at 0x state=running>",
                     "<Future at 0x state=cancelled>",
                     "<Future at 0x state=cancelled>",
                     "<Future at 0x state=finished raised std::domain_error>",
                     "<Future at 0x state=finished returned int>"});
    Future<void> nothing;
    nothing.set_result();
    CHECK(nothing.to_string().find("returned None>") != std::string::npos);
}

TEST_CASE("future: result and exception, in every state") {
    auto all = in_all_states();
    CHECK_THROWS_AS(all[0].result(0s), mp::TimeoutError);
    CHECK_THROWS_AS(all[1].result(0s), mp::TimeoutError);
    CHECK_THROWS_AS(all[2].result(0s), mp::CancelledError);
    CHECK_THROWS_AS(all[3].result(0s), mp::CancelledError);
    CHECK_THROWS_AS(all[4].result(0s), std::domain_error);
    CHECK(all[5].result(0s) == 42);
    CHECK_THROWS_AS(all[0].exception(0s), mp::TimeoutError);
    CHECK_THROWS_AS(all[1].exception(-1s), mp::TimeoutError);
    CHECK_THROWS_AS(all[2].exception(0s), mp::CancelledError);
    CHECK_THROWS_AS(all[3].exception(0s), mp::CancelledError);
    CHECK_THROWS_AS(std::rethrow_exception(all[4].exception(0s)), std::domain_error);
    CHECK(all[5].exception(0s) == nullptr);
}

TEST_CASE("future: who waits is woken") {
    Future<int> with_value, with_error, given_up;
    std::vector<std::string> seen(3);
    {
        std::jthread const one([&] { seen[0] = std::to_string(with_value.result()); });
        std::jthread const two([&] { seen[1] = with_error.exception() ? "error" : "none"; });
        std::jthread const three([&] {
            try {
                given_up.result();
            } catch (mp::CancelledError const&) {
                seen[2] = "cancelled";
            }
        });
        with_value.set_result(7);
        with_error.set_exception(std::make_exception_ptr(7));
        given_up.cancel();
    }
    CHECK(seen == std::vector<std::string>{"7", "error", "cancelled"});
}

TEST_CASE("future: settled once") {
    auto future = successful();
    try {
        future.set_result(1);
        FAIL("no exception");
    } catch (futures::InvalidStateError const& error) {
        CHECK(std::string(error.what()).substr(0, 23) == "FINISHED: <Future at 0x");
    }
    CHECK_THROWS_AS(future.set_exception(std::domain_error("no")), futures::InvalidStateError);
    CHECK(future.result() == 42);
    CHECK_THROWS_AS(cancelled().set_result(1), futures::InvalidStateError);
    CHECK_THROWS_AS(failed().set_exception(std::domain_error("no")), futures::InvalidStateError);
    CHECK_THROWS_AS(running().set_running_or_notify_cancel(), mp::RuntimeError);
    CHECK_THROWS_AS(notified().set_running_or_notify_cancel(), mp::RuntimeError);
    CHECK_THROWS_AS(pending().set_exception(std::exception_ptr()), mp::ValueError);
}

TEST_CASE("future: callbacks are called in their order, with the future") {
    for (int how = 0; how < 3; ++how) {
        Future<int> future;
        std::vector<int> order;
        for (int i = 0; i < 3; ++i) {
            future.add_done_callback([&, i](Future<int> const& done) {
                if (done.done() && done == future) order.push_back(i);
            });
        }
        CHECK(order.empty());
        if (how == 0) future.set_result(1);
        if (how == 1) future.set_exception(std::domain_error("no"));
        if (how == 2) {
            future.cancel();
            future.cancel();
        }
        CHECK(order == std::vector{0, 1, 2});
        future.add_done_callback([&](Future<int> const&) { order.push_back(how); }); // at once
        CHECK(order.size() == 4);
    }
}

TEST_CASE("callbacks of futures that throw", "[.]") {
    Future<int> future;
    bool next = false;
    future.add_done_callback([](auto const&) { throw std::domain_error("the first callback"); });
    future.add_done_callback([&](auto const&) { next = true; });
    future.set_result(1);
    future.add_done_callback([](auto const&) { throw std::domain_error("a late callback"); });
    REQUIRE(next);
}

TEST_CASE("future: a callback that throws is reported, and harms nothing") {
    auto const ended = multiprocessing_test::run_hidden_case("callbacks of futures that throw");
    CHECK(ended.exitcode == 0);
    CHECK(multiprocessing_test::count_of("the first callback", ended.errors) == 1);
    CHECK(multiprocessing_test::count_of("a late callback", ended.errors) == 1);
}

TEST_CASE("future: what only can be moved") {
    Future<std::unique_ptr<int>> future;
    future.set_result(std::make_unique<int>(3));
    CHECK(*future.result() == 3);
    {
        auto const other = future;
        CHECK_THROWS_AS(std::move(future).result(), mp::ValueError);
    }
    CHECK(*std::move(future).result() == 3);
    // A future is not kept by what it calls.
    auto const used = std::make_shared<int>(1);
    {
        Future<int> forgotten;
        forgotten.add_done_callback([used](auto const&) {});
    }
    CHECK(used.use_count() == 1);
    CHECK(std::set<Future<int>>{successful(), pending()}.size() == 2);
    auto const same = pending();
    CHECK(std::unordered_set<Future<int>>{same, same}.size() == 1);
}

TEST_CASE("wait: duplicates count once, and nothing is nothing") {
    auto const one = successful();
    auto const [done, not_done] = futures::wait(std::vector{one, one, one});
    CHECK(done == std::vector{one});
    CHECK(not_done.empty());
    CHECK(futures::wait(std::vector<Future<int>>()).done.empty());
    CHECK(futures::wait(std::vector<Future<int>>(), {}, futures::FIRST_COMPLETED).done.empty());
}

TEST_CASE("wait: until one is done") {
    auto first = pending();
    auto second = pending();
    std::jthread const other([&] { second.set_result(1); });
    auto const result = futures::wait(std::vector{first, second, cancelled()}, {}, futures::FIRST_COMPLETED);
    CHECK(result.done == std::vector{second});
    CHECK(result.not_done.size() == 2); // a cancelled future is done when its executor knows
    CHECK(futures::wait(std::vector{first, notified(), second}, {}, futures::FIRST_COMPLETED).done.size() == 2);
}

TEST_CASE("wait: until one has failed") {
    auto first = pending();
    auto second = pending();
    auto third = pending();
    std::jthread const other([&] {
        first.set_result(1);
        second.set_exception(std::domain_error("no"));
    });
    auto const result = futures::wait(std::vector{first, notified(), second, third}, {}, futures::FIRST_EXCEPTION);
    CHECK(result.done.size() == 3);
    CHECK(result.not_done == std::vector{third});
    CHECK(futures::wait(std::vector{failed(), third}, {}, futures::FIRST_EXCEPTION).done.size() == 1);
    CHECK(futures::wait(std::vector{successful(), notified()}, {}, futures::FIRST_EXCEPTION).not_done.empty());
}

TEST_CASE("wait: until all are done, or the time is over") {
    auto one = pending();
    auto two = pending();
    CHECK(futures::wait(std::vector{one, successful()}, 1ms).done.size() == 1);
    CHECK(futures::wait(std::vector{one, successful()}, 0s).not_done == std::vector{one});
    std::jthread const other([&] {
        one.set_exception(std::domain_error("no"));
        two.set_result(1);
    });
    CHECK(futures::wait(std::vector{one, two, notified()}).done.size() == 3);
}

TEST_CASE("wait: none of many futures that are done at once is missed") {
    for (int times = 0; times < 20; ++times) {
        std::vector<Future<int>> all(100);
        std::jthread const other([&] {
            for (auto& one : all) one.set_result(1);
        });
        CHECK(futures::wait(all).done.size() == 100);
    }
}

TEST_CASE("as_completed: in the order of the ends") {
    auto one = pending();
    auto two = pending();
    auto const before = successful();
    auto all = futures::as_completed(std::deque{one, two, before, one, notified()});
    two.set_result(2);
    one.set_result(1);
    CHECK(all.next() == before);
    CHECK(all.next()->cancelled());
    CHECK(all.next() == two);
    CHECK(all.next() == one);
    CHECK(all.next() == std::nullopt);
    CHECK(all.next() == std::nullopt);
    int sum = 0;
    for (auto const& future : futures::as_completed(std::vector{one, two})) sum += future.result();
    CHECK(sum == 3);
}

TEST_CASE("as_completed: what does not come in time") {
    auto const waits = pending();
    auto all = futures::as_completed(std::vector{waits, successful(), cancelled(), notified()}, 1ms);
    CHECK(all.next().has_value());
    CHECK(all.next().has_value());
    try {
        all.next();
        FAIL("no exception");
    } catch (mp::TimeoutError const& error) {
        CHECK(std::string(error.what()) == "2 (of 4) futures unfinished");
    }
    CHECK(futures::as_completed(std::vector<Future<int>>(), 0s).next() == std::nullopt);
}

TEST_CASE("as_completed: keeps nothing of a future that has had its turn") {
    Future<std::unique_ptr<int>> future;
    future.set_result(std::make_unique<int>(5));
    auto all = futures::as_completed(std::vector{std::move(future)});
    CHECK(*std::move(*all.next()).result() == 5);
}

namespace {

/// A coroutine that begins at once and that nobody waits for.
struct Detached {
    struct promise_type {
        Detached get_return_object() const { return {}; }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        std::suspend_never final_suspend() const noexcept { return {}; }
        void return_void() const {}
        void unhandled_exception() const { std::terminate(); }
    };
};

Detached sum_of(Future<int> one, Future<int> two, std::vector<std::string>& seen) {
    try {
        int const sum = co_await one + co_await std::move(two);
        seen.push_back(std::to_string(sum));
    } catch (std::exception const& error) {
        seen.push_back(error.what());
    }
}

Detached take(Future<std::unique_ptr<int>> future, std::unique_ptr<int>& place) { place = co_await std::move(future); }

template <class Executor>
Detached go_on_in(Executor& executor, Future<int> future, std::vector<std::string>& seen) {
    seen.push_back(std::to_string(co_await future.via(executor)));
}

/// Keeps what it is given, under several names.
struct Calls {
    std::vector<std::function<void()>> all;
    void execute(std::function<void()> f) { all.push_back(std::move(f)); }
};
struct Posts {
    std::vector<std::function<void()>> all;
    void post(std::function<void()> f) { all.push_back(std::move(f)); }
};
struct Context {
    Calls executor;
    Calls& get_executor() { return executor; }
};

} // namespace

TEST_CASE("future: awaited in coroutines") {
    std::vector<std::string> seen;
    auto one = pending();
    sum_of(one, successful(), seen);
    CHECK(seen.empty());
    one.set_result(1);
    CHECK(seen == std::vector<std::string>{"43"});
    sum_of(successful(1), successful(2), seen);
    CHECK(seen.back() == "3");
    sum_of(successful(), failed(), seen);
    CHECK(seen.back() == "bad");
    auto two = pending();
    sum_of(two, successful(), seen);
    two.cancel();
    CHECK(seen.back() == mp::CancelledError().what());

    Future<std::unique_ptr<int>> box;
    auto settled = box;
    std::unique_ptr<int> place;
    settled.set_result(std::make_unique<int>(3));
    settled = {};
    take(std::move(box), place);
    CHECK(*place == 3);
}

TEST_CASE("future: a coroutine goes on in an executor") {
    std::vector<std::string> seen;
    Calls calls;
    auto future = pending();
    go_on_in(calls, future, seen);
    future.set_result(1);
    CHECK(seen.empty());
    REQUIRE(calls.all.size() == 1);
    calls.all[0]();
    CHECK(seen.back() == "1");

    Posts posts;
    go_on_in(posts, successful(), seen);
    posts.all.at(0)();
    CHECK(seen.back() == "42");
    Context context;
    go_on_in(context, successful(2), seen);
    context.executor.all.at(0)();
    CHECK(seen.back() == "2");
    auto const at_once = [](auto const& f) { f(); };
    go_on_in(at_once, successful(3), seen);
    CHECK(seen.back() == "3");
}

TEST_CASE("future: coroutines and threads") {
    for (int times = 0; times < 200; ++times) {
        std::atomic<int> sum = 0;
        {
            Future<int> future;
            std::jthread const other([future]() mutable { future.set_result(1); });
            auto const add = [](Future<int> f, std::atomic<int>& to) -> Detached { to += co_await f; };
            add(future, sum);
            add(future, sum);
        }
        CHECK(sum == 2);
    }
}
