#include <multiprocessing/detail/message_queue.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <cstring>
#include <optional>

using namespace multiprocessing;
using detail::message_queue;
using detail::message_slot;

namespace {

bool put(message_queue& queue, int number, platform::deadline until = platform::deadline::min()) {
    return queue.put(
        [&](message_slot& slot) noexcept {
            slot.set_inline(sizeof number);
            std::memcpy(slot.message(), &number, sizeof number);
        },
        until);
}

std::optional<int> get(message_queue& queue) {
    int number = 0;
    auto const read = [&](message_slot& slot) noexcept { std::memcpy(&number, slot.message(), sizeof number); };
    return queue.get(read, platform::deadline::min()) ? std::optional(number) : std::nullopt;
}

} // namespace

TEST_CASE("a queue with a limit is full at it") {
    for (std::size_t const limit : {1U, 2U, 3U, 100U, 20'000U}) {
        message_queue queue(limit, sizeof(int), false);
        for (std::size_t i = 0; i < limit; ++i) {
            CHECK_FALSE(queue.full());
            REQUIRE(put(queue, static_cast<int>(i)));
        }
        CHECK(queue.full());
        CHECK(queue.size() == limit);
        CHECK_FALSE(put(queue, -1));
        CHECK_FALSE(put(queue, -1, platform::clock::now() + std::chrono::milliseconds(1)));
        CHECK(get(queue) == 0);
        CHECK(put(queue, -1));
        CHECK_FALSE(put(queue, -1));
    }
}

TEST_CASE("a queue without a limit grows while it is used, and keeps the order") {
    message_queue queue(0, sizeof(int), false);
    int in = 0;
    int out = 0;
    for (int step = 0; step < 500; ++step) { // three steps forward, two back
        for (int i = 0; i < 30; ++i) REQUIRE(put(queue, in++));
        for (int i = 0; i < 20; ++i) REQUIRE(get(queue) == out++);
        REQUIRE(queue.size() == static_cast<std::size_t>(in - out));
    }
    CHECK_FALSE(queue.full());
    while (out < in) REQUIRE(get(queue) == out++);
    CHECK_FALSE(get(queue));
    CHECK(queue.size() == 0);
}

TEST_CASE("a queue knows whether it has a message, from ring to ring") {
    message_queue queue(0, sizeof(int), false);
    CHECK_FALSE(queue.has_message());
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 1000; ++i) {
            put(queue, i);
            REQUIRE(queue.has_message());
        }
        for (int i = 0; i < 1000; ++i) {
            REQUIRE(queue.has_message());
            REQUIRE(get(queue) == i);
        }
        CHECK_FALSE(queue.has_message());
    }
}

TEST_CASE("a queue that counts tasks can be joined when all are done") {
    message_queue queue(0, sizeof(int), true);
    CHECK(queue.join() == 0);
    put(queue, 1);
    put(queue, 2);
    CHECK(queue.tasks()->unfinished() == 2);
    get(queue);
    CHECK(queue.tasks()->done());
    get(queue);
    CHECK(queue.tasks()->done());
    CHECK_FALSE(queue.tasks()->done());
    CHECK(queue.join() == 0);
    message_queue const other(0, sizeof(int), false);
    CHECK(other.tasks() == nullptr);
}
