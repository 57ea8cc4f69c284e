// runs per start method
#include <multiprocessing/process.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"

#include <chrono>
#include <cstdio>
#include <sstream>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

namespace mp = multiprocessing;
using multiprocessing_test::Board;
using namespace std::chrono_literals;

namespace {

constexpr int terminated = -15;
constexpr int killed = mp::platform::has_fork ? -9 : -15;

void nothing() {}

/// Says that it runs, and goes on until it is told to stop.
void wait_for_stop(Board board) {
    board.add(1, 0);
    board.await_stop(1);
}

std::string key_text(std::vector<std::byte> const& key) {
    std::string text;
    for (auto const byte : key) text += static_cast<char>('a' + (std::to_integer<int>(byte) & 15));
    return text;
}

bool is_active(mp::Process const& process) {
    for (auto const& child : mp::active_children()) {
        if (child.pid() == process.pid()) return true;
    }
    return false;
}

} // namespace

// ---- what a child gets and gives

namespace {

void report_arguments(
    Board board,
    int number,
    std::string const& text,
    std::vector<int> list,
    std::tuple<int, double> pair,
    char letter) {
    std::ostringstream all;
    all << number << ' ' << text << ' ' << list.size() << ' ' << list.at(0) << ' ' << std::get<1>(pair) << ' '
        << letter;
    board.write(all.str());
}

} // namespace

TEST_CASE("arguments arrive unchanged, in the types of the parameters") {
    Board const board = Board::make();
    mp::Process process(
        report_arguments, board, short{1}, "two words", std::vector<int>{1, 2}, std::tuple(1, 2.5), 'x');
    process.start();
    process.join();
    REQUIRE(process.exitcode() == 0);
    CHECK(board.text() == "1 two words 2 1 2.5 x");
}

namespace {

void whole_life(Board board) {
    auto const& self = mp::current_process();
    std::ostringstream all;
    all << self.name() << ' ' << self.daemon() << ' ' << key_text(self.authkey()) << ' ' << self.is_alive();
    board.write(all.str());
    board.set(*self.pid(), 2);
    board.set(mp::platform::current_process_id(), 3);
    wait_for_stop(board);
}

} // namespace

TEST_CASE("the life of a process") {
    Board const board = Board::make();
    mp::Process process({.name = "worker", .daemon = true}, whole_life, board);
    CHECK(process.daemon());
    CHECK(process.name() == "worker");
    CHECK(process.authkey() == mp::current_process().authkey());
    CHECK_FALSE(process.is_alive());
    CHECK(process.exitcode() == std::nullopt);
    CHECK(process.pid() == std::nullopt);
    CHECK_FALSE(is_active(process));

    process.start();
    REQUIRE(board.await(1));
    CHECK(process.is_alive());
    CHECK(process.exitcode() == std::nullopt);
    CHECK(process.pid() == process.ident());
    CHECK(is_active(process));

    board.set(1, 1);
    process.join();
    CHECK(process.exitcode() == 0);
    CHECK_FALSE(process.is_alive());
    CHECK_FALSE(is_active(process));
    CHECK(board.text() == "worker 1 " + key_text(mp::current_process().authkey()) + " 1");
    CHECK(board.get(2) == process.pid());
    CHECK(board.get(3) == process.pid());
    process.join(); // as often as one likes
    CHECK(process.exitcode() == 0);
}

TEST_CASE("a process without a target does nothing and ends well") {
    mp::Process process;
    process.start();
    process.join();
    CHECK(process.exitcode() == 0);
}

TEST_CASE("run may be called without starting: it runs here") {
    Board const board = Board::make();
    board.set(1, 1);
    mp::Process process(wait_for_stop, board);
    process.run();
    CHECK(board.get(0) == 1);
    CHECK(process.pid() == std::nullopt);
}

