// runs per start method
#include <multiprocessing/process.hpp>
#include <multiprocessing/synchronize.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"

#include <chrono>
#include <deque>
#include <functional>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace mp = multiprocessing;
using multiprocessing_test::Board;
using multiprocessing_test::patience;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

using Clock = std::chrono::steady_clock;

template <class Printable>
std::string text_of(Printable const& object) {
    std::ostringstream stream;
    stream << object;
    return stream.str();
}

/// What arrives when an object is sent to another process.
template <class T>
T sent(T const& object) {
    mp::detail::byte_buffer sink;
    mp::detail::save(sink, object);
    return mp::detail::load<T>(sink.bytes());
}

/// Runs a function in child processes and in threads of this one, and waits for all at the end.
class Crowd {
public:
    template <class... Args>
    void add_process(Args const&... args) {
        processes_.emplace_back(args...).start();
    }
    template <class... Args>
    void add_thread(Args const&... args) {
        threads_.emplace_back(args...);
    }
    /// Whether all processes ended well.
    bool join() {
        bool good = true;
        for (auto& process : processes_) {
            process.join();
            good = good && process.exitcode() == 0;
        }
        for (auto& thread : threads_) thread.join();
        processes_.clear();
        threads_.clear();
        return good;
    }
    ~Crowd() { join(); }

private:
    std::deque<mp::Process> processes_;
    std::deque<std::thread> threads_;
};

mp::Lock const static_lock; // the arena is there before main()

} // namespace

// ---- Lock and RLock

TEST_CASE("a lock is held by one and released once") {
    mp::Lock lock;
    CHECK_FALSE(lock.locked());
    CHECK(lock.acquire());
    CHECK(lock.locked());
    CHECK_FALSE(lock.acquire(false));
    CHECK_FALSE(lock.acquire(false, 10s));
    CHECK_FALSE(lock.acquire(true, 0s));
    CHECK_FALSE(lock.acquire(true, -1s));
    lock.release();
    CHECK_FALSE(lock.locked());
    CHECK_THROWS_AS(lock.release(), mp::ValueError);
    CHECK_THROWS_WITH(lock.release(), Contains("released too many times"));
    CHECK(static_lock.acquire(false));
    static_lock.release();
}

TEST_CASE("a recursive lock is released as often as it was acquired") {
    mp::RLock lock;
    for (int i = 0; i < 3; ++i) CHECK(lock.acquire(i != 1));
    for (int i = 0; i < 3; ++i) {
        CHECK(lock.locked());
        lock.release();
    }
    CHECK_FALSE(lock.locked());
    CHECK_THROWS_AS(lock.release(), mp::AssertionError);
    CHECK_THROWS_WITH(lock.release(), Contains("not owned by thread"));
}

TEST_CASE("locks work with the guards of the standard library") {
    mp::Lock a;
    mp::RLock b;
    mp::Semaphore c(1);
    {
        std::scoped_lock const guard(a, b, c);
        std::scoped_lock const again(b);
        CHECK((a.locked() && b.locked() && c.locked()));
    }
    CHECK_FALSE((a.locked() || b.locked() || c.locked()));
    std::unique_lock guard(a, std::try_to_lock);
    CHECK(guard.owns_lock());
    CHECK_FALSE(std::unique_lock(a, std::try_to_lock).owns_lock());
    guard.unlock();
    guard.lock();
}

TEST_CASE("a lock is waited for as long as the timeout says") {
    mp::Lock lock;
    lock.acquire();
    auto const begin = Clock::now();
    CHECK_FALSE(lock.acquire(true, 30ms));
    CHECK(Clock::now() - begin >= 30ms);
    CHECK_FALSE(lock.try_lock_for(20ms));
    CHECK(Clock::now() - begin >= 50ms);
    CHECK_FALSE(lock.try_lock_until(Clock::now() + 20ms));
    CHECK(Clock::now() - begin >= 70ms);
    CHECK_FALSE(lock.try_lock_until(std::chrono::system_clock::now() - 1h));
    CHECK_FALSE(lock.try_lock_until(Clock::time_point::min()));
    lock.release();
    CHECK(lock.try_lock_until(Clock::time_point::max()));
}

