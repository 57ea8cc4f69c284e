// runs per start method
#include <multiprocessing/process.hpp>
#include <multiprocessing/synchronize.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"

#include <chrono>
#include <mutex>
#include <thread>

// Processes are killed while they hold something or wait for something. That they do, they have told; so nothing here
// depends on how fast anything is.

namespace mp = multiprocessing;
using multiprocessing_test::Board;
using multiprocessing_test::patience;
using namespace std::chrono_literals;

namespace {

void wait_for_ever() { mp::Semaphore(0).acquire(); }

void acquire_and_stay(mp::Lock lock, mp::RLock recursive, Board board) {
    lock.acquire();
    recursive.acquire();
    recursive.acquire();
    board.add();
    wait_for_ever();
}

/// A process that holds both locks and was killed.
mp::Process dead_holder(mp::Lock const& lock, mp::RLock const& recursive) {
    Board const board = Board::make();
    mp::Process holder(acquire_and_stay, lock, recursive, board);
    holder.start();
    REQUIRE(board.await(1));
    holder.kill();
    return holder;
}

} // namespace

TEST_CASE("the death of a holder is reported once, and the lock is free then") {
    mp::Lock lock;
    mp::RLock recursive;
    auto holder = dead_holder(lock, recursive);
    SECTION("before anybody has waited for the process") {}
    SECTION("after that") { holder.join(); }
    CHECK_THROWS_AS(lock.acquire(), mp::OwnerDiedError);
    CHECK_FALSE(lock.locked());
    CHECK(lock.acquire(false));
    lock.release();

    CHECK_THROWS_AS(recursive.acquire(true, patience), mp::OwnerDiedError);
    CHECK_THROWS_AS(recursive.release(), mp::AssertionError);
    CHECK(recursive.acquire());
    CHECK(recursive.to_string() == "<RLock(MainProcess, 1)>");
    recursive.release();
    CHECK_FALSE(recursive.locked());
    holder.join();
}

TEST_CASE("the error names the process that died") {
    mp::Lock lock;
    auto holder = dead_holder(lock, mp::RLock());
    CHECK_THROWS_WITH(lock.acquire(), Catch::Contains("process " + std::to_string(*holder.pid()) + " died"));
    holder.join();
}

TEST_CASE("who only tries is told as well") {
    mp::Lock lock;
    mp::RLock recursive;
    auto holder = dead_holder(lock, recursive);
    holder.join();
    CHECK_THROWS_AS(lock.try_lock(), mp::OwnerDiedError);
    CHECK(lock.try_lock());
    CHECK_THROWS_AS(recursive.acquire(true, 1ms), mp::OwnerDiedError);
    CHECK(recursive.try_lock());
}

namespace {

constexpr std::size_t acquired = 0, reported = 1, ready = 2;

void acquire_and_count(mp::Lock lock, Board board) {
    board.add(1, ready);
    try {
        std::scoped_lock const guard(lock);
        board.add(1, acquired);
    } catch (mp::OwnerDiedError const&) {
        board.add(1, reported);
    }
}

} // namespace

TEST_CASE("of several that wait exactly one is told that the holder died") {
    mp::Lock const lock;
    Board const board = Board::make();
    Board const held = Board::make();
    mp::Process holder(acquire_and_stay, lock, mp::RLock(), held);
    holder.start();
    REQUIRE(held.await(1));
    mp::Process one(acquire_and_count, lock, board);
    one.start();
    std::thread two(acquire_and_count, lock, board);
    std::thread three(acquire_and_count, lock, board);
    REQUIRE(board.await(3, ready));
    holder.kill();
    two.join();
    three.join();
    one.join();
    CHECK(board.get(reported) == 1);
    CHECK(board.get(acquired) == 2);
    CHECK_FALSE(lock.locked());
}

