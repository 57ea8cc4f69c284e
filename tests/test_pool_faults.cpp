// runs per start method
// not on windows
#include <multiprocessing/context.hpp>
#include <multiprocessing/functional.hpp>
#include <multiprocessing/pool.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <signal.h>
#include <unistd.h>

namespace mp = multiprocessing;
using multiprocessing_test::Board;
using multiprocessing_test::up_to;

namespace {

int same(int x) { return x; }
int worker_pid() { return static_cast<int>(::getpid()); }

/// Ends its process in one of many ways at item 5.
enum class End { abort, crash, leave, exit, terminate_process, library_exit, kill };
int end_at_five(End how, int x) {
    if (x != 5) return x;
    switch (how) {
    case End::abort: ::signal(SIGABRT, SIG_DFL); std::abort();
    case End::crash:
        ::signal(SIGSEGV, SIG_DFL); // a sanitizer would make an exit of it
        ::raise(SIGSEGV);
        break;
    case End::leave: ::_exit(7);
    case End::exit: std::quick_exit(8);
    case End::terminate_process: ::kill(::getpid(), SIGTERM); break;
    case End::library_exit: mp::exit(9);
    case End::kill: ::kill(::getpid(), SIGKILL); break;
    }
    ::pause();
    return x;
}

/// Counts how often each item begins and ends.
struct Ledger {
    static constexpr int items = 400;
    std::atomic<int> begun[items]{};
    std::atomic<int> ended[items]{};
};
struct Work {
    mp::detail::shared_object<Ledger> ledger;
    std::string operator()(int x) const {
        auto const place = static_cast<std::size_t>(x);
        ledger->begun[place].fetch_add(1);
        for (int i = 0; i < 100; ++i) mp::platform::relax();
        ledger->ended[place].fetch_add(1);
        return std::string(place % 60, 'x') + std::to_string(x);
    }
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& ledger;
    }
};

/// Never comes back.
struct Hang {
    Board board;
    int operator()(int x) const {
        board.add();
        for (;;) ::pause();
        return x;
    }
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& board;
    }
};

} // namespace

TEST_CASE("a worker that ends costs exactly its item, and the pool goes on") {
    mp::Pool pool(2);
    for (auto const how :
         {End::abort, End::crash, End::leave, End::exit, End::terminate_process, End::library_exit, End::kill}) {
        CAPTURE(static_cast<int>(how));
        try {
            pool.map(mp::partial(end_at_five, how), up_to(30));
            FAIL("no exception");
        } catch (mp::WorkerDiedError const& error) {
            CHECK(error.task_index() == 5U);
            CHECK(error.pid() != ::getpid());
            CHECK(error.attempt() == 1);
            switch (how) {
            case End::abort: CHECK(error.signal_name() == "SIGABRT"); break;
            case End::crash: CHECK(error.signal_name() == "SIGSEGV"); break;
            case End::leave: CHECK(error.exitcode() == 7); break;
            case End::exit: CHECK(error.exitcode() == 8); break;
            case End::terminate_process: CHECK(error.exitcode() == -SIGTERM); break;
            case End::library_exit: CHECK(error.exitcode() == 9); break;
            case End::kill: CHECK(error.exitcode() == -SIGKILL); break;
            }
        }
        CHECK(pool.map(same, up_to(30)) == up_to(30));
    }
}

TEST_CASE("workers killed while they wait are replaced") {
    mp::Pool pool(2);
    CHECK(pool.map(same, up_to(10)) == up_to(10));
    for (int round = 0; round < 3; ++round) {
        for (auto const pid : pool.worker_pids()) ::kill(static_cast<pid_t>(pid), SIGKILL);
        CHECK(pool.map(same, up_to(10)) == up_to(10));
    }
}

TEST_CASE("a stopped worker does not keep the pool from ending") {
    mp::Pool pool(2);
    int const pid = pool.apply(worker_pid);
    ::kill(pid, SIGSTOP);
    pool.terminate();
    pool.join();
}

TEST_CASE("another thread may terminate a call") {
    auto const board = Board::make();
    mp::Pool pool(2);
    std::thread other([&] {
        board.await(1);
        pool.terminate();
    });
    CHECK_THROWS_AS(pool.map(Hang{board}, {1, 2}), mp::ProcessError);
    other.join();
    pool.join();
}

TEST_CASE("after kills at random every item has run once, and is right or lost with its worker") {
    int kills = 60;
    if (auto const* const chosen = std::getenv("MULTIPROCESSING_TEST_KILLS")) kills = std::atoi(chosen);
    std::mt19937 random(7);
    mp::Pool pool(3);
    int done = 0;
    while (done < kills) {
        Work const work{mp::detail::shared_object<Ledger>::make()};
        std::atomic<bool> over{false};
        std::atomic<int> killed{0};
        auto const wait = std::chrono::microseconds(random() % 3000);
        std::thread killer([&] {
            while (!over && killed < 4) {
                std::this_thread::sleep_for(wait); // not to synchronise, but to hit anywhere
                auto const pids = pool.worker_pids();
                if (pids.empty()) continue;
                auto const victim = pids[static_cast<std::size_t>(killed) % pids.size()];
                if (victim > 0 && ::kill(static_cast<pid_t>(victim), SIGKILL) == 0) ++killed;
            }
        });
        std::vector<std::string> results;
        std::optional<std::uint64_t> lost;
        try {
            results = pool.map(work, up_to(Ledger::items));
        } catch (mp::WorkerDiedError const& error) {
            CHECK(error.signal_name() == "SIGKILL");
            lost = error.task_index();
            REQUIRE(lost.has_value());
        }
        over = true;
        killer.join();
        for (int i = 0; i < Ledger::items; ++i) {
            auto const place = static_cast<std::size_t>(i);
            CAPTURE(i);
            // An item may be lost just before it begins, or after it ended; it never runs twice.
            REQUIRE(work.ledger->begun[place] <= 1);
            if (!lost) {
                REQUIRE(work.ledger->ended[place] == 1);
                REQUIRE(results[place] == std::string(place % 60, 'x') + std::to_string(i));
            }
        }
        done += std::max<int>(1, killed);
    }
    CHECK(pool.map(same, up_to(30)) == up_to(30));
}