namespace {

void count_with_lock(mp::Lock lock, Board board) {
    for (int i = 0; i < 1000; ++i) {
        std::scoped_lock const guard(lock);
        board.set(board.get() + 1);
    }
}
void count_with_rlock(mp::RLock lock, Board board) {
    for (int i = 0; i < 1000; ++i) {
        std::scoped_lock const guard(lock);
        std::scoped_lock const again(lock);
        board.set(board.get() + 1);
    }
}

} // namespace

TEST_CASE("only one process or thread at a time holds a lock") {
    Crowd crowd;
    Board const board = Board::make();
    SECTION("Lock") {
        mp::Lock const lock;
        for (int i = 0; i < 2; ++i) crowd.add_process(count_with_lock, lock, board);
        for (int i = 0; i < 2; ++i) crowd.add_thread(count_with_lock, lock, board);
    }
    SECTION("RLock") {
        mp::RLock const lock;
        for (int i = 0; i < 2; ++i) crowd.add_process(count_with_rlock, lock, board);
        for (int i = 0; i < 2; ++i) crowd.add_thread(count_with_rlock, lock, board);
    }
    CHECK(crowd.join());
    CHECK(board.get() == 4000);
}

namespace {

/// Releases what it did not acquire.
void release_foreign(mp::Lock lock, mp::RLock recursive, Board board) {
    board.set(lock.locked() && recursive.locked(), 1);
    lock.release();
    try {
        recursive.release();
    } catch (mp::AssertionError const&) {
        board.set(1, 2);
    }
    board.set(recursive.acquire(false), 3);
}

} // namespace

TEST_CASE("any process may release a lock, but a recursive one belongs to a thread") {
    mp::Lock lock;
    mp::RLock recursive;
    lock.acquire();
    recursive.acquire();
    Board const board = Board::make();
    SECTION("a child") {
        Crowd crowd;
        crowd.add_process(release_foreign, lock, recursive, board);
        CHECK(crowd.join());
    }
    SECTION("a thread") { std::thread(release_foreign, lock, recursive, board).join(); }
    CHECK(board.get(1) == 1);
    CHECK(board.get(2) == 1);
    CHECK(board.get(3) == 0);
    CHECK_FALSE(lock.locked());
    recursive.release();
}

namespace {

void hold(mp::Lock lock, mp::RLock recursive, Board board) {
    lock.acquire();
    recursive.acquire();
    recursive.acquire();
    board.write(text_of(lock) + text_of(recursive));
    board.add(1, 0);
    board.await(1, 1);
    recursive.release();
    recursive.release();
    lock.release();
}

} // namespace

TEST_CASE("the text of a lock says who holds it") {
    mp::Lock lock;
    mp::RLock recursive;
    Board const board = Board::make();
    CHECK(text_of(lock) == "<Lock(owner=None)>");
    CHECK(text_of(recursive) == "<RLock(None, 0)>");
    SECTION("this thread") {
        lock.acquire();
        recursive.acquire();
        recursive.acquire();
        CHECK(lock.to_string() == "<Lock(owner=MainProcess)>");
        CHECK(recursive.to_string() == "<RLock(MainProcess, 2)>");
    }
    SECTION("another thread") {
        std::thread other(hold, lock, recursive, board);
        CHECK(board.await(1, 0));
        CHECK_THAT(board.text(), Contains("<Lock(owner=MainProcess|Thread-") && Contains("<RLock(MainProcess|Thread-"));
        CHECK(lock.to_string() == "<Lock(owner=SomeOtherThread)>");
        CHECK(recursive.to_string() == "<RLock(SomeOtherThread, nonzero)>");
        board.set(1, 1);
        other.join();
    }
    SECTION("another process") {
        mp::Process other({.name = "holder"}, hold, lock, recursive, board);
        other.start();
        CHECK(board.await(1, 0));
        CHECK(board.text() == "<Lock(owner=holder)><RLock(holder, 2)>");
        CHECK(lock.to_string() == "<Lock(owner=SomeOtherProcess)>");
        CHECK(recursive.to_string() == "<RLock(SomeOtherProcess, nonzero)>");
        CHECK(lock.locked());
        CHECK(recursive.locked());
        CHECK_FALSE(recursive.acquire(false));
        board.set(1, 1);
        other.join();
        CHECK_FALSE(lock.locked());
        CHECK_FALSE(recursive.locked());
    }
}

