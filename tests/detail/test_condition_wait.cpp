#include <multiprocessing/detail/condition_wait.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

using namespace multiprocessing;
using detail::wait_until;
using namespace std::chrono_literals;

TEST_CASE("condition wait: what is there, and what is not") {
    std::mutex mutex;
    std::condition_variable changed;
    std::unique_lock guard(mutex);
    auto const passed = GENERATE(platform::deadline::min(), platform::deadline(-1ns), platform::clock::now());
    CHECK(wait_until(changed, guard, passed, [] { return true; }));
    CHECK_FALSE(wait_until(changed, guard, passed, [] { return false; }));
    CHECK(wait_until(changed, guard, platform::never, [] { return true; }));
    CHECK(guard.owns_lock());
}

TEST_CASE("condition wait: not before its deadline") {
    std::mutex mutex;
    std::condition_variable changed;
    std::unique_lock guard(mutex);
    auto const begin = platform::clock::now();
    CHECK_FALSE(wait_until(changed, guard, begin + 20ms, [] { return false; }));
    CHECK(platform::clock::now() - begin >= 20ms);
}

TEST_CASE("condition wait: woken by another thread") {
    std::mutex mutex;
    std::condition_variable changed;
    bool is_set = false;
    auto const until = GENERATE(platform::clock::now() + 1h, platform::deadline(platform::never));
    std::unique_lock guard(mutex);
    std::thread other([&] {
        std::scoped_lock const own(mutex);
        is_set = true;
        changed.notify_all();
    });
    CHECK(wait_until(changed, guard, until, [&] { return is_set; }));
    guard.unlock();
    other.join();
}
