// runs per start method
// not on windows
// where pipes have no ring, and only one process at a time may use an end.
#include <multiprocessing/connection.hpp>
#include <multiprocessing/process.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <deque>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace mp = multiprocessing;
using multiprocessing_test::Board;
using multiprocessing_test::patience;
using namespace std::chrono_literals;

// What goes through the shared memory of a Pipe, as its users see it. Who is killed meanwhile: test_connection_kills.cpp.

namespace {

std::string pattern(std::size_t size, int seed) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(static_cast<int>(i % 251) + seed);
    return text;
}

/// Around the sizes at which another way is taken: more memory, pieces, the whole ring.
std::vector<std::size_t> all_sizes() {
    std::vector<std::size_t> sizes{0, 1, 7, 8, 9};
    for (int const size : {2048, 8192, 16'384, 32'768, 65'536, 131'072, 262'144, 1'048'576, 2'097'152}) {
        for (int difference = -24; difference <= 8; difference += 8) {
            sizes.push_back(static_cast<std::size_t>(size + difference));
            sizes.push_back(sizes.back() + 1);
        }
        sizes.push_back(3); // so that the next one begins elsewhere
    }
    return sizes;
}

void send_back(mp::Connection connection, int count) {
    for (int i = 0; i < count; ++i) connection.send_bytes(connection.recv_bytes());
}

bool is_readable(mp::platform::native_handle handle) {
    bool ready = false;
    std::error_code error;
    mp::platform::poll({&handle, 1}, {&ready, 1}, mp::platform::deadline::min(), error);
    REQUIRE_FALSE(error);
    return ready;
}

} // namespace

TEST_CASE("messages of every size come back from another process") {
    auto const sizes = all_sizes();
    auto [a, b] = mp::Pipe();
    mp::Process child(send_back, b, static_cast<int>(sizes.size()));
    child.start();
    std::thread sender([&sizes, &end = a] {
        for (std::size_t i = 0; i < sizes.size(); ++i) end.send_bytes(pattern(sizes[i], static_cast<int>(i)));
    });
    std::size_t right = 0;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        if (a.recv_bytes<std::string>() == pattern(sizes[i], static_cast<int>(i))) ++right;
    }
    CHECK(right == sizes.size());
    sender.join();
    child.join();
    CHECK_FALSE(a.poll());
}

TEST_CASE("poll, wait and the handle say the same after every operation") {
    for (unsigned seed = 0; seed < 40; ++seed) {
        std::mt19937 random(seed);
        std::array<mp::Connection, 2> end;
        std::tie(end[0], end[1]) = mp::Pipe();
        std::array<std::deque<std::string>, 2> on_the_way; // to each of them
        std::array<std::optional<mp::platform::native_handle>, 2> handle;
        std::size_t largest = 2000;
        int const asks = static_cast<int>(random() % 300); // when somebody begins to use the handles
        for (int step = 0; step < 200; ++step) {
            CAPTURE(seed, step, asks);
            std::size_t const i = random() % 2;
            if (random() % 2 == 0) {
                std::size_t waiting = 0;
                for (auto const& text : on_the_way[i]) waiting += text.size() + 16;
                if (random() % 50 == 0) largest = 20'000;
                auto const text = pattern(random() % 4 == 0 ? random() % largest : random() % 20, step);
                if (waiting + text.size() < 40'000) { // so that nobody has to wait
                    end[1 - i].send_bytes(text);
                    on_the_way[i].push_back(text);
                }
            } else if (!on_the_way[i].empty()) {
                REQUIRE((end[i].recv_bytes<std::string>() == on_the_way[i].front()));
                on_the_way[i].pop_front();
            }
            if (step == asks) handle[i] = end[i].fileno();
            for (std::size_t const j : {0U, 1U}) {
                bool const expected = !on_the_way[j].empty();
                // Also when only this library has asked, the handle never hides a message.
                if (expected) REQUIRE(is_readable(mp::Waitable(end[j]).handle()));
                if (handle[j]) REQUIRE(is_readable(*handle[j]) == expected);
                if (random() % 2 == 0) REQUIRE(end[j].poll() == expected);
                if (random() % 2 == 0) REQUIRE(mp::wait({end[j]}, 0s).size() == (expected ? 1 : 0));
                if (!expected && random() % 2 == 0) {
                    end[j].poll();
                    REQUIRE_FALSE(is_readable(mp::Waitable(end[j]).handle()));
                }
            }
        }
        end[0].close();
        for (auto const& text : on_the_way[1]) {
            REQUIRE(end[1].poll());
            REQUIRE((end[1].recv_bytes<std::string>() == text));
        }
        CHECK(end[1].poll());
        CHECK(mp::wait({end[1]}, 0s).size() == 1);
        CHECK_THROWS_AS(end[1].recv_bytes(), mp::EOFError);
        CHECK_THROWS_AS(end[1].send_bytes("nobody is there"), mp::OSError);
    }
}