TEST_CASE("a killed process that waits for a lock is in nobody's way") {
    mp::Lock const lock;
    Board const board = Board::make();
    lock.acquire();
    mp::Process waiting(acquire_and_count, lock, board);
    waiting.start();
    REQUIRE(board.await(1, ready));
    std::thread other(acquire_and_count, lock, board);
    REQUIRE(board.await(2, ready));
    waiting.kill();
    waiting.join();
    lock.release();
    other.join();
    CHECK(board.get(acquired) == 1);
    CHECK(board.get(reported) == 0);
}

namespace {

void acquire_and_exit(mp::Lock lock) { lock.acquire(); }

} // namespace

TEST_CASE("a process that ends without a release counts as dead") {
    mp::Lock lock;
    mp::Process child(acquire_and_exit, lock);
    child.start();
    child.join();
    CHECK(child.exitcode() == 0);
    CHECK_THROWS_AS(lock.acquire(), mp::OwnerDiedError);
    CHECK(lock.acquire(false));
}

// ---- Condition

namespace {

void wait_for_condition(mp::Condition condition, Board board) {
    try {
        std::scoped_lock const guard(condition);
        board.add(1, ready);
        if (condition.wait()) board.add(1, acquired);
    } catch (mp::OwnerDiedError const&) {
        board.add(1, reported); // with the lock held, which the guard has released
    }
}

} // namespace

TEST_CASE("a killed process that waits for a condition swallows no notification") {
    mp::Condition const condition;
    Board const board = Board::make();
    mp::Process first(wait_for_condition, condition, board);
    first.start();
    REQUIRE(board.await(1, ready));
    std::thread second;
    SECTION("killed before it was notified") {
        condition.acquire(); // it waits
        first.kill();
        first.join();
        condition.release();
        second = std::thread(wait_for_condition, condition, board);
        REQUIRE(board.await(2, ready));
        std::scoped_lock const guard(condition);
        CHECK(condition.to_string() == "<Condition(<RLock(MainProcess, 1)>, 2)>");
        condition.notify(); // to the second at once, or when it looks around and finds the first dead
    }
    SECTION("killed after it was notified") {
        second = std::thread(wait_for_condition, condition, board);
        REQUIRE(board.await(2, ready));
        std::scoped_lock const guard(condition);
        condition.notify(); // to the first, which cannot go on as long as we hold the lock
        first.kill();
        first.join();
    }
    second.join();
    CHECK(board.get(acquired) == 1);
    CHECK(board.get(reported) == 0);
    std::scoped_lock const guard(condition);
    CHECK(condition.to_string() == "<Condition(<RLock(MainProcess, 1)>, 0)>"); // nobody is left
}

namespace {

void acquire_condition_and_stay(mp::Condition condition, Board board) {
    condition.acquire();
    board.add(1, 3);
    wait_for_ever();
}

} // namespace

TEST_CASE("those that wait for a condition are told that the holder of its lock died") {
    mp::Condition const condition;
    Board const board = Board::make();
    std::thread waiting(wait_for_condition, condition, board);
    REQUIRE(board.await(1, ready));
    mp::Process holder(acquire_condition_and_stay, condition, board);
    holder.start();
    REQUIRE(board.await(1, 3));
    holder.kill();
    waiting.join();
    CHECK(board.get(reported) == 1);
    CHECK(condition.acquire(false)); // it is free again
    condition.notify();
    holder.join();
}

// ---- Semaphore, Event, Barrier

namespace {

void wait_for_both(mp::Semaphore semaphore, mp::Event event, Board board) {
    std::thread other([&] { event.wait(); });
    board.add();
    semaphore.acquire();
    other.join();
}

} // namespace

TEST_CASE("a killed process that waits for a semaphore or an event is in nobody's way") {
    mp::Semaphore semaphore(0);
    mp::Event event;
    Board const board = Board::make();
    mp::Process waiting(wait_for_both, semaphore, event, board);
    waiting.start();
    REQUIRE(board.await(1));
    waiting.kill();
    waiting.join();
    std::thread other([&] {
        semaphore.acquire();
        event.wait();
    });
    semaphore.release();
    event.set();
    other.join();
    CHECK(semaphore.get_value() == 0);
}