TEST_CASE("the process that runs here") {
    auto& self = mp::current_process();
    CHECK(self.is_alive());
    CHECK_FALSE(self.daemon());
    CHECK(self.name() == "MainProcess");
    CHECK(self.authkey().size() == 32);
    CHECK(self.ident() == mp::platform::current_process_id());
    CHECK(self.exitcode() == std::nullopt);
    CHECK_THROWS_AS(self.start(), mp::AssertionError);
    CHECK_THROWS_AS(self.join(), mp::AssertionError);
    CHECK_THROWS_AS(self.terminate(), mp::AssertionError);
    CHECK_THROWS_AS(self.kill(), mp::AssertionError);
    CHECK_THROWS_AS(self.sentinel(), mp::ValueError);
    self.close(); // nothing
    CHECK(self.is_alive());
}

namespace {

void report_thread(Board board) { board.set(static_cast<std::int64_t>(mp::platform::current_thread_id())); }

} // namespace

TEST_CASE("the main thread of a child has an id of its own") {
    Board const board = Board::make();
    mp::Process process(report_thread, board);
    process.start();
    process.join();
    CHECK(board.get() != 0);
    CHECK(board.get() != static_cast<std::int64_t>(mp::platform::current_thread_id()));
}

namespace {

void report_parent(Board board) {
    auto const parent = mp::parent_process();
    if (!parent) return;
    board.set(parent->pid(), 2);
    board.set(parent->is_alive() && parent->ident() == parent->pid(), 3);
    board.write(parent->name());
}

} // namespace

TEST_CASE("a child knows its parent") {
    CHECK_FALSE(mp::parent_process());
    Board const board = Board::make();
    mp::Process process(report_parent, board);
    process.start();
    process.join();
    REQUIRE(process.exitcode() == 0);
    CHECK(board.get(2) == mp::platform::current_process_id());
    CHECK(board.get(3) == 1);
    CHECK(board.text() == "MainProcess");
}

namespace {

void report_key(Board board) { board.write(key_text(mp::current_process().authkey())); }

} // namespace

TEST_CASE("children inherit the key that this process has at the time") {
    auto const before = mp::current_process().authkey();
    std::vector<std::byte> const key{std::byte{1}, std::byte{2}, std::byte{3}};
    mp::current_process().authkey(key);
    Board const board = Board::make();
    mp::Process process(report_key, board);
    mp::current_process().authkey(before);
    CHECK(process.authkey() == key);
    process.start();
    process.join();
    CHECK(board.text() == key_text(key));
}

namespace {

void read_input(Board board) { board.set(std::getchar() == EOF ? 1 : 2); }

} // namespace

TEST_CASE("a child has an empty standard input") {
    Board const board = Board::make();
    mp::Process process(read_input, board);
    process.start();
    process.join();
    CHECK(board.get() == 1);
}

namespace {

/// Counts its copies.
struct Counted {
    static inline int alive = 0;

    Counted() { ++alive; }
    Counted(Counted const&) { ++alive; }
    Counted& operator=(Counted const&) = default;
    ~Counted() { --alive; }

    void operator()(Counted const&) const {}
    template <class Archive>
    void serialize(Archive&, unsigned) {}

    int padding = 0; // not empty, so that its objects are kept
};

} // namespace

TEST_CASE("the parent lets go of target and arguments once the child is started") {
    mp::Process process{Counted(), Counted()};
    CHECK(Counted::alive == 2);
    process.start();
    CHECK(Counted::alive == 0);
    process.run(); // nothing is left to run
    process.join();
    CHECK(process.exitcode() == 0);
}

// ---- names, daemons, repr

namespace {

void report_names(Board board) {
    mp::Process first(nothing);
    mp::Process second({.name = "own"}, nothing);
    mp::Process third(nothing);
    board.write(first.name() + ' ' + second.name() + ' ' + third.name());
}

} // namespace

TEST_CASE("names count the processes that were made, and those of children begin anew") {
    auto const number_of = [](mp::Process const& process) { return std::stoi(process.name().substr(8)); };
    mp::Process first(nothing);
    mp::Process named({.name = "named"}, nothing);
    Board const board = Board::make();
    mp::Process third({.name = ""}, report_names, board);
    CHECK(first.name().starts_with("Process-"));
    CHECK(named.name() == "named");
    CHECK(number_of(third) == number_of(first) + 2);

    std::string const name = third.name();
    third.start();
    third.join();
    CHECK(board.text() == name + ":1 own " + name + ":3");
    first.name("changed");
    CHECK(first.name() == "changed");
}