namespace {

void send_and_end(mp::Connection connection, int count) {
    for (int i = 0; i < count; ++i) connection.send_bytes(pattern(static_cast<std::size_t>(i * 30), i));
}

} // namespace

TEST_CASE("all that was sent before the end arrives before it") {
    auto [reader, writer] = mp::Pipe(false);
    mp::Process child(send_and_end, writer, 60);
    child.start();
    writer.close();
    child.join(); // nobody has received anything meanwhile
    for (int i = 0; i < 60; ++i) {
        REQUIRE((reader.recv_bytes<std::string>() == pattern(static_cast<std::size_t>(i * 30), i)));
    }
    CHECK_THROWS_AS(reader.recv_bytes(), mp::EOFError);
    CHECK_THROWS_AS(reader.recv_bytes(), mp::EOFError);
}

namespace {

constexpr int many = 3000;

/// Notes which messages came: each must come once.
void receive_some(mp::Connection connection, Board board) {
    board.add(1, 2);
    for (;;) {
        auto const number = connection.recv<std::pair<int, std::string>>();
        if (number.first < 0) break;
        if (number.second != pattern(number.second.size(), number.first)) board.add(1, 3);
        board.add(number.first, 0);
        board.add(1, 1);
    }
}

} // namespace

TEST_CASE("two processes receive from the same end, and each message comes once") {
    auto board = Board::make();
    auto [reader, writer] = mp::Pipe(false);
    mp::Process first(receive_some, reader, board), second(receive_some, reader, board);
    first.start();
    second.start();
    reader.close();
    board.await(2, 2);
    for (int i = 0; i < many; ++i) {
        // Now and then they fall asleep.
        if (i % 100 == 0) board.await(i, 1);
        writer.send(std::pair(i, pattern(i % 50 == 0 ? 300'000 : static_cast<std::size_t>(i % 100), i)));
    }
    for (int i = 0; i < 2; ++i) writer.send(std::pair(-1, std::string()));
    first.join();
    second.join();
    CHECK(first.exitcode() == 0);
    CHECK(second.exitcode() == 0);
    CHECK(board.get(1) == many);
    CHECK(board.get(3) == 0);
    CHECK(board.get(0) == std::int64_t{many} * (many - 1) / 2);
}

namespace {

void send_some(mp::Connection connection, int sender) {
    for (int i = 0; i < many; ++i) {
        connection.send(
            std::pair(sender * many + i, pattern(i % 50 == sender ? 300'000 : static_cast<std::size_t>(i % 100), i)));
    }
}

} // namespace

TEST_CASE("two processes send at the same end, and nothing gets mixed up") {
    auto [reader, writer] = mp::Pipe(false);
    mp::Process first(send_some, writer, 0), second(send_some, writer, 1);
    first.start();
    second.start();
    writer.close();
    std::array<int, 2> next{};
    for (int i = 0; i < 2 * many; ++i) {
        auto const [number, text] = reader.recv<std::pair<int, std::string>>();
        auto const sender = static_cast<std::size_t>(number / many);
        REQUIRE(number % many == next[sender]++);
        REQUIRE((text == pattern(text.size(), number % many)));
    }
    CHECK_THROWS_AS(reader.recv<int>(), mp::EOFError);
    first.join();
    second.join();
}

namespace {

void exchange(mp::Connection connection, int count) {
    for (int i = 0; i < count; ++i) connection.send(connection.recv<int>() + 1);
}

} // namespace

TEST_CASE("somebody asks for the handle while messages go to and fro") {
    auto [a, b] = mp::Pipe();
    mp::Process child(exchange, b, 3000);
    child.start();
    for (int i = 0; i < 3000; ++i) {
        a.send(i);
        if (i == 1500) {
            auto const handle = a.fileno();
            CHECK(mp::wait({handle}, patience).size() == 1);
        }
        REQUIRE(a.recv<int>() == i + 1);
    }
    child.join();
    CHECK(child.exitcode() == 0);
}

TEST_CASE("connections travel in order with other messages") {
    auto [a, b] = mp::Pipe();
    std::vector<mp::Connection> ours;
    for (int i = 0; i < 100; ++i) {
        auto [one, other] = mp::Pipe();
        a.send(i);
        a.send(std::pair(other, std::string(i % 10 == 0 ? 100'000 : 10, 'x')));
        ours.push_back(one);
        if (i % 7 != 0) continue;
        for (; b.poll(); ours.erase(ours.begin())) { // as many as have been sent
            auto const number = b.recv<int>();
            auto received = b.recv<std::pair<mp::Connection, std::string>>();
            ours.front().send(number);
            REQUIRE(received.first.recv<int>() == number);
        }
    }
}
