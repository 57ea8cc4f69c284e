// runs per start method
#include <multiprocessing/connection.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/queues.hpp>
#include <multiprocessing/shared_memory.hpp>
#include <multiprocessing/sharedctypes.hpp>
#include <multiprocessing/synchronize.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"
#include "support/hidden_case.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <variant>
#include <vector>

namespace mp = multiprocessing;
using multiprocessing_test::Board;
using namespace std::chrono_literals;

namespace {

/// Sends every message back until an empty one comes.
void echo(mp::Connection connection) {
    for (;;) {
        auto const message = connection.recv_bytes();
        if (message.empty()) break;
        connection.send_bytes(message);
    }
    connection.close();
}

using Anything = std::variant<int, double, std::string, std::vector<int>>;

void echo_objects(mp::Connection connection) {
    for (;;) {
        auto const object = connection.recv<Anything>();
        if (object == Anything("quit")) break;
        connection.send(object);
    }
}

/// A child whose end of the pipe is its own: this process has closed its copy.
struct Child {
    mp::Connection connection;
    mp::Process process;

    template <class... Args>
    Child(void (*target)(mp::Connection, Args...), std::pair<mp::Connection, mp::Connection> ends, Args... args)
        : connection(ends.first), process(target, ends.second, args...) {
        process.start();
        ends.second.close();
    }
};

} // namespace

TEST_CASE("objects, bytes and large messages go to another process and back") {
    Child objects(echo_objects, mp::Pipe());
    for (Anything const& object :
         {Anything(1), Anything(2.5), Anything(std::string("text")), Anything(std::vector{1, 2, 3})}) {
        objects.connection.send(object);
        CHECK(objects.connection.recv<Anything>() == object);
    }
    objects.connection.send(Anything("quit"));
    objects.process.join();
    CHECK(objects.process.exitcode() == 0);
    CHECK_THROWS_AS(objects.connection.recv<Anything>(), mp::EOFError);

    Child bytes(echo, mp::Pipe());
    bytes.connection.send_bytes("hello, world");
    CHECK(bytes.connection.recv_bytes<std::string>() == "hello, world");
    std::array<std::byte, 20> place{};
    bytes.connection.send_bytes("into memory");
    CHECK(bytes.connection.recv_bytes_into(place, 4) == 11);
    CHECK(std::memcmp(place.data() + 3, "\0into memory\0", 13) == 0);
    bytes.connection.send_bytes(std::string(100, 'x'));
    CHECK_THROWS_AS(bytes.connection.recv_bytes_into(place), mp::BufferTooShort);

    CHECK_FALSE(bytes.connection.poll());
    bytes.connection.send_bytes("now");
    CHECK(bytes.connection.poll(multiprocessing_test::patience));
    CHECK(bytes.connection.recv_bytes<std::string>() == "now");

    std::string large(16 * 1024 * 1024, 'L'); // more than any buffer holds
    large[large.size() / 2] = 'm';
    bytes.connection.send_bytes(large);
    CHECK((bytes.connection.recv_bytes<std::string>() == large));
    bytes.connection.send_bytes("");
    CHECK_THROWS_AS(bytes.connection.recv_bytes(), mp::EOFError);
    bytes.process.join();
    CHECK(bytes.process.exitcode() == 0);
}

namespace {

void send_numbers(mp::Connection connection, int count) {
    for (int i = 0; i < count; ++i) connection.send(i);
}

void receive_until_end(mp::Connection connection, Board board) {
    try {
        for (;;) board.add(connection.recv<int>());
    } catch (mp::EOFError const&) {
        board.set(1, 1);
    }
}

} // namespace

TEST_CASE("one way, from the child and to the child") {
    auto [reader, writer] = mp::Pipe(false);
    mp::Process sender(send_numbers, writer, 100);
    sender.start();
    writer.close();
    for (int i = 0; i < 100; ++i) REQUIRE(reader.recv<int>() == i);
    CHECK_THROWS_AS(reader.recv<int>(), mp::EOFError);
    sender.join();

    // A forked child has a copy of all that is open here, so the end that it must not have is closed before: as in Python.
    auto board = Board::make();
    auto [theirs, ours] = mp::Pipe(false);
    mp::Process receiver(
        [](mp::Connection first, mp::Connection second, Board results) {
            second.close();
            receive_until_end(first, results);
        },
        theirs,
        ours,
        board);
    receiver.start();
    theirs.close();
    for (int i = 0; i < 10; ++i) ours.send(i);
    ours.close();
    receiver.join();
    CHECK(receiver.exitcode() == 0);
    CHECK(board.get(0) == 45);
    CHECK(board.get(1) == 1);
}

