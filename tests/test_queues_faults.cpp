// not on windows
#include <multiprocessing/queues.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"
#include "support/forked.hpp"
#include "support/stepping.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace mp = multiprocessing;
using multiprocessing_test::Board;
using multiprocessing_test::Forked;
#if defined(CAN_STEP)
using multiprocessing_test::kill_everywhere;
#endif
using multiprocessing_test::kills;
using multiprocessing_test::patience;
using namespace std::chrono_literals;

namespace {

#if defined(CAN_STEP)

/// The queue works: it takes and gives `count` items, in order, after those that are left in it. Returns what was left.
std::vector<int> check_use(mp::Queue<int> queue, int count) {
    std::vector<int> left;
    while (auto item = queue.try_get()) left.push_back(*item);
    for (int i = 0; i < count; ++i) {
        queue.put(1000 + i, true, patience);
        REQUIRE(queue.qsize() == 1);
        REQUIRE(queue.get(true, patience) == 1000 + i);
    }
    REQUIRE(queue.empty());
    return left;
}

#endif

} // namespace

#if defined(CAN_STEP)

TEST_CASE("a process that is killed at any instruction of put costs at most its own item") {
    kill_everywhere(
        50,
        [] {
            mp::Queue<int> queue(4);
            queue.put(1);
            queue.put(2);
            return queue;
        },
        [](mp::Queue<int> queue) { queue.put(3); },
        [](mp::Queue<int> queue) {
            queue.put(4, true, patience);
            auto const left = check_use(queue, 20);
            CHECK((left == std::vector{1, 2, 3, 4} || left == std::vector{1, 2, 4}));
        });
}

TEST_CASE("a process that is killed at any instruction of put does not hide what comes after it") {
    kill_everywhere(
        50,
        [] { return mp::Queue<int>(4); },
        [](mp::Queue<int> queue) { queue.put(3); },
        [](mp::Queue<int> queue) {
            queue.put(4, true, patience);
            CHECK(queue_of(queue).has_message());
            auto const left = check_use(queue, 20);
            CHECK((left == std::vector{3, 4} || left == std::vector{4}));
            CHECK_FALSE(queue_of(queue).has_message());
        });
}

TEST_CASE("a process that is killed at any instruction of get costs at most the item it takes") {
    kill_everywhere(
        50,
        [] {
            mp::Queue<int> queue(4);
            for (int i = 1; i <= 3; ++i) queue.put(i);
            return queue;
        },
        [](mp::Queue<int> queue) { queue.get(); },
        [](mp::Queue<int> queue) {
            queue.put(4, true, patience);
            auto const left = check_use(queue, 20);
            CHECK((left == std::vector{1, 2, 3, 4} || left == std::vector{2, 3, 4}));
        });
}

TEST_CASE("a process that is killed while the queue grows costs at most its own item") {
    kill_everywhere(
        20,
        [] {
            mp::Queue<int> queue;
            for (int i = 0; i < 64; ++i) queue.put(i);
            return queue;
        },
        [](mp::Queue<int> queue) { queue.put(64); },
        [](mp::Queue<int> queue) {
            queue.put(65);
            auto const left = check_use(queue, 300);
            CHECK(left.size() >= 65);
            CHECK(left.size() <= 66);
            for (int i = 0; i < 64; ++i) CHECK(left[static_cast<std::size_t>(i)] == i);
            CHECK(left.back() == 65);
        });
}

TEST_CASE("a process that is killed while it goes on to the next ring costs at most the item it takes") {
    kill_everywhere(
        30,
        [] {
            mp::Queue<int> queue;
            for (int i = 0; i < 66; ++i) queue.put(i);
            for (int i = 0; i < 64; ++i) queue.get();
            return queue;
        },
        [](mp::Queue<int> queue) { queue.get(); },
        [](mp::Queue<int> queue) {
            queue.put(66);
            auto const left = check_use(queue, 300);
            CHECK((left == std::vector{64, 65, 66} || left == std::vector{65, 66}));
        });
}

TEST_CASE("join does not wait for what a process that was killed at any instruction had in hand") {
    kill_everywhere(
        15,
        [] {
            mp::JoinableQueue<int> queue;
            queue.put(1);
            return queue;
        },
        [](mp::JoinableQueue<int> queue) {
            queue.get();
            queue.put(2);
            queue.task_done();
        },
        [](mp::JoinableQueue<int> queue) {
            while (queue.try_get()) queue.task_done();
            try {
                queue.join();
            } catch (mp::ProcessError const&) {
            }
            queue.put(3);
            CHECK(queue.get() == 3);
            queue.task_done();
            queue.join();
        });
}

#endif

TEST_CASE("join reports the items of a dead worker once") {
    mp::JoinableQueue<int> queue;
    queue.put(1);
    queue.put(2);
    Board const board = Board::make();
    Forked worker([&] {
        queue.get();
        board.set(1);
        std::this_thread::sleep_for(patience);
        return 0;
    });
    CHECK(board.await(1));
    worker.kill();
    CHECK(queue.get() == 2);
    queue.task_done();
    CHECK_THROWS_AS(queue.join(), mp::ProcessError);
    queue.join();
    CHECK_THROWS_AS(queue.task_done(), mp::ValueError);
}

