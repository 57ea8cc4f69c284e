#include <multiprocessing/detail/waiting.hpp>

#include "support/catch.hpp"

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace multiprocessing;
using detail::event_count;
using namespace std::chrono_literals;

TEST_CASE("what is there already needs no waiting") {
    event_count place{};
    CHECK(place.await([] { return true; }, platform::never));
    CHECK_FALSE(place.await([] { return false; }, platform::deadline::min()));
    CHECK_FALSE(place.someone_waits());
}

TEST_CASE("a wait ends at its deadline and not before") {
    event_count place{};
    auto const begin = platform::clock::now();
    CHECK_FALSE(place.await([] { return false; }, begin + 20ms));
    CHECK(platform::clock::now() - begin >= 20ms);
    CHECK_FALSE(place.await([] { return false; }, begin)); // it has passed
}

TEST_CASE("a waiter is woken by one who has changed something") {
    event_count place{};
    std::atomic<int> number{0};
    std::thread other([&] {
        place.await([&] { return number.load() == 1; }, platform::never);
        number.store(2);
        place.notify_all();
    });
    number.store(1);
    place.notify_one();
    CHECK(place.await([&] { return number.load() == 2; }, platform::never));
    other.join();
    CHECK_FALSE(place.someone_waits());
}

TEST_CASE("before each sleep the waiter is asked, and may look again at once") {
    event_count place{};
    int asked = 0;
    int attempts = 0;
    bool changed = false;
    CHECK(place.await(
        [&] {
            ++attempts;
            return changed;
        },
        platform::never,
        [&]() -> platform::clock::duration {
            if (++asked < 3) return 1ms;
            changed = true;
            return {};
        }));
    CHECK(asked == 3);
    CHECK(attempts >= 3);
}

TEST_CASE("an attempt that throws leaves no waiter behind") {
    event_count place{};
    bool inside = false;
    auto const attempt = [&]() -> bool {
        if (inside) throw std::runtime_error("no");
        return false;
    };
    CHECK_THROWS_AS(
        place.await(
            attempt,
            platform::never,
            [&] {
                inside = true;
                return platform::clock::duration(0);
            }),
        std::runtime_error);
    CHECK_FALSE(place.someone_waits());
}

TEST_CASE("no wake-up is lost between many who give and many who take") {
    event_count place{};
    std::atomic<int> tokens{0};
    constexpr int each = 3000;
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
            for (int n = 0; n < each; ++n) {
                tokens.fetch_add(1);
                place.notify_one();
                if (n % 16 == 0) std::this_thread::yield();
            }
        });
        threads.emplace_back([&] {
            for (int n = 0; n < each; ++n) {
                place.await(
                    [&] {
                        int left = tokens.load();
                        while (left > 0) {
                            if (tokens.compare_exchange_weak(left, left - 1)) return true;
                        }
                        return false;
                    },
                    platform::never);
            }
        });
    }
    for (auto& thread : threads) thread.join();
    CHECK(tokens == 0);
    CHECK_FALSE(place.someone_waits());
}