TEST_CASE("a stream ends when every process has closed its end, not before") {
    auto board = Board::make();
    auto [reader, writer] = mp::Pipe(false);
    auto const hold = [](mp::Connection end, Board signals) {
        signals.add(1, 0);
        signals.await(1, 1);
        end.close();
        signals.add(1, 2);
        signals.await(2, 1);
    };
    mp::Process first(hold, writer, board), second(hold, writer, board);
    first.start();
    second.start();
    writer.close();
    REQUIRE(board.await(2, 0));
    CHECK_FALSE(reader.poll());
    board.set(1, 1);
    REQUIRE(board.await(2, 2));
    CHECK(reader.poll(multiprocessing_test::patience));
    CHECK_THROWS_AS(reader.recv<int>(), mp::EOFError);
    board.set(2, 1);
    first.join();
    second.join();
}

namespace {

void sleep_for_ever(mp::Connection connection, Board board) {
    connection.send(1);
    board.set(1, 1);
    board.await(1); // nobody sets it
}

} // namespace

TEST_CASE("the death of a process is the end of its streams") {
    auto board = Board::make();
    Child child(sleep_for_ever, mp::Pipe(), board);
    CHECK(child.connection.recv<int>() == 1);
    child.process.kill();
    CHECK_THROWS_AS(child.connection.recv<int>(), mp::EOFError);
    CHECK_THROWS_AS(child.connection.send(1), mp::OSError);
    child.process.join();
}

namespace {

void send_most_of_a_message(mp::Connection connection) {
    std::string const begun("\0\0\x40\0 the rest never comes", 26);
    std::error_code error;
    mp::platform::write_all(connection.fileno(), std::as_bytes(std::span(begun)), error);
    mp::platform::kill_process(mp::platform::current_process_id(), error);
}

} // namespace

TEST_CASE("a process that is killed in the middle of a message leaves an error, not a shorter message") {
    Child child(send_most_of_a_message, mp::Pipe());
    CHECK_THROWS_AS(child.connection.recv_bytes(), mp::OSError);
    CHECK_THROWS_AS(child.connection.recv_bytes(), mp::EOFError);
    child.process.join();
}

namespace {

void send_what_nobody_takes(mp::Connection connection) { connection.send(std::string(4 * 1024 * 1024, 'x')); }

} // namespace

TEST_CASE("a process that is killed within a long message") {
    Child child(send_what_nobody_takes, mp::Pipe());
    REQUIRE(child.connection.poll(multiprocessing_test::patience));
    child.process.kill();
    child.process.join();
    CHECK_THROWS_AS(child.connection.recv<std::string>(), mp::OSError);
    CHECK_THROWS_AS(child.connection.recv<std::string>(), mp::EOFError);
    CHECK_THROWS_AS(child.connection.send(std::string(4 * 1024 * 1024, 'x')), mp::OSError);
}

namespace {

void take_nothing(mp::Connection connection, Board board) {
    connection.poll(multiprocessing_test::patience);
    board.set(1);
    board.await(1, 1); // nobody sets it
}

} // namespace

TEST_CASE("a process that is killed while a long message waits for it") {
    auto board = Board::make();
    Child child(take_nothing, mp::Pipe(), board);
    std::thread killer([&] {
        board.await(1);
        child.process.handle().kill();
    });
    CHECK_THROWS_AS(child.connection.send(std::string(4 * 1024 * 1024, 'x')), mp::OSError);
    killer.join();
    child.process.join();
}

namespace {

/// Uses connections that come through a connection.
void use_what_comes(mp::Connection connection) {
    auto writer = connection.recv<mp::Connection>();
    writer.send("hello from there");
    writer.close();
    auto reader = connection.recv<mp::Connection>();
    connection.send("I got: " + reader.recv<std::string>());
}

} // namespace

TEST_CASE("ends of other pipes are sent to a process that already runs") {
    Child child(use_what_comes, mp::Pipe());
    auto [reader, writer] = mp::Pipe(false);
    child.connection.send(writer);
    writer.close();
    CHECK(reader.recv<std::string>() == "hello from there");
    CHECK_THROWS_AS(reader.recv<std::string>(), mp::EOFError);

    auto [second_reader, second_writer] = mp::Pipe(false);
    child.connection.send(second_reader);
    second_reader.close();
    second_writer.send("over here");
    CHECK(child.connection.recv<std::string>() == "I got: over here");
    child.process.join();
    CHECK(child.process.exitcode() == 0);
}

