// runs per start method
// not on windows
#include <multiprocessing/process.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"
#include "support/faults.hpp"
#include "support/forked.hpp"
#include "support/hidden_case.hpp"

#include <algorithm>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include <pthread.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mp = multiprocessing;
using multiprocessing_test::Board;
using multiprocessing_test::eventually;
using multiprocessing_test::Forked;
using multiprocessing_test::in_child;
using multiprocessing_test::is_gone;
using multiprocessing_test::open_descriptors;
using multiprocessing_test::run_hidden_case;
using multiprocessing_test::SignalHandler;
using namespace std::chrono_literals;

namespace {

void leave(int code) { mp::exit(code); }

void wait_for_stop(Board board) {
    board.add(1, 0);
    board.await_stop(1);
}

int exitcode_after(int code) {
    mp::Process process(leave, code);
    process.start();
    process.join();
    return process.exitcode().value_or(-1000);
}

bool is_forking() { return mp::Process(leave, 0).start_method() == mp::StartMethod::fork; }

} // namespace

// ---- processes that may not

TEST_CASE("only the process that has started a child may wait for it") {
    Board const board = Board::make();
    mp::Process process(wait_for_stop, board);
    process.start();
    auto const handle = process.handle();
    REQUIRE(board.await(1));
    CHECK(in_child([&] {
              int refused = 0;
              try {
                  process.join();
              } catch (mp::AssertionError const&) {
                  ++refused;
              }
              try {
                  process.is_alive();
              } catch (mp::AssertionError const&) {
                  ++refused;
              }
              try {
                  handle.join();
              } catch (mp::AssertionError const&) {
                  ++refused;
              }
              CHILD_CHECK(!process.exitcode());
              CHILD_CHECK(process.to_string().find(" unknown") != std::string::npos);
              CHILD_CHECK(mp::Process(leave, 0).exitcode() == std::nullopt);
              return refused;
          }) == 3);
    mp::Process not_started(leave, 0);
    CHECK(in_child([&] {
              try {
                  not_started.start();
              } catch (mp::AssertionError const&) {
                  return 1;
              }
              return 0;
          }) == 1);
    CHECK(process.is_alive());
    board.set(1, 1);
    process.join();
    CHECK(process.exitcode() == 0);
}

TEST_CASE("another process may end a child whose handle it has inherited") {
    Board const board = Board::make();
    mp::Process process(wait_for_stop, board);
    process.start();
    REQUIRE(board.await(1));
    CHECK(in_child([&] {
              process.kill();
              return 0;
          }) == 0);
    process.join();
    CHECK(process.exitcode() == -SIGKILL);
}

// ---- what cannot travel

TEST_CASE("a target that cannot travel is refused, and nothing is started") {
    int captured = 3;
    mp::Process process([&captured](Board board) { board.set(captured); }, Board::make());
    if (is_forking()) {
        process.start();
        process.join();
        CHECK(process.exitcode() == 0);
        return;
    }
    CHECK_THROWS_AS(process.start(), mp::PicklingError);
    CHECK(process.pid() == std::nullopt);
    CHECK_FALSE(process.is_alive());
    CHECK(process.to_string().find(" initial") != std::string::npos);
    CHECK(mp::active_children().empty());
    process.close();
}

TEST_CASE("fork takes any target") {
    std::string text = "captured by reference";
    Board const board = Board::make();
    mp::Process process({.method = mp::StartMethod::fork}, [&] { board.write(text); });
    process.start();
    process.join();
    CHECK(board.text() == text);
}

// ---- a system that refuses