TEST_CASE("what is sent to another process is the same object there") {
    mp::Lock lock;
    CHECK(sent(lock) == lock);
    CHECK_FALSE(mp::Lock() == lock);
    mp::RLock recursive;
    CHECK(sent(recursive) == recursive);
    mp::Semaphore semaphore(2);
    CHECK(sent(semaphore) == semaphore);
    mp::BoundedSemaphore bounded(2);
    CHECK(sent(bounded) == bounded);
    mp::Event event;
    CHECK(sent(event) == event);
    mp::Condition condition(lock);
    auto const copy = sent(condition);
    CHECK(copy == condition);
    copy.acquire();
    CHECK(lock.locked());
    mp::Barrier barrier(3, 5s);
    CHECK(sent(barrier) == barrier);
    mp::Barrier const with_action(1, [] {});
    CHECK(sent(with_action).wait() == 0);
    int n = 0;
    CHECK_THROWS_AS(sent(mp::Barrier(1, [&n] { ++n; })), mp::PicklingError);
}

// ---- semaphores

TEST_CASE("a semaphore counts") {
    mp::Semaphore semaphore(2);
    CHECK(semaphore.get_value() == 2);
    CHECK(semaphore.acquire());
    CHECK(semaphore.get_value() == 1);
    CHECK(semaphore.acquire());
    CHECK(semaphore.get_value() == 0);
    CHECK(semaphore.locked());
    CHECK_FALSE(semaphore.acquire(false));
    for (int i = 1; i <= 4; ++i) {
        semaphore.release();
        CHECK(semaphore.get_value() == i);
    }
    CHECK(text_of(semaphore) == "<Semaphore(value=4)>");
    CHECK_THROWS_AS(mp::Semaphore(-1), mp::ValueError);
    mp::Semaphore full(0x7fffffff);
    CHECK_THROWS_AS(full.release(), mp::ValueError);
}

TEST_CASE("a bounded semaphore does not exceed its first value") {
    mp::BoundedSemaphore semaphore(2);
    semaphore.acquire();
    semaphore.acquire();
    CHECK_FALSE(semaphore.acquire(false));
    semaphore.release();
    CHECK(text_of(semaphore) == "<BoundedSemaphore(value=1, maxvalue=2)>");
    semaphore.release();
    CHECK_THROWS_AS(semaphore.release(), mp::ValueError);
    CHECK(semaphore.get_value() == 2);
}

TEST_CASE("a semaphore is waited for as long as the timeout says") {
    mp::Semaphore semaphore(0);
    auto const begin = Clock::now();
    CHECK_FALSE(semaphore.acquire(false));
    CHECK_FALSE(semaphore.acquire(false, 10s));
    CHECK_FALSE(semaphore.acquire(true, 0s));
    CHECK_FALSE(semaphore.acquire(true, 30ms));
    CHECK(Clock::now() - begin >= 30ms);
}

namespace {

void answer(mp::Semaphore ping, mp::Semaphore pong) {
    for (int i = 0; i < 300; ++i) {
        ping.acquire();
        pong.release();
    }
}

} // namespace

TEST_CASE("processes take turns by semaphores") {
    mp::Semaphore const ping(0);
    mp::Semaphore const pong(0);
    Crowd crowd;
    crowd.add_process(answer, ping, pong);
    for (int i = 0; i < 300; ++i) {
        ping.release();
        REQUIRE(pong.acquire(true, patience));
    }
    CHECK(crowd.join());
    CHECK(pong.get_value() == 0);
}

// ---- Condition

namespace {

constexpr std::size_t asleep = 0, awake = 1, in_vain = 2;

/// Says that it waits, and how that ended. Who holds the lock and sees `asleep` knows that it really waits.
void wait_for_condition(mp::Condition condition, Board board, std::chrono::milliseconds timeout) {
    std::scoped_lock const guard(condition);
    board.add(1, asleep);
    board.add(1, condition.wait(timeout) ? awake : in_vain);
}

void let_wait(Crowd& crowd, mp::Condition const& condition, Board const& board, std::chrono::milliseconds timeout) {
    crowd.add_process(wait_for_condition, condition, board, timeout);
    crowd.add_thread(wait_for_condition, condition, board, timeout);
}

} // namespace

