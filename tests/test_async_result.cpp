#include <multiprocessing/async_result.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace mp = multiprocessing;
using namespace std::chrono_literals;

namespace {

/// A call whose outcome the test decides on.
template <class T>
struct prepared : mp::detail::async_state<T> {
    bool wait(mp::platform::deadline) override { return what.has_value(); }
    bool cancel() override {
        if (what) return false;
        what.emplace(std::make_exception_ptr(mp::CancelledError()));
        return true;
    }
    mp::Outcome<T>& outcome() override { return *what; }

    std::optional<mp::Outcome<T>> what;
};

struct counting : mp::detail::result_stream<int> {
    std::optional<mp::Outcome<int>> next(mp::platform::deadline until) override {
        if (at == 3) return std::nullopt;
        if (at == 1 && until != mp::platform::never) throw mp::TimeoutError();
        ++at;
        if (at == 2 && fails) return mp::Outcome<int>(std::make_exception_ptr(std::domain_error("two")));
        return mp::Outcome<int>(at);
    }
    explicit counting(bool wrong = false) : fails(wrong) {}
    int at = 0;
    bool fails;
};

} // namespace

TEST_CASE("a result that is not there yet") {
    auto const state = std::make_shared<prepared<int>>();
    mp::AsyncResult<int> const result(state);
    CHECK_FALSE(result.ready());
    CHECK_THROWS_AS(result.successful(), mp::ValueError);
    CHECK_THROWS_AS(result.get(0s), mp::TimeoutError);
    CHECK_THROWS_AS(result.get(-1s), mp::TimeoutError);
    CHECK_NOTHROW(result.wait(0s));
    state->what.emplace(4);
    CHECK(result.ready());
    CHECK(result.successful());
    CHECK(result.get() == 4);
    CHECK(result.get() == 4);
}

TEST_CASE("the same exception comes out of a result every time") {
    auto const state = std::make_shared<prepared<int>>();
    state->what.emplace(std::make_exception_ptr(std::domain_error("no")));
    mp::AsyncResult<int> const result(state);
    CHECK_FALSE(result.successful());
    CHECK_THROWS_AS(result.get(), std::domain_error);
    CHECK_THROWS_AS(result.get(), std::domain_error);
}

TEST_CASE("what can only be moved leaves with the last handle") {
    auto state = std::make_shared<prepared<std::unique_ptr<int>>>();
    state->what.emplace(std::make_unique<int>(9));
    mp::AsyncResult<std::unique_ptr<int>> result(std::move(state));
    CHECK(*result.get() == 9);
    auto second = result;
    CHECK_THROWS_AS(std::move(second).get(), mp::ValueError);
    second = mp::AsyncResult<std::unique_ptr<int>>(std::make_shared<prepared<std::unique_ptr<int>>>());
    std::unique_ptr<int> const taken = std::move(result).get();
    CHECK(*taken == 9);
}

TEST_CASE("a result is given up once, and not when it is there") {
    auto const state = std::make_shared<prepared<void>>();
    mp::AsyncResult<void> result(state);
    CHECK(result.cancel());
    CHECK_FALSE(result.cancel());
    CHECK_THROWS_AS(result.get(), mp::CancelledError);
}

TEST_CASE("results that come one after the other are a range") {
    mp::IMapIterator<int> results(std::make_unique<counting>());
    std::vector<int> all;
    for (int const each : results) all.push_back(each);
    CHECK(all == std::vector{1, 2, 3});
    CHECK_FALSE(results.next());
}

TEST_CASE("after a failure, or a timeout, the next results can still be had") {
    mp::IMapIterator<int> results(std::make_unique<counting>(true));
    CHECK(results.next(1s) == 1);
    CHECK_THROWS_AS(results.next(1s), mp::TimeoutError);
    CHECK_THROWS_AS(results.next(), std::domain_error);
    CHECK(results.next() == 3);
    CHECK_FALSE(results.next(1s));
}