namespace {

void report_daemon(Board board) {
    board.set(mp::current_process().daemon(), 2);
    mp::Process grandchild(nothing);
    board.set(grandchild.daemon(), 3);
    try {
        grandchild.start();
    } catch (mp::AssertionError const& error) {
        board.write(error.what());
    }
}

} // namespace

TEST_CASE("a process is a daemon if it says so, or else as its maker is") {
    CHECK_FALSE(mp::Process(nothing).daemon());
    CHECK(mp::Process({.daemon = true}, nothing).daemon());
    CHECK_FALSE(mp::Process({.daemon = false}, nothing).daemon());
    mp::Process process(nothing);
    process.daemon(true);
    CHECK(process.daemon());
    process.start();
    CHECK_THROWS_AS(process.daemon(false), mp::AssertionError);
    process.join();
}

TEST_CASE("a daemon may not have children") {
    Board const board = Board::make();
    mp::Process process({.daemon = true}, report_daemon, board);
    process.start();
    process.join();
    CHECK(process.exitcode() == 0);
    CHECK(board.get(2) == 1);
    CHECK(board.get(3) == 1);
    CHECK(board.text() == "daemonic processes are not allowed to have children");
}

TEST_CASE("a process as text") {
    Board const board = Board::make();
    std::string const parent = " parent=" + std::to_string(mp::platform::current_process_id());
    mp::Process process({.name = "P", .daemon = true}, wait_for_stop, board);
    CHECK(process.to_string() == "<Process name='P'" + parent + " initial daemon>");
    process.daemon(false);
    CHECK(process.to_string() == "<Process name='P'" + parent + " initial>");
    process.start();
    std::string const pid = " pid=" + std::to_string(*process.pid());
    CHECK(process.to_string() == "<Process name='P'" + pid + parent + " started>");
    REQUIRE(board.await(1));
    process.terminate();
    process.join();
    CHECK(process.to_string() == "<Process name='P'" + pid + parent + " stopped exitcode=-SIGTERM>");
    process.close();
    std::ostringstream stream;
    stream << process;
    CHECK(stream.str() == "<Process name='P'" + parent + " closed>");
}

namespace {

void report_text(Board board) { board.write(mp::current_process().to_string()); }

} // namespace

TEST_CASE("a child as text, in the child") {
    Board const board = Board::make();
    mp::Process process({.name = "C"}, report_text, board);
    process.start();
    process.join();
    CHECK(
        board.text() == "<Process name='C' pid=" + std::to_string(*process.pid()) +
                            " parent=" + std::to_string(mp::platform::current_process_id()) + " started>");
}

// ---- waiting and ending

TEST_CASE("join with a timeout returns although the child runs on") {
    Board const board = Board::make();
    mp::Process process(wait_for_stop, board);
    process.start();
    REQUIRE(board.await(1));
    process.join(0s);
    process.join(-1s);
    process.join(20ms);
    CHECK(process.is_alive());
    CHECK(process.exitcode() == std::nullopt);
    board.set(1, 1);
    process.join(std::nullopt);
    CHECK(process.exitcode() == 0);
}

TEST_CASE("terminate") {
    Board const board = Board::make();
    mp::Process process({.daemon = true}, wait_for_stop, board);
    process.start();
    REQUIRE(board.await(1));
    CHECK(is_active(process));
    process.terminate();
    process.join();
    CHECK(process.exitcode() == terminated);
    CHECK_FALSE(process.is_alive());
    CHECK_FALSE(is_active(process));
    process.terminate(); // nothing happens
    process.kill();
    CHECK(process.exitcode() == terminated);
}