TEST_CASE("no more processes: an OSError, and nothing is started") {
    CHECK(in_child([] {
              if (::getuid() == 0) CHILD_CHECK(::setgid(65534) == 0 && ::setuid(65534) == 0);
              rlimit limit{};
              ::getrlimit(RLIMIT_NPROC, &limit);
              limit.rlim_cur = 1;
              CHILD_CHECK(::setrlimit(RLIMIT_NPROC, &limit) == 0);
              auto const before = open_descriptors();
              mp::Process process(leave, 4);
              bool refused = false;
              try {
                  process.start();
              } catch (mp::OSError const& error) {
                  refused = error.code() == std::errc::resource_unavailable_try_again;
              }
              CHILD_CHECK(refused);
              CHILD_CHECK(!process.pid() && !process.is_alive());
              CHILD_CHECK(mp::active_children().empty());
              CHILD_CHECK(open_descriptors() == before);
              if (!is_forking()) return 4; // it may not even look at its own program any more
              limit.rlim_cur = limit.rlim_max;
              CHILD_CHECK(::setrlimit(RLIMIT_NPROC, &limit) == 0);
              process.start();
              process.join();
              return *process.exitcode();
          }) == 4);
}

TEST_CASE("no more descriptors: an OSError or a child that runs, nothing between, nothing lost") {
    CHECK(in_child([] {
              rlimit limit{64, 64};
              CHILD_CHECK(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
              CHILD_CHECK(exitcode_after(7) == 7);
              mp::detail::fork_server::instance().stop();
              try { // the sanitizer wants descriptors to look at a type for the first time
                  throw mp::OSError(std::make_error_code(std::errc::too_many_files_open), "nothing");
              } catch (mp::OSError const& error) {
                  CHILD_CHECK(error.code());
              }
              std::vector<int> fillers;
              for (int filler = ::dup(0); filler >= 0; filler = ::dup(0)) fillers.push_back(filler);
              int refused = 0;
              for (;;) {
                  auto const before = open_descriptors();
                  try {
                      CHILD_CHECK(exitcode_after(7) == 7);
                      break;
                  } catch (mp::OSError const&) {
                      ++refused;
                  }
                  CHILD_CHECK(mp::active_children().empty());
                  CHILD_CHECK(open_descriptors() == before);
                  CHILD_CHECK(!fillers.empty());
                  ::close(fillers.back());
                  fillers.pop_back();
              }
              CHILD_CHECK(refused > 0);
              mp::detail::fork_server::instance().stop();
              return 0;
          }) == 0);
}

// ---- children that do not behave

TEST_CASE("a child that is stopped does not hold up join with a timeout, and can be killed") {
    Board const board = Board::make();
    mp::Process process(wait_for_stop, board);
    process.start();
    REQUIRE(board.await(1));
    ::kill(static_cast<pid_t>(*process.pid()), SIGSTOP);
    process.join(30ms);
    CHECK(process.is_alive());
    process.kill();
    process.join();
    CHECK(process.exitcode() == -SIGKILL);
}

TEST_CASE("interrupt ends a child that does nothing against it") {
    SignalHandler const normal(SIGINT, SIG_DFL);
    Board const board = Board::make();
    mp::Process process(wait_for_stop, board);
    process.start();
    REQUIRE(board.await(1));
    process.interrupt();
    process.join();
    CHECK(process.exitcode() == -SIGINT);
}

namespace {

void break_streams() {
    std::cout.exceptions(std::ios::badbit);
    std::cout << "lost";
    ::close(STDOUT_FILENO);
    ::close(STDERR_FILENO);
    std::fprintf(stdout, "lost");
    std::cout.setstate(std::ios::failbit);
}

} // namespace

TEST_CASE("a child that has broken its standard streams ends well") {
    mp::Process process(break_streams);
    process.start();
    process.join();
    CHECK(process.exitcode() == 0);
}

// ---- a parent in an unusual state

TEST_CASE("child: lives without standard streams", "[.]") {
    Board const board = Board::make();
    mp::Process process(wait_for_stop, board);
    process.start();
    std::printf("nobody can read this");
    std::cout << "nor this" << std::flush;
    std::fflush(stdout);
    REQUIRE(board.await(1));
    REQUIRE(process.is_alive());
    board.set(1, 1);
    process.join();
    REQUIRE(process.exitcode() == 0);
    for (int code = 1; code < 4; ++code) REQUIRE(exitcode_after(code) == code);
    mp::Process nested([] { mp::exit(exitcode_after(21) + 1); });
    nested.start();
    nested.join();
    REQUIRE(nested.exitcode() == 22);
}

TEST_CASE("a program whose standard streams are closed") {
    for (char const* const closed : {"<&-", ">&-", "2>&-", "<&- >&- 2>&-"}) {
        INFO(closed);
        auto const child = run_hidden_case("child: lives without standard streams", closed);
        INFO(child.output << child.errors);
        CHECK(child.exitcode == 0);
    }
}

TEST_CASE("exit codes are right although SIGCHLD is ignored") {
    SignalHandler const ignored(SIGCHLD, SIG_IGN);
    CHECK(exitcode_after(7) == 7);
    CHECK(exitcode_after(0) == 0);
    Board const board = Board::make();
    mp::Process process(wait_for_stop, board);
    process.start();
    REQUIRE(board.await(1));
    process.join(10ms);
    CHECK(process.is_alive());
    process.kill();
    process.join();
    CHECK_FALSE(process.is_alive());
    CHECK(process.exitcode() != 0);
}

TEST_CASE("exit codes are right although the program waits for all children itself") {
    Board const board = Board::make();
    mp::Process process(
        [](Board const& shared) {
            wait_for_stop(shared);
            mp::exit(9);
        },
        board);
    process.start();
    REQUIRE(board.await(1));
    board.set(1, 1);
    if (process.start_method() != mp::StartMethod::forkserver) { // whose children are not ours
        REQUIRE(::waitpid(-1, nullptr, 0) == *process.pid());
    }
    process.join();
    CHECK(process.exitcode() == 9);
}

namespace {

std::atomic<int> signals_seen{0};
void count_signal(int) { ++signals_seen; }

void interrupt_parent(Board board) {
    for (int i = 0; i < 5; ++i) {
        ::kill(static_cast<pid_t>(mp::parent_process()->pid()), SIGUSR1);
        board.add();
        std::this_thread::sleep_for(2ms);
    }
}

} // namespace

TEST_CASE("join goes on after signals") {
    SignalHandler const counted(SIGUSR1, count_signal);
    signals_seen = 0;
    Board const board = Board::make();
    mp::Process process(interrupt_parent, board);
    process.start();
    process.join();
    CHECK(process.exitcode() == 0);
    CHECK(board.get() == 5);
    CHECK(signals_seen > 0);
}

TEST_CASE("processes start and end in a rain of signals") {
    SignalHandler const counted(SIGALRM, count_signal);
    signals_seen = 0;
    itimerval const every_millisecond{{0, 1000}, {0, 1000}};
    itimerval const never{};
    ::setitimer(ITIMER_REAL, &every_millisecond, nullptr);
    std::vector<int> codes;
    for (int i = 0; i < 10; ++i) codes.push_back(exitcode_after(i));
    while (signals_seen == 0) std::this_thread::yield();
    ::setitimer(ITIMER_REAL, &never, nullptr);
    CHECK(codes == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
}

TEST_CASE("starting a child leaves the signal mask alone") {
    sigset_t blocked;
    sigset_t before;
    sigset_t after;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR2);
    ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
    CHECK(exitcode_after(3) == 3);
    ::pthread_sigmask(SIG_SETMASK, &before, &after);
    CHECK(::sigismember(&after, SIGUSR2) == 1);
    CHECK(::sigismember(&after, SIGTERM) == 0);
    CHECK(::sigismember(&after, SIGCHLD) == 0);
}

TEST_CASE("threads may start processes while others fork") {
    std::atomic<int> wrong{0};
    std::atomic<bool> stop{false};
    std::thread busy([&] {
        while (!stop) { // holds locks of the library and of the allocator now and then
            Board const board = Board::make();
            std::vector<std::string> texts(10, std::string(100, 'x'));
            mp::active_children();
        }
    });
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 3; ++thread) {
        threads.emplace_back([&, thread] {
            for (int i = 0; i < 6; ++i) {
                int const code = thread * 10 + i;
                if (exitcode_after(code) != code) ++wrong;
            }
        });
    }
    for (auto& thread : threads) thread.join();
    stop = true;
    busy.join();
    CHECK(wrong == 0);
}