namespace {

void pass_on(mp::Connection connection) {
    mp::Process grandchild(echo, connection);
    grandchild.start();
    connection.close();
    grandchild.join();
}

} // namespace

TEST_CASE("a connection goes on to a grandchild") {
    Child child(pass_on, mp::Pipe());
    child.connection.send_bytes("deep");
    CHECK(child.connection.recv_bytes<std::string>() == "deep");
    child.connection.send_bytes("");
    child.process.join();
    CHECK(child.process.exitcode() == 0);
}

namespace {

/// Looks whether something is there, and must not take any of it.
void look(mp::Connection connection, Board board) {
    while (board.get() == 0) {
        if (!connection.poll(1ms)) board.add(1, 1);
    }
}

} // namespace

TEST_CASE("another process that polls takes nothing of a message") {
    auto board = Board::make();
    auto [reader, writer] = mp::Pipe(false);
    mp::Process looker(look, reader, board);
    looker.start();
    for (int i = 0; i < 300; ++i) {
        std::string const message(static_cast<std::size_t>(i % 3 * 30000), static_cast<char>('a' + i % 26));
        writer.send_bytes(message);
        REQUIRE((reader.recv_bytes<std::string>() == message));
    }
    board.set(1);
    looker.join();
    CHECK(looker.exitcode() == 0);
}

// ---- objects in shared memory, over a connection that anybody may have made

#if !defined(_WIN32) // which has no sockets here

namespace {

constexpr char const* port_variable = "MULTIPROCESSING_TEST_PORT";

template <class T>
void require_refused(mp::Connection& connection) {
    CHECK_THROWS_MATCHES(
        connection.recv<T>(),
        mp::ValueError,
        Catch::Matchers::Predicate<mp::ValueError>(
            [](mp::ValueError const& error) {
                return std::string(error.what()).find("another tree of processes") != std::string::npos;
            },
            "says what happened"));
}

void add_one(std::uint16_t port) {
    auto connection = mp::Client({"127.0.0.1", port}, {.authkey = "key"});
    auto const value = connection.recv<mp::Value<int>>();
    auto const event = connection.recv<mp::Event>();
    value += 1;
    event.set();
}

} // namespace

TEST_CASE("child: is given handles of another tree", "[.]") {
    char const* const port = std::getenv(port_variable);
    REQUIRE(port != nullptr);
    auto connection = mp::Client({"127.0.0.1", static_cast<std::uint16_t>(std::stoi(port))}, {.authkey = "key"});
    mp::Lock const own; // where this arena begins as that one does
    require_refused<mp::Lock>(connection);
    require_refused<std::vector<mp::Lock>>(connection);
    require_refused<mp::Condition>(connection);
    require_refused<mp::Barrier>(connection);
    require_refused<mp::Queue<int>>(connection);
    require_refused<mp::Value<int>>(connection);
    require_refused<mp::SharedMemory>(connection);
    CHECK(connection.recv<std::string>() == "the connection can be used on");
    CHECK(own.acquire(false));
}

TEST_CASE("handles on shared memory that come from another tree of processes are refused") {
    mp::Listener listener({"127.0.0.1", 0}, {.authkey = "key"});
    ::setenv(port_variable, std::to_string(listener.address().port()).c_str(), 1);
    std::string fault;
    std::thread sender([&] {
        try {
            if (mp::wait({listener}, multiprocessing_test::patience).empty()) throw mp::TimeoutError();
            auto connection = listener.accept();
            mp::Lock const lock;
            connection.send(lock);
            connection.send(std::vector{lock, mp::Lock()});
            connection.send(mp::Condition());
            connection.send(mp::Barrier(2));
            connection.send(mp::Queue<int>());
            connection.send(mp::Value<int>(1));
            connection.send(mp::SharedMemory::create(8));
            connection.send("the connection can be used on");
        } catch (std::exception const& error) {
            fault = error.what();
        }
    });
    auto const child = multiprocessing_test::run_hidden_case("child: is given handles of another tree");
    sender.join();
    INFO(child.output << child.errors);
    CHECK(child.exitcode == 0);
    CHECK(fault.empty());
}

TEST_CASE("between relatives handles on shared memory go over any connection") {
    mp::Listener listener({"127.0.0.1", 0}, {.authkey = "key"});
    mp::Process process(add_one, listener.address().port());
    process.start();
    auto connection = listener.accept();
    mp::Value<int> const value(1);
    mp::Event const event;
    connection.send(value);
    connection.send(event);
    process.join();
    CHECK(process.exitcode() == 0);
    CHECK(value.value() == 2);
    CHECK(event.is_set());
}

#endif