TEST_CASE("kill") {
    Board const board = Board::make();
    mp::Process process({.daemon = true}, wait_for_stop, board);
    process.start();
    REQUIRE(board.await(1));
    process.kill();
    process.join();
    CHECK(process.exitcode() == killed);
}

TEST_CASE("a child can be terminated as soon as start has returned") {
    for (int i = 0; i < 10; ++i) {
        mp::Process process(wait_for_stop, Board::make());
        process.start();
        process.terminate();
        process.join();
        CHECK(process.exitcode() == terminated);
    }
}

TEST_CASE("active children are those that run") {
    Board const board = Board::make();
    CHECK(mp::active_children().empty());
    mp::Process process({.name = "busy", .daemon = true}, wait_for_stop, board);
    CHECK(mp::active_children().empty());
    process.start();
    auto const children = mp::active_children();
    REQUIRE(children.size() == 1);
    CHECK(children[0].name() == "busy");
    CHECK(children[0].daemon());
    CHECK(children[0].is_alive());
    board.set(1, 1);
    process.join();
    CHECK(mp::active_children().empty());
    CHECK(children[0].exitcode() == 0);
}

TEST_CASE("the sentinel becomes ready when the child ends") {
    Board const board = Board::make();
    mp::Process process(wait_for_stop, board);
    CHECK_THROWS_AS(process.sentinel(), mp::ValueError);
    process.start();
    REQUIRE(board.await(1));
    auto const sentinel = process.sentinel();
    auto const is_ready = [&](mp::platform::deadline until) {
        bool ready = false;
        std::error_code error;
        mp::platform::poll({&sentinel, 1}, {&ready, 1}, until, error);
        return ready;
    };
    if (sentinel != mp::platform::invalid_handle) {
        CHECK_FALSE(is_ready(mp::platform::deadline::min()));
        board.set(1, 1);
        CHECK(is_ready(mp::platform::never));
    }
    board.set(1, 1);
    process.join();
    CHECK(process.exitcode() == 0);
}

TEST_CASE("many processes") {
    std::size_t const count = mp::Process(nothing).start_method() == mp::StartMethod::fork ? 40 : 5;
    std::vector<mp::Process> processes;
    for (std::size_t i = 0; i < count; ++i) processes.emplace_back(nothing);
    for (auto& process : processes) process.start();
    for (auto& process : processes) process.join();
    for (auto& process : processes) CHECK(process.exitcode() == 0);

    Board const board = Board::make();
    processes.clear();
    for (std::size_t i = 0; i < count; ++i) processes.emplace_back(wait_for_stop, board);
    for (auto& process : processes) process.start();
    for (auto& process : processes) process.terminate();
    for (auto& process : processes) process.join();
    for (auto& process : processes) CHECK(process.exitcode() == terminated);
}

namespace {

void grow_tree(Board board, std::vector<int> path) {
    std::string text = board.text();
    for (int const step : path) text += static_cast<char>('0' + step);
    board.write(text + ' ');
    if (path.size() == 2) return;
    for (int step = 0; step < 2; ++step) {
        auto longer = path;
        longer.push_back(step);
        mp::Process process(grow_tree, board, longer);
        process.start();
        process.join();
    }
}

} // namespace

TEST_CASE("children may have children") {
    Board const board = Board::make();
    mp::Process process(grow_tree, board, std::vector<int>{});
    process.start();
    process.join();
    CHECK(process.exitcode() == 0);
    CHECK(board.text() == " 0 00 01 1 10 11 ");
}

// ---- misuse

TEST_CASE("a process cannot be started twice") {
    mp::Process process(nothing);
    process.start();
    CHECK_THROWS_AS(process.start(), mp::AssertionError);
    process.join();
    CHECK_THROWS_AS(process.start(), mp::AssertionError);
    CHECK(process.exitcode() == 0);
}

TEST_CASE("what needs a started process says so") {
    mp::Process process(nothing);
    CHECK_THROWS_AS(process.join(), mp::AssertionError);
    CHECK_THROWS_AS(process.terminate(), mp::AssertionError);
    CHECK_THROWS_AS(process.kill(), mp::AssertionError);
    CHECK_THROWS_AS(process.interrupt(), mp::AssertionError);
    CHECK_THROWS_AS(process.handle(), mp::AssertionError);
    CHECK_THROWS_AS(process.sentinel(), mp::ValueError);
}