namespace {

void wait_at_barrier(mp::Barrier barrier) { barrier.wait(); }

struct StayHere {
    Board board;
    void operator()() const {
        board.add();
        wait_for_ever();
    }
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& board;
    }
};

} // namespace

TEST_CASE("a barrier breaks when a party is killed while it waits") {
    mp::Barrier const barrier(3);
    mp::Process party(wait_at_barrier, barrier);
    party.start();
    while (barrier.n_waiting() != 1) std::this_thread::yield();
    SECTION("before another one comes") {
        party.kill();
        party.join();
        CHECK_THROWS_AS(barrier.wait(), mp::BrokenBarrierError);
    }
    SECTION("while another one waits") {
        std::thread killer([&] {
            while (barrier.n_waiting() != 2) std::this_thread::yield();
            party.kill();
        });
        CHECK_THROWS_AS(barrier.wait(), mp::BrokenBarrierError);
        killer.join();
        party.join();
    }
    CHECK(barrier.broken());
    barrier.reset();
    std::thread one(wait_at_barrier, barrier);
    std::thread two(wait_at_barrier, barrier);
    barrier.wait();
    one.join();
    two.join();
}

TEST_CASE("a barrier breaks when the party that runs its action is killed") {
    Board const board = Board::make();
    mp::Barrier const barrier(2, StayHere{board});
    mp::Process party(wait_at_barrier, barrier);
    bool broke = false;
    std::thread other([&] {
        try {
            barrier.wait();
        } catch (mp::BrokenBarrierError const&) {
            broke = true;
        }
    });
    while (barrier.n_waiting() != 1) std::this_thread::yield();
    party.start(); // the last one
    REQUIRE(board.await(1));
    party.kill();
    other.join();
    party.join();
    CHECK(broke);
    CHECK(barrier.broken());
}

// ---- at any instruction

namespace {

void use_everything(mp::Lock lock, mp::RLock recursive, mp::Condition condition, mp::Barrier barrier, Board board) {
    for (;;) {
        try {
            board.add();
            { std::scoped_lock const guard(lock); }
            { std::scoped_lock const guard(recursive); }
            {
                std::scoped_lock const guard(condition);
                condition.notify();
                condition.wait(0s);
            }
            barrier.wait();
        } catch (mp::OwnerDiedError const&) {
        } catch (mp::BrokenBarrierError const&) {
            barrier.reset();
        }
    }
}

} // namespace

TEST_CASE("whatever a process did when it was killed, the others go on") {
    mp::Lock const lock;
    mp::RLock const recursive;
    mp::Condition const condition;
    mp::Barrier const barrier(1);
    for (int round = 0; round < 8; ++round) {
        Board const board = Board::make();
        mp::Process one(use_everything, lock, recursive, condition, barrier, board);
        mp::Process two(use_everything, lock, recursive, condition, barrier, board);
        one.start();
        two.start();
        REQUIRE(board.await(200 + 37 * round));
        one.kill();
        REQUIRE(board.await(board.get() + 50)); // the other one goes on
        two.kill();
        one.join();
        two.join();
        for (bool whole = false; !whole;) {
            try {
                bool in_time = lock.acquire(true, patience);
                REQUIRE(in_time);
                lock.release();
                in_time = recursive.acquire(true, patience);
                REQUIRE(in_time);
                recursive.release();
                in_time = condition.acquire(true, patience);
                REQUIRE(in_time);
                condition.release();
                barrier.reset();
                barrier.wait();
                whole = true;
            } catch (mp::OwnerDiedError const&) {
            } catch (mp::BrokenBarrierError const&) {
            }
        }
    }
}