TEST_CASE("notify wakes exactly as many as it says, of those that wait") {
    mp::Condition const condition;
    Board const board = Board::make();
    Crowd crowd;
    for (int i = 0; i < 3; ++i) let_wait(crowd, condition, board, patience);
    REQUIRE(board.await(6, asleep));
    int expected = 0;
    for (int n : {0, 1, 1, 2, -1, 4, 3}) {
        {
            std::scoped_lock const guard(condition);
            CHECK(
                condition.to_string() == "<Condition(<RLock(MainProcess, 1)>, " + std::to_string(6 - expected) + ")>");
            condition.notify(n);
        }
        expected = std::min(6, expected + std::max(n, 0));
        REQUIRE(board.await(expected, awake));
        CHECK(board.get(awake) == expected);
    }
    CHECK(crowd.join());
    CHECK(board.get(awake) == 6);
    CHECK(text_of(condition) == "<Condition(<RLock(None, 0)>, 0)>");
}

TEST_CASE("notify_all wakes all, after others have given up") {
    mp::Condition const condition(mp::Lock{});
    Board const board = Board::make();
    Crowd crowd;
    let_wait(crowd, condition, board, 30ms);
    CHECK(crowd.join());
    CHECK(board.get(in_vain) == 2);
    for (int i = 0; i < 2; ++i) let_wait(crowd, condition, board, patience);
    REQUIRE(board.await(6, asleep));
    {
        std::scoped_lock const guard(condition);
        condition.notify_all();
        condition.notify_all();
    }
    CHECK(crowd.join());
    CHECK(board.get(awake) == 4);
    CHECK(board.get(in_vain) == 2);
}

TEST_CASE("wait says whether it was notified, and restores the depth of the lock") {
    mp::RLock lock;
    mp::Condition const condition(lock);
    std::scoped_lock const guard(lock);
    std::scoped_lock const again(condition);
    CHECK_FALSE(condition.wait(0s));
    auto const begin = Clock::now();
    CHECK_FALSE(condition.wait(30ms));
    CHECK(Clock::now() - begin >= 30ms);
    std::thread other([&] {
        std::scoped_lock const their_guard(condition);
        condition.notify();
    });
    CHECK(condition.wait(patience));
    CHECK(lock.to_string() == "<RLock(MainProcess, 2)>");
    other.join();
}

TEST_CASE("a notification is not for who comes later") {
    // Whoever notifies and then waits itself must not take what it gave.
    mp::Condition const condition;
    Board const board = Board::make();
    Crowd crowd;
    crowd.add_process(wait_for_condition, condition, board, std::chrono::milliseconds(patience));
    REQUIRE(board.await(1, asleep));
    std::scoped_lock const guard(condition);
    condition.notify();
    CHECK_FALSE(condition.wait(30ms));
    CHECK(crowd.join());
    CHECK(board.get(awake) == 1);
}

TEST_CASE("a condition is for who holds its lock") {
    mp::Condition const condition(mp::Lock{});
    CHECK_THROWS_AS(condition.wait(0s), mp::AssertionError);
    CHECK_THROWS_AS(condition.notify(), mp::AssertionError);
    CHECK_THROWS_AS(condition.notify_all(), mp::AssertionError);
    CHECK(condition.wait_for([] { return 5; }) == 5); // true already: as in Python, nobody asks for the lock
    condition.acquire();
    bool refused = false;
    std::thread([&] {
        try {
            condition.notify();
        } catch (mp::AssertionError const&) {
            refused = true;
        }
    }).join();
    CHECK(refused);
    condition.release();
    CHECK_THROWS_AS(condition.release(), mp::ValueError);
}

namespace {

void count_up(mp::Condition condition, Board board) {
    for (int i = 0; i < 4; ++i) {
        std::scoped_lock const guard(condition);
        board.add(1, 3);
        condition.notify();
    }
}
void notify_until_told(mp::Condition condition, Board board) {
    while (board.get(4) == 0) {
        std::scoped_lock const guard(condition);
        condition.notify();
        board.add(1, 5);
    }
}

} // namespace

TEST_CASE("wait_for waits until the predicate is true") {
    mp::Condition const condition;
    Board const board = Board::make();
    Crowd crowd;
    {
        std::scoped_lock const guard(condition);
        crowd.add_process(count_up, condition, board);
        CHECK(condition.wait_for([&] { return board.get(3) == 4; }));
        CHECK(board.get(3) == 4);
        CHECK(condition.wait_for([&] { return board.get(3); }, patience) == 4);
    }
    CHECK(crowd.join());
}