TEST_CASE("a process that runs cannot be closed, and a closed one only has its name") {
    Board const board = Board::make();
    mp::Process process({.name = "p"}, wait_for_stop, board);
    process.start();
    CHECK_THROWS_AS(process.close(), mp::ValueError);
    board.set(1, 1);
    process.join();
    process.close();
    process.close();
    CHECK_THROWS_AS(process.is_alive(), mp::ValueError);
    CHECK_THROWS_AS(process.start(), mp::ValueError);
    CHECK_THROWS_AS(process.join(), mp::ValueError);
    CHECK_THROWS_AS(process.terminate(), mp::ValueError);
    CHECK_THROWS_AS(process.kill(), mp::ValueError);
    CHECK_THROWS_AS(process.pid(), mp::ValueError);
    CHECK_THROWS_AS(process.exitcode(), mp::ValueError);
    CHECK_THROWS_AS(process.sentinel(), mp::ValueError);
    CHECK_THROWS_AS(process.handle(), mp::ValueError);
    CHECK(process.name() == "p");
    CHECK_FALSE(process.daemon());

    mp::Process never_started(nothing);
    never_started.close();
    CHECK_THROWS_AS(never_started.start(), mp::ValueError);
}

namespace {

void start_myself(Board board) {
    try {
        mp::current_process().start();
    } catch (mp::AssertionError const&) {
        board.set(1);
    }
}

} // namespace

TEST_CASE("a child cannot start itself") {
    Board const board = Board::make();
    mp::Process process(start_myself, board);
    process.start();
    process.join();
    CHECK(process.exitcode() == 0);
    CHECK(board.get() == 1);
}

// ---- C++: moves, destructors, handles

TEST_CASE("a process can be moved before and after its start") {
    mp::Process first({.name = "moved"}, nothing);
    mp::Process second(std::move(first));
    CHECK(second.name() == "moved");
    second.start();
    auto const pid = second.pid();
    mp::Process third(std::move(second));
    CHECK(third.pid() == pid);
    third.join();
    CHECK(third.exitcode() == 0);
}

TEST_CASE("the destructor joins a child") {
    Board const board = Board::make();
    {
        mp::Process process([](Board const& shared) { shared.set(5); }, board);
        process.start();
    }
    CHECK(board.get() == 5);
    CHECK(mp::active_children().empty());
}

TEST_CASE("the destructor terminates a daemon") {
    Board const board = Board::make();
    std::optional<mp::ProcessHandle> handle;
    {
        mp::Process process({.daemon = true}, wait_for_stop, board);
        process.start();
        REQUIRE(board.await(1));
        handle = process.handle();
    }
    CHECK(handle->exitcode() == terminated);
}

TEST_CASE("a handle outlives its Process, and threads may share it") {
    Board const board = Board::make();
    std::optional<mp::Process> process(std::in_place, mp::ProcessOptions{.name = "shared"}, wait_for_stop, board);
    process->start();
    auto const handle = process->handle();
    CHECK(handle.pid() == process->pid());
    CHECK(handle.name() == "shared");
    CHECK(handle.is_alive());
    std::vector<std::thread> threads;
    std::atomic<int> good{0};
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&good, handle] {
            handle.join();
            if (handle.exitcode() == 0) ++good;
        });
    }
    REQUIRE(board.await(1));
    board.set(1, 1);
    process->join();
    process.reset();
    for (auto& thread : threads) thread.join();
    CHECK(good == 4);
    CHECK(handle.exitcode() == 0);
    CHECK_FALSE(handle.is_alive());
    handle.terminate(); // nothing happens
}

TEST_CASE("processors") {
    CHECK(mp::cpu_count() >= 1);
    CHECK(mp::process_cpu_count() >= 1);
    CHECK(mp::process_cpu_count() <= mp::cpu_count());
}