TEST_CASE("processes that are killed while they wait leave the others waking") {
    mp::Queue<int> queue(1);
    Board const board = Board::make();
    std::vector<std::unique_ptr<Forked>> sleepers;
    for (int i = 0; i < 4; ++i) {
        sleepers.push_back(std::make_unique<Forked>([&] {
            board.add();
            queue.get();
            return 0;
        }));
    }
    CHECK(board.await(4));
    for (auto& sleeper : sleepers) sleeper->kill();
    Forked echo([&] {
        mp::Queue<int> same = queue;
        for (int i = 0; i < 3; ++i) CHILD_CHECK(same.get(true, patience) == i);
        return 0;
    });
    for (int i = 0; i < 3; ++i) queue.put(i, true, patience);
    CHECK(echo.status() == 0);
}

TEST_CASE("waiting takes no processor time") {
    mp::Queue<int> empty;
    mp::Queue<int> full(1);
    full.put(1);
    auto const used = [] {
        timespec time{};
        ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
        return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
    };
    auto const before = used();
    CHECK_FALSE(empty.try_get(300ms));
    CHECK_FALSE(full.try_put(2, 300ms));
    CHECK(used() - before < 200ms); // of 600
}

namespace {

constexpr std::size_t producer_count = 3;
constexpr std::size_t consumer_count = 2;

/// An item says who put it, as which of the lives of that producer, and which of its items it is.
struct Item {
    int producer;
    int life;
    int number;
};

/// What is known about one producer, in shared memory.
struct Tally {
    std::atomic<int> put; // in the present life
    std::atomic<int> got;
};
struct Tallies {
    std::array<Tally, producer_count> of_producer{};
    std::atomic<long> put{0};
    std::atomic<long> got{0};
    std::atomic<int> disorder{0};
    std::atomic<bool> stop{false};
};

/// Encodes an item as T.
template <class T>
T encode(Item item);
template <>
Item encode<Item>(Item item) {
    return item;
}
/// Long enough for a block of its own.
template <>
std::string encode<std::string>(Item item) {
    std::string text(400, '.');
    std::memcpy(text.data(), &item, sizeof item);
    return text;
}
Item decode(Item const& item) { return item; }
Item decode(std::string const& text) {
    Item item{};
    std::memcpy(&item, text.data(), sizeof item);
    return item;
}

template <class T>
int produce(mp::Queue<T> queue, Tallies& tallies, int producer, int life) {
    for (int number = 0; !tallies.stop.load(); ++number) {
        queue.put(encode<T>({producer, life, number}));
        tallies.put.fetch_add(1);
        while (queue.qsize() > 200 && !tallies.stop.load()) std::this_thread::yield();
    }
    return 0;
}

template <class T>
int consume(mp::Queue<T> queue, Tallies& tallies) {
    std::array<std::pair<int, int>, producer_count> last{};
    last.fill({-1, -1});
    for (;;) {
        auto const text = queue.try_get(100ms);
        if (!text) {
            if (tallies.stop.load()) return 0;
            continue;
        }
        Item const item = decode(*text);
        auto& before = last[static_cast<std::size_t>(item.producer)];
        std::pair const now(item.life, item.number);
        if (now <= before) tallies.disorder.fetch_add(1);
        before = now;
        tallies.got.fetch_add(1);
    }
}

/// Producers and consumers work while one after the other is killed and replaced.
template <class T>
void kill_at_random(int maxsize, int count, unsigned seed) {
    mp::Queue<T> queue(maxsize);
    auto const shared = mp::detail::shared_object<Tallies>::make();
    std::mt19937 random(seed);
    std::array<int, producer_count> lives{};
    std::array<std::unique_ptr<Forked>, producer_count + consumer_count> processes;
    auto const start = [&](std::size_t which) {
        processes[which] = std::make_unique<Forked>([&, which] {
            if (which >= producer_count) return consume(queue, *shared);
            return produce(queue, *shared, static_cast<int>(which), lives[which]);
        });
    };
    for (std::size_t i = 0; i < processes.size(); ++i) start(i);
    int killed = 0;
    int killed_consumers = 0;
    std::size_t committed = 0;
    while (killed < count) {
        long const target = shared->got.load() + static_cast<long>(random() % 200);
        auto const begin = std::chrono::steady_clock::now();
        while (shared->got.load() < target) { // something gets on between two kills
            REQUIRE(std::chrono::steady_clock::now() - begin < patience);
            std::this_thread::sleep_for(50us);
        }
        std::size_t const which = random() % processes.size();
        processes[which]->kill();
        ++killed;
        if (which < producer_count) {
            ++lives[which];
        } else {
            ++killed_consumers;
        }
        start(which);
        if (killed == count / 4) committed = mp::detail::arena::instance().committed();
    }
    shared->stop.store(true);
    for (std::size_t i = 0; i < processes.size(); ++i) CHECK(processes[i]->status() == 0);
    long left = 0;
    while (queue.try_get()) ++left;
    CHECK(queue.empty());
    CHECK(shared->disorder.load() == 0);
    // A consumer that is killed takes the item with it that it has in hand. A producer that is killed may have put an
    // item without having counted it.
    long const lost = shared->put.load() - shared->got.load() - left;
    CAPTURE(killed, killed_consumers, shared->put.load(), shared->got.load(), left);
    CHECK(lost <= killed_consumers);
    CHECK(lost >= killed_consumers - killed);
    // A process that is killed loses a block at the most.
    CHECK(mp::detail::arena::instance().committed() <= committed + (1 << 20) + static_cast<std::size_t>(count) * 1024);
}

} // namespace

TEST_CASE("survivors get everything, in order, while others are killed: items in slots") {
    kill_at_random<Item>(7, kills(70), 1);
}
TEST_CASE("survivors get everything, in order, while others are killed: items in blocks") {
    kill_at_random<std::string>(16, kills(70), 2);
}
TEST_CASE("survivors get everything, in order, while others are killed: without a limit") {
    kill_at_random<Item>(0, kills(60), 3);
}