TEST_CASE("wait_for ends at its timeout although it is notified") {
    mp::Condition const condition;
    Board const board = Board::make();
    Crowd crowd;
    crowd.add_process(notify_until_told, condition, board);
    REQUIRE(board.await(1, 5));
    auto const begin = Clock::now();
    {
        std::scoped_lock const guard(condition);
        CHECK_FALSE(condition.wait_for([] { return false; }, 50ms));
    }
    CHECK(Clock::now() - begin >= 50ms);
    board.set(1, 4);
    CHECK(crowd.join());
}

// ---- Event

namespace {

void wait_for_event(mp::Event event, Board board) {
    board.add(1, asleep);
    board.add(1, event.wait() ? awake : in_vain);
}
void set_event(mp::Event event) { event.set(); }

} // namespace

TEST_CASE("an event is waited for until somebody sets it") {
    mp::Event const event;
    CHECK_FALSE(event.is_set());
    CHECK_FALSE(event.wait(0s));
    auto const begin = Clock::now();
    CHECK_FALSE(event.wait(30ms));
    CHECK(Clock::now() - begin >= 30ms);
    event.set();
    event.set();
    CHECK(event.is_set());
    CHECK(event.wait(0s));
    CHECK(event.wait());
    event.clear();
    event.clear();
    CHECK_FALSE(event.is_set());
    CHECK_FALSE(event.wait(0s));

    Crowd crowd;
    crowd.add_process(set_event, event);
    CHECK(event.wait());
    CHECK(crowd.join());
    event.clear();

    Board const board = Board::make();
    crowd.add_process(wait_for_event, event, board);
    crowd.add_thread(wait_for_event, event, board);
    CHECK(board.await(2, asleep));
    event.set();
    CHECK(crowd.join());
    CHECK(board.get(awake) == 2);
}

TEST_CASE("the text of an event says whether it is set") {
    mp::Event const event;
    CHECK_THAT(text_of(event), Catch::StartsWith("<Event at 0x") && Catch::EndsWith(" unset>"));
    event.set();
    CHECK_THAT(event.to_string(), Catch::StartsWith("<Event at 0x") && Catch::EndsWith(" set>"));
}

// ---- Barrier

namespace {

constexpr int parties = 5;

using Party = void (*)(mp::Barrier, Board);

/// Runs a party five times: in two processes, two threads and here.
void meet(Party party, mp::Barrier const& barrier, Board const& board) {
    Crowd crowd;
    for (int i = 0; i < 2; ++i) crowd.add_process(party, barrier, board);
    for (int i = 0; i < 2; ++i) crowd.add_thread(party, barrier, board);
    party(barrier, board);
    CHECK(crowd.join());
}

constexpr std::size_t mistakes = 7;

/// Nobody is one step ahead of the others.
void go_in_step(mp::Barrier const& barrier, Board const& board, int rounds) {
    for (int round = 1; round <= rounds; ++round) {
        board.add(1, 0);
        barrier.wait();
        if (board.get(0) != round * parties) board.add(1, mistakes);
        barrier.wait();
    }
}
void go_10_steps(mp::Barrier barrier, Board board) { go_in_step(barrier, board, 10); }
void go_500_steps(mp::Barrier barrier, Board board) { go_in_step(barrier, board, 500); }

} // namespace

TEST_CASE("at a barrier all wait for the last one, again and again") {
    mp::Barrier const barrier(parties);
    Board const board = Board::make();
    SECTION("10 cycles") { meet(go_10_steps, barrier, board); }
    SECTION("a thousand cycles") { meet(go_500_steps, barrier, board); }
    CHECK(board.get(mistakes) == 0);
    CHECK(barrier.n_waiting() == 0);
    CHECK_FALSE(barrier.broken());
    CHECK(barrier.parties() == parties);
}

namespace {

void add_order_of_arrival(mp::Barrier barrier, Board board) { board.add(std::int64_t{1} << (8 * barrier.wait()), 0); }

} // namespace

TEST_CASE("each party at a barrier gets another number") {
    Board const board = Board::make();
    meet(add_order_of_arrival, mp::Barrier(parties), board);
    CHECK(board.get(0) == 0x0101010101);
}

