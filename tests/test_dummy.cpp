#include <multiprocessing/dummy.hpp>

#include "support/catch.hpp"
#include "support/hidden_case.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace mp = multiprocessing::dummy;
using multiprocessing::AssertionError;
using namespace std::chrono_literals;

TEST_CASE("dummy: the life of a process that is a thread") {
    mp::Event go;
    int result = 0;
    mp::Process process(
        [&](int x, std::string const& text) {
            go.wait();
            result = x + static_cast<int>(text.size());
        },
        40,
        "ab");
    CHECK(process.name().substr(0, 7) == "Thread-");
    CHECK(process.to_string() == "<Process(" + process.name() + ", initial)>");
    CHECK_FALSE(process.is_alive());
    CHECK_FALSE(process.ident().has_value());
    CHECK_FALSE(process.exitcode().has_value());
    CHECK_THROWS_AS(process.join(), AssertionError);
    CHECK_THROWS_AS(process.handle(), AssertionError);
    process.start();
    CHECK_THROWS_AS(process.start(), AssertionError);
    CHECK_THROWS_AS(process.daemon(true), AssertionError);
    CHECK(process.is_alive());
    CHECK(process.ident().has_value());
    REQUIRE(mp::active_children().size() == 1);
    CHECK(mp::active_children()[0].ident() == process.ident());
    process.join(0s);
    CHECK_FALSE(process.exitcode().has_value());
    go.set();
    process.join();
    process.join();
    CHECK(process.exitcode() == 0);
    CHECK(result == 42);
    CHECK_FALSE(process.is_alive());
    CHECK(mp::active_children().empty());
    CHECK_THROWS_AS(process.start(), AssertionError);
    CHECK(process.handle().exitcode() == 0);
}

TEST_CASE("dummy: names, daemons, and who runs here") {
    CHECK(mp::current_process().name() == "MainThread");
    CHECK(mp::current_process().is_alive());
    std::string name;
    bool inherited = false;
    mp::Process process({.name = "worker", .daemon = true}, [&] {
        name = mp::current_process().name();
        inherited = mp::Process([] {}).daemon();
    });
    CHECK(process.daemon());
    process.start();
    process.join();
    CHECK(name == "worker");
    CHECK(inherited);
    mp::Process other;
    CHECK_FALSE(other.daemon());
    other.name("other");
    other.start();
    other.join();
    CHECK(other.to_string() == "<Process(other, stopped " + std::to_string(*other.ident()) + ")>");
    std::string made_by_others;
    std::thread([&] { made_by_others = mp::current_process().name(); }).join();
    CHECK(made_by_others.substr(0, 6) == "Dummy-");
}

TEST_CASE("dummy: a process is waited for at its end, a daemon is not") {
    bool done = false;
    {
        mp::Process process([&] { done = true; });
        process.start();
    }
    CHECK(done);
    auto const stays = std::make_shared<std::pair<mp::Event, mp::Event>>();
    {
        mp::Process daemon({.daemon = true}, [stays] {
            stays->first.wait();
            stays->second.set();
        });
        daemon.start();
    }
    stays->first.set();
    stays->second.wait();
}

TEST_CASE("dummy: processes can be kept in a vector, and lose their targets") {
    std::atomic<int> sum = 0;
    auto const used = std::make_shared<int>(1);
    std::vector<mp::Process> all;
    for (int i = 0; i < 10; ++i) {
        all.emplace_back([&sum, used](int x) { sum += x * *used; }, i);
        all.back().start();
    }
    for (auto& one : all) one.join();
    CHECK(sum == 45);
    CHECK(used.use_count() == 1);
}

TEST_CASE("a thread that throws", "[.]") {
    mp::Process process({.name = "bad"}, [] { throw std::domain_error("from the thread"); });
    process.start();
    process.join();
    REQUIRE(process.exitcode() == 1);
    mp::Process leaves([] { throw multiprocessing::SystemExit(7); });
    leaves.start();
    leaves.join();
    REQUIRE(leaves.exitcode() == 7);
}

TEST_CASE("dummy: what a thread throws is reported, and becomes its exit code") {
    auto const ended = multiprocessing_test::run_hidden_case("a thread that throws");
    CHECK(ended.exitcode == 0);
    CHECK(multiprocessing_test::count_of("Process bad:", ended.errors) == 1);
    CHECK(multiprocessing_test::count_of("from the thread", ended.errors) == 1);
}

namespace {

class Echo : public mp::Process {
public:
    explicit Echo(mp::Connection end) : end_(std::move(end)) {}
    ~Echo() override { join(); }
    void run() override {
        try {
            for (;;) end_.send(end_.recv<std::string>() + "!");
        } catch (multiprocessing::EOFError const&) {
        }
    }

private:
    mp::Connection end_;
};

} // namespace

TEST_CASE("dummy: a derived class; the ends of a pipe see the end") {
    auto [mine, other] = mp::Pipe();
    Echo echo(other);
    echo.start();
    mine.send("a");
    CHECK(mine.recv<std::string>() == "a!");
    mine.close();
    CHECK(mine.closed());
    CHECK_THROWS_AS(mine.send("b"), multiprocessing::OSError);
    echo.join();
    CHECK(echo.exitcode() == 0);
}

TEST_CASE("dummy: locks and their relatives between threads") {
    mp::Lock lock;
    mp::RLock recursive;
    mp::Value<int> value(0);
    mp::Barrier together(3);
    mp::Semaphore places(2);
    int plain = 0;
    std::vector<mp::Process> all;
    for (int i = 0; i < 3; ++i) {
        all.emplace_back([&] {
            together.wait();
            for (int times = 0; times < 100; ++times) {
                std::scoped_lock const place(places);
                std::scoped_lock const once(recursive);
                std::scoped_lock const twice(recursive);
                std::scoped_lock const guard(lock);
                ++plain;
                value += 1;
            }
        });
        all.back().start();
    }
    for (auto& one : all) one.join();
    CHECK(plain == 300);
    CHECK(value.value() == 300);

    recursive.acquire();
    bool other_got_it = true;
    mp::Process thief([&] { other_got_it = recursive.acquire(false); });
    thief.start();
    thief.join();
    CHECK_FALSE(other_got_it);
    recursive.release();
}

TEST_CASE("dummy: condition, event and queues between threads") {
    mp::Condition condition;
    bool ready = false;
    mp::JoinableQueue<std::string> queue;
    mp::Process consumer([&] {
        {
            std::scoped_lock const guard(condition);
            condition.wait_for([&] { return ready; });
        }
        for (;;) {
            auto const text = queue.get();
            queue.task_done();
            if (text.empty()) return;
        }
    });
    consumer.start();
    for (auto const* text : {"a", "b", ""}) queue.put(text);
    {
        std::scoped_lock const guard(condition);
        ready = true;
        condition.notify_all();
    }
    queue.join();
    consumer.join();
    mp::Array<int> numbers(std::vector{1, 2});
    CHECK(numbers[1] == 2);
}

TEST_CASE("dummy: the pool is one of threads, and its workers have a name") {
    mp::freeze_support();
    mp::Pool pool(2);
    int const offset = 1;
    CHECK(pool.map([&](int x) { return x + offset; }, {1, 2}) == std::vector<int>{2, 3});
    CHECK(
        mp::Pool(mp::PoolOptions{.processes = 1}).apply([] { return mp::current_process().name().empty(); }) == false);
}