// ---- the death of a parent

namespace {

void have_a_child(Board board) {
    board.set(mp::platform::current_process_id(), 2);
    mp::Process grandchild(wait_for_stop, board);
    grandchild.start();
    board.set(*grandchild.pid(), 3);
    grandchild.join();
}

} // namespace

TEST_CASE("a parent that is killed takes children and grandchildren with it") {
    Board const board = Board::make();
    Forked parent([&] {
        mp::Process child(have_a_child, board);
        mp::Process daemon({.daemon = true}, wait_for_stop, board);
        child.start();
        daemon.start();
        board.set(*daemon.pid(), 4);
        board.set(std::max<std::int64_t>(1, mp::detail::fork_server::instance().pid()), 5);
        child.join();
        return 0;
    });
    REQUIRE(board.await(2, 0)); // daemon and grandchild
    for (std::size_t place = 2; place <= 4; ++place) {
        REQUIRE(board.await(1, place));
        CHECK_FALSE(is_gone(board.get(place)));
    }
    REQUIRE(board.await(1, 5));
    parent.kill();
    for (std::size_t place = 2; place <= 4; ++place) CHECK(eventually([&] { return is_gone(board.get(place)); }));
    if (board.get(5) != 1) CHECK(eventually([&] { return is_gone(board.get(5)); })); // the fork server
}