namespace {

struct CountUp {
    Board board;
    void operator()() const { board.add(1, 0); }

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& board;
    }
};
void check_action_ran_once(mp::Barrier barrier, Board board) {
    for (int round = 1; round <= 3; ++round) {
        barrier.wait();
        if (board.get(0) != round) board.add(1, mistakes);
        barrier.wait();
        if (board.get(0) != ++round) board.add(1, mistakes);
    }
}

} // namespace

TEST_CASE("the action of a barrier runs once in each cycle, before anybody goes on") {
    Board const board = Board::make();
    meet(check_action_ran_once, mp::Barrier(parties, CountUp{board}), board);
    CHECK(board.get(0) == 4);
    CHECK(board.get(mistakes) == 0);
}

TEST_CASE("an action that throws breaks the barrier") {
    mp::Barrier const barrier(2, [] { throw mp::TypeError("in the action"); });
    Board const board = Board::make();
    auto const party = [&] {
        try {
            barrier.wait();
        } catch (mp::TypeError const&) {
            board.add(1, 0);
        } catch (mp::BrokenBarrierError const&) {
            board.add(1, 1);
        }
    };
    std::thread other(party);
    party();
    other.join();
    CHECK(board.get(0) == 1);
    CHECK(board.get(1) == 1);
    CHECK(barrier.broken());
}

namespace {

constexpr std::size_t passed = 0, broken = 1;

void wait_and_count(mp::Barrier barrier, Board board, mp::Timeout timeout = {}) {
    try {
        barrier.wait(timeout);
        board.add(1, passed);
    } catch (mp::BrokenBarrierError const&) {
        board.add(1, broken);
    }
}
void wait_plainly(mp::Barrier barrier, Board board) { wait_and_count(barrier, board); }
void wait_briefly(mp::Barrier barrier, Board board) { wait_and_count(barrier, board, 30ms); }

} // namespace

TEST_CASE("abort breaks a barrier, reset mends it") {
    mp::Barrier const barrier(parties);
    Board const board = Board::make();
    Crowd crowd;
    for (int i = 0; i < 2; ++i) crowd.add_process(wait_plainly, barrier, board);
    for (int i = 0; i < 2; ++i) crowd.add_thread(wait_plainly, barrier, board);
    while (barrier.n_waiting() != 4) std::this_thread::yield();
    CHECK_THAT(text_of(barrier), Catch::StartsWith("<Barrier at 0x") && Catch::EndsWith(": waiters=4/5>"));
    SECTION("abort") {
        barrier.abort();
        CHECK(crowd.join());
        CHECK(board.get(broken) == 4);
        CHECK(barrier.broken());
        CHECK_THAT(text_of(barrier), Catch::EndsWith(": broken>"));
        CHECK_THROWS_AS(barrier.wait(), mp::BrokenBarrierError);
        barrier.reset();
    }
    SECTION("reset") {
        barrier.reset();
        CHECK(crowd.join());
        CHECK(board.get(broken) == 4);
    }
    CHECK_FALSE(barrier.broken());
    meet(wait_plainly, barrier, board);
    CHECK(board.get(passed) == 5);
    CHECK(board.get(broken) == 4);
}

TEST_CASE("a barrier breaks when somebody does not come in time") {
    Board const board = Board::make();
    auto const begin = Clock::now();
    SECTION("given to wait") {
        mp::Barrier const barrier(parties + 1);
        meet(wait_briefly, barrier, board);
        CHECK(barrier.broken());
    }
    SECTION("given to the constructor") {
        mp::Barrier const barrier(parties + 1, 30ms);
        meet(wait_plainly, barrier, board);
        CHECK(barrier.broken());
    }
    CHECK(Clock::now() - begin >= 30ms);
    CHECK(board.get(broken) == parties);
    CHECK(board.get(passed) == 0);
    mp::Barrier const alone(2);
    CHECK_THROWS_AS(alone.wait(0s), mp::BrokenBarrierError);
    CHECK(alone.broken());
}

TEST_CASE("a barrier for one never blocks") {
    mp::Barrier const barrier(1);
    CHECK(barrier.wait() == 0);
    CHECK(barrier.wait(0s) == 0);
    CHECK_THROWS_AS(mp::Barrier(0), mp::ValueError);
    CHECK_THROWS_AS(mp::Barrier(-1), mp::ValueError);
}
