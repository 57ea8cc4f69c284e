// runs per start method
#include <multiprocessing/process.hpp>
#include <multiprocessing/queues.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

namespace mp = multiprocessing;
using multiprocessing_test::Board;
using multiprocessing_test::patience;
using namespace std::chrono_literals;

namespace {

void get_six(mp::Queue<int> queue, Board board) {
    board.await(1, 0);
    for (int i = 0; i < 6; ++i) queue.get();
    board.set(1, 1);
}

void put_four(mp::Queue<int> queue, Board board) {
    board.await(1, 0);
    for (int i = 2; i <= 5; ++i) queue.put(i);
    board.set(1, 1);
}

void put_ten(mp::Queue<int> queue) {
    for (int i = 10; i < 20; ++i) queue.put(i);
}

void work_off(mp::JoinableQueue<std::optional<int>> queue, Board board) {
    for (int item : queue) {
        board.add(item);
        queue.task_done();
    }
    queue.task_done(); // the sentinel is an item as well
}

void put_pairs(mp::Queue<std::pair<int, int>> queue, int producer, int count) {
    for (int i = 0; i < count; ++i) queue.put({producer, i});
}

void forward(mp::Queue<std::optional<std::string>> from, mp::Queue<std::string> to) {
    for (std::string const& text : from) to.put(text + "!");
}

/// Gets a queue out of a queue and answers there.
void answer(mp::Queue<mp::Queue<std::string>> questions) { questions.get().put("here"); }

void put_much(mp::Queue<std::vector<double>> queue) {
    for (int i = 0; i < 50; ++i) queue.put(std::vector<double>(20'000, i));
}

void double_all(mp::Queue<std::vector<int>> queue, mp::Queue<std::vector<int>> results) {
    auto view = queue.get_view();
    auto loan = results.loan(view.size());
    for (std::size_t i = 0; i < view.size(); ++i) loan[i] = 2 * view[i];
    results.put(std::move(loan));
}

struct Unwilling {
    int value = 0;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        if (value < 0) throw mp::PicklingError("no");
        archive& value;
    }
};

template <class Function>
double seconds(Function function) {
    auto const begin = std::chrono::steady_clock::now();
    function();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

} // namespace

// ---- CPython's _TestQueue

TEST_CASE("put fills a bounded queue, and a child takes everything out") {
    mp::Queue<int> queue(6);
    Board const board = Board::make();
    mp::Process process({.daemon = true}, get_six, queue, board);
    process.start();
    CHECK(queue.empty());
    CHECK_FALSE(queue.full());
    queue.put(1);
    queue.put(2, true);
    queue.put(3, true, std::nullopt);
    queue.put(4, false);
    queue.put(5, false, std::nullopt);
    queue.put_nowait(6);
    CHECK_FALSE(queue.empty());
    CHECK(queue.full());
    CHECK_THROWS_AS(queue.put(7, false), mp::Full);
    CHECK_THROWS_AS(queue.put(7, false, 1h), mp::Full);
    CHECK_THROWS_AS(queue.put_nowait(7), mp::Full);
    CHECK_THROWS_AS(queue.put(7, true, -1s), mp::Full);
    CHECK_FALSE(queue.try_put(7));
    CHECK(seconds([&] { CHECK_THROWS_AS(queue.put(7, true, 30ms), mp::Full); }) >= 0.03);
    board.set(1, 0);
    CHECK(board.await(1, 1));
    CHECK(queue.empty());
    CHECK_FALSE(queue.full());
    process.join();
}

TEST_CASE("get takes in order what a child has put") {
    mp::Queue<int> queue;
    Board const board = Board::make();
    mp::Process process({.daemon = true}, put_four, queue, board);
    process.start();
    CHECK(queue.empty());
    board.set(1, 0);
    CHECK(board.await(1, 1));
    CHECK_FALSE(queue.empty());
    CHECK(queue.get(true, std::nullopt) == 2);
    CHECK(queue.get(true) == 3);
    CHECK(queue.get(true, 1s) == 4);
    CHECK(queue.get_nowait() == 5);
    CHECK(queue.empty());
    CHECK_THROWS_AS(queue.get(false), mp::Empty);
    CHECK_THROWS_AS(queue.get(false, std::nullopt), mp::Empty);
    CHECK_THROWS_AS(queue.get(false, 1h), mp::Empty);
    CHECK_THROWS_AS(queue.get_nowait(), mp::Empty);
    CHECK_THROWS_AS(queue.get(true, -1s), mp::Empty);
    CHECK_FALSE(queue.try_get());
    CHECK(seconds([&] { CHECK_THROWS_AS(queue.get(true, 30ms), mp::Empty); }) >= 0.03);
    process.join();
}

TEST_CASE("parent and child put into the same queue") {
    mp::Queue<int> queue;
    for (int i = 0; i < 10; ++i) queue.put(i);
    mp::Process process(put_ten, queue);
    process.start();
    process.join(); // before anybody reads
    CHECK(process.exitcode() == 0);
    for (int i = 0; i < 20; ++i) CHECK(queue.get() == i);
    CHECK_THROWS_AS(queue.get(false), mp::Empty);
}

TEST_CASE("qsize follows put and get") {
    mp::Queue<int> queue;
    CHECK(queue.qsize() == 0);
    queue.put(1);
    CHECK(queue.qsize() == 1);
    queue.put(5);
    CHECK(queue.qsize() == 2);
    queue.get();
    CHECK(queue.qsize() == 1);
    queue.get();
    CHECK(queue.qsize() == 0);
}

TEST_CASE("join returns when the workers have done all items") {
    mp::JoinableQueue<std::optional<int>> queue;
    Board const board = Board::make();
    std::vector<mp::Process> workers;
    for (int i = 0; i < 4; ++i) workers.emplace_back(work_off, queue, board).start();
    for (int i = 1; i <= 10; ++i) queue.put(i);
    queue.join();
    CHECK(board.get() == 55);
    for (int i = 0; i < 4; ++i) queue.put(std::nullopt);
    for (auto& worker : workers) worker.join();
    queue.join();
    CHECK_THROWS_AS(queue.task_done(), mp::ValueError);
}

TEST_CASE("an item that cannot be serialised throws in put and leaves the queue as it was") {
    mp::Queue<Unwilling> queue(1);
    CHECK_THROWS_AS(queue.put(Unwilling{-1}), mp::PicklingError);
    CHECK(queue.qsize() == 0);
    CHECK(queue.empty());
    queue.put(Unwilling{7}); // the place is free
    CHECK(queue.get().value == 7);
    mp::JoinableQueue<Unwilling> joinable;
    CHECK_THROWS_AS(joinable.put(Unwilling{-1}), mp::PicklingError);
    joinable.join(); // nothing is left to be done
}

TEST_CASE("empty of a closed queue throws only if something had been put") {
    mp::Queue<int> unused;
    unused.close();
    CHECK(unused.empty());
    mp::Queue<int> used;
    used.put(1);
    used.close();
    CHECK_THROWS_AS(used.empty(), mp::OSError);
}

TEST_CASE("put and get of a closed queue throw") {
    mp::Queue<int> queue;
    mp::Queue<int> const copy = queue;
    queue.put(1);
    CHECK_THROWS_AS(queue.join_thread(), mp::AssertionError);
    queue.close();
    queue.close();
    CHECK(copy.closed());
    CHECK_THROWS_AS(queue.put(2), mp::ValueError);
    CHECK_THROWS_AS(queue.get(), mp::ValueError);
    queue.join_thread();
    queue.cancel_join_thread();
    mp::JoinableQueue<int> joinable;
    joinable.close();
    CHECK_THROWS_AS(joinable.put(2), mp::ValueError);
    CHECK_THROWS_AS(joinable.get(), mp::ValueError);
}

// ---- CPython's TestSimpleQueue

TEST_CASE("a simple queue is empty, and then it is not") {
    mp::SimpleQueue<std::string> queue;
    CHECK(queue.empty());
    mp::Process process(
        [](mp::SimpleQueue<std::string> q) {
            q.put("first");
            q.put("second");
        },
        queue);
    process.start();
    CHECK(queue.get() == "first");
    process.join();
    CHECK_FALSE(queue.empty());
    CHECK(queue.get() == "second");
    CHECK(queue.empty());
}

TEST_CASE("a simple queue can be closed twice, and nothing can be done with it then") {
    mp::SimpleQueue<int> queue;
    CHECK_FALSE(queue.closed());
    queue.close();
    queue.close();
    CHECK(queue.closed());
    CHECK_THROWS_AS(queue.empty(), mp::OSError);
    CHECK_THROWS_AS(queue.put(1), mp::OSError);
    CHECK_THROWS_AS(queue.get(), mp::OSError);
}

// ---- beyond

TEST_CASE("items of each of several producers stay in order") {
    mp::Queue<std::pair<int, int>> queue(10);
    std::vector<mp::Process> producers;
    for (int i = 0; i < 3; ++i) producers.emplace_back(put_pairs, queue, i, 500).start();
    std::map<int, int> next;
    bool in_order = true;
    for (int i = 0; i < 1500; ++i) {
        auto const [producer, number] = queue.get(true, patience);
        in_order = in_order && number == next[producer]++;
    }
    CHECK(in_order);
    CHECK(queue.empty());
    for (auto& producer : producers) producer.join();
}

TEST_CASE("a queue without a limit takes everything before anybody reads") {
    mp::Queue<std::vector<double>> queue;
    mp::Process process(put_much, queue);
    process.start();
    process.join();
    CHECK(queue.qsize() == 50);
    for (int i = 0; i < 50; ++i) {
        auto const got = queue.get();
        CHECK(got.size() == 20'000);
        CHECK(got.back() == i);
    }
    mp::Queue<int> small;
    for (int i = 0; i < 10'000; ++i) small.put(i);
    CHECK(small.qsize() == 10'000);
    long sum = 0;
    for (int i = 0; i < 10'000; ++i) sum += small.get() == i;
    CHECK(sum == 10'000);
}

TEST_CASE("a sentinel ends the loop over a queue") {
    mp::Queue<std::optional<std::string>> lines;
    mp::Queue<std::string> results;
    mp::Process process(forward, lines, results);
    process.start();
    lines.put("one");
    lines.put("two");
    lines.put(std::nullopt);
    process.join();
    CHECK(process.exitcode() == 0);
    CHECK(results.get() == "one!");
    CHECK(results.get() == "two!");
    CHECK(results.empty());
}

TEST_CASE("queues travel through queues") {
    mp::Queue<mp::Queue<std::string>> questions;
    mp::Process process(answer, questions);
    process.start();
    mp::Queue<std::string> reply;
    questions.put(reply);
    CHECK(reply.get() == "here");
    process.join();
    questions.put(reply);
    CHECK(questions.get() == reply);
}

TEST_CASE("every kind of item arrives as it was") {
    mp::Queue<std::variant<int, std::string>> variants;
    variants.put("text");
    variants.put(3);
    CHECK(std::get<std::string>(variants.get()) == "text");
    CHECK(std::get<int>(variants.get()) == 3);

    mp::Queue<std::unique_ptr<int>> pointers; // cannot be copied
    pointers.put(std::make_unique<int>(5));
    CHECK(*pointers.get() == 5);

    mp::Queue<std::string> strings; // in the slot, at its limit, and in a block
    for (std::size_t const size : {0U, 1U, 247U, 248U, 249U, 1000U, 300'000U}) {
        strings.put(std::string(size, 'x'));
        CHECK(strings.get() == std::string(size, 'x'));
    }

    struct Large {
        std::array<int, 1000> numbers;
    };
    mp::Queue<Large> large;
    Large item{};
    std::iota(item.numbers.begin(), item.numbers.end(), 1);
    large.put(item);
    CHECK(large.get().numbers == item.numbers);

    mp::Queue<bool> flags;
    flags.put(true);
    CHECK(flags.get());
}

TEST_CASE("memory is lent, filled in place, handed over, and looked at in place") {
    mp::Queue<std::vector<int>> queue, results;
    mp::Process process(double_all, queue, results);
    process.start();
    auto loan = queue.loan(100'000);
    CHECK(reinterpret_cast<std::uintptr_t>(loan.data()) % 64 == 0);
    std::iota(loan.begin(), loan.end(), 0);
    queue.put(std::move(loan));
    auto view = results.get_view();
    CHECK(view.size() == 100'000);
    CHECK(view[99'999] == 2 * 99'999);
    process.join();

    queue.put({1, 2, 3}); // put as a vector, small or large: looked at in place
    auto small = queue.get_view();
    auto moved = std::move(small);
    CHECK(std::vector(moved.begin(), moved.end()) == std::vector{1, 2, 3});
    auto other = queue.loan(2); // lent, and taken as a vector
    other[0] = 8;
    other[1] = 9;
    queue.put(std::move(other));
    CHECK(queue.get() == std::vector{8, 9});
    { auto const unused = queue.loan(10); }
    CHECK_THROWS_AS(queue.get_view(false), mp::Empty);
}

TEST_CASE("threads of one process use a queue as processes do") {
    for (int const maxsize : {1, 3, 64, 0}) {
        mp::Queue<int> queue(maxsize);
        constexpr int count = 2000;
        std::atomic<long> sum{0};
        std::vector<std::thread> threads;
        for (int i = 0; i < 2; ++i) {
            threads.emplace_back([queue]() mutable {
                for (int n = 1; n <= count; ++n) queue.put(n);
            });
            threads.emplace_back([queue, &sum]() mutable {
                for (int n = 1; n <= count; ++n) sum += queue.get(true, patience);
            });
        }
        for (auto& thread : threads) thread.join();
        CHECK(sum == 2L * count * (count + 1) / 2);
        CHECK(queue.empty());
    }
}

TEST_CASE("a queue gives its memory back") {
    auto& memory = mp::detail::arena::instance();
    std::size_t committed = 0;
    for (int round = 0; round < 40; ++round) {
        mp::Queue<std::string> queue;
        for (int i = 0; i < 200; ++i) queue.put(std::string(2000, 'x')); // left in it
        for (int i = 0; i < 100; ++i) queue.get();
        if (round == 1) committed = memory.committed();
    }
    CHECK(memory.committed() == committed);
}

TEST_CASE("an item that is refused lets go of its handles") {
    mp::Queue<mp::Queue<int>> full(1);
    mp::Queue<int> inner;
    full.put(inner);
    std::size_t const before = mp::detail::arena::instance().committed();
    for (int i = 0; i < 100; ++i) {
        mp::Queue<int> other(8000);            // half a megabyte
        CHECK_FALSE(full.try_put(other, 1ns)); // serialised, then refused
    }
    CHECK(mp::detail::arena::instance().committed() < before + (5 << 20));
}