TEST_CASE("a child that is killed takes its own children with it, and nobody else") {
    Board const board = Board::make();
    mp::Process child(have_a_child, board);
    mp::Process other(wait_for_stop, board);
    child.start();
    other.start();
    REQUIRE(board.await(2, 0)); // the other and the grandchild
    REQUIRE(board.await(1, 3));
    child.kill();
    child.join();
    CHECK(child.exitcode() == -SIGKILL);
    CHECK(eventually([&] { return is_gone(board.get(3)); }));
    CHECK(other.is_alive());
    board.set(1, 1);
    other.join();
    CHECK(other.exitcode() == 0);
}

TEST_CASE("a thread that ends does not take the children with it that it has started") {
    Board const board = Board::make();
    std::optional<mp::Process> process;
    std::thread([&] {
        process.emplace(wait_for_stop, board);
        process->start();
    }).join();
    REQUIRE(board.await(1));
    CHECK(process->is_alive());
    board.set(1, 1);
    process->join();
    CHECK(process->exitcode() == 0);
}

TEST_CASE("child: forks by itself", "[.]") {
    Board const board = Board::make();
    mp::at_exit([] { std::printf("exit function\n"); });
    mp::Process process({.daemon = true}, wait_for_stop, board);
    process.start();
    REQUIRE(board.await(1));
    std::fflush(nullptr);
    pid_t const stranger = ::fork();
    if (stranger == 0) std::exit(0);
    int status = -1;
    REQUIRE(::waitpid(stranger, &status, 0) == stranger);
    REQUIRE(status == 0);
    REQUIRE(process.is_alive());
    std::printf("still there\n");
}

TEST_CASE("a fork that is not ours runs no exit function and ends no child") {
    auto const child = run_hidden_case("child: forks by itself");
    INFO(child.output << child.errors);
    CHECK(child.exitcode == 0);
    CHECK(multiprocessing_test::count_of("exit function", child.output) == 1);
    CHECK(multiprocessing_test::count_of("still there", child.output) == 1);
}
