// not on windows
#include <multiprocessing/connection.hpp>
#include <multiprocessing/process.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"
#include "support/forked.hpp"
#include "support/stepping.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <exception>
#include <map>
#include <optional>
#include <random>
#include <stdexcept>
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

using Ends = std::pair<mp::Connection, mp::Connection>;

std::string pattern(std::size_t size, int seed) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(static_cast<int>(i % 251) + seed);
    return text;
}

#if defined(CAN_STEP)

bool is_readable(mp::platform::native_handle handle) {
    bool ready = false;
    std::error_code error;
    mp::platform::poll({&handle, 1}, {&ready, 1}, mp::platform::deadline::min(), error);
    return ready;
}

/// What comes, as texts: messages that were cut off by the death of their writer are errors.
std::optional<std::string> receive(mp::Connection& connection) {
    REQUIRE(connection.poll(patience));
    try {
        return connection.recv_bytes<std::string>();
    } catch (mp::OSError const& error) {
        REQUIRE(error.code() == std::errc::connection_aborted);
        return std::nullopt;
    }
}

/// Both directions work, and the handle says what is true.
void check_use(Ends& ends) {
    for (auto const& [from, to] : {Ends(ends.first, ends.second), Ends(ends.second, ends.first)}) {
        auto sender = from, receiver = to;
        REQUIRE_FALSE(receiver.poll());
        for (std::size_t const size : {0U, 1U, 100U, 20'000U, 200'000U}) {
            sender.send_bytes(pattern(size, 7));
            REQUIRE(mp::wait({receiver}, patience).size() == 1);
            REQUIRE((receiver.recv_bytes<std::string>() == pattern(size, 7)));
        }
        REQUIRE_FALSE(receiver.poll());
        auto const handle = receiver.fileno();
        REQUIRE_FALSE(is_readable(handle));
        sender.send_bytes("x");
        REQUIRE(is_readable(handle));
        REQUIRE(receiver.recv_bytes<std::string>() == "x");
        REQUIRE_FALSE(is_readable(handle));
    }
}

#endif

} // namespace

#if defined(CAN_STEP)

TEST_CASE("a process that is killed at any instruction of a send costs at most its own message") {
    std::size_t const size = GENERATE(10U, 3'000U); // longer ones: below
    auto const message = pattern(size, 2);
    kill_everywhere(
        size == 10 ? 24 : 8,
        [] {
            Ends ends = mp::Pipe();
            ends.first.send_bytes("1");
            return ends;
        },
        [&](Ends& ends) { ends.first.send_bytes(message); },
        [&](Ends& ends) {
            ends.first.send_bytes("3");
            REQUIRE(receive(ends.second) == "1");
            auto next = receive(ends.second);
            if (next != "3") {
                REQUIRE((!next || *next == message));
                REQUIRE(receive(ends.second) == "3");
            }
            check_use(ends);
        });
}

TEST_CASE("a process that is killed at any instruction of a receive costs at most the message it was taking") {
    std::size_t const size = GENERATE(10U, 3'000U); // longer ones: below
    kill_everywhere(
        size == 10 ? 24 : 8,
        [size] {
            Ends ends = mp::Pipe();
            ends.first.send_bytes(pattern(size, 1));
            ends.first.send_bytes(pattern(size, 2));
            return ends;
        },
        [](Ends& ends) { ends.second.recv_bytes(); },
        [size](Ends& ends) {
            ends.first.send_bytes("3");
            auto next = receive(ends.second);
            if (next && *next == pattern(size, 1)) next = receive(ends.second);
            REQUIRE((next == pattern(size, 2)));
            REQUIRE(receive(ends.second) == "3");
            check_use(ends);
        });
}

TEST_CASE("a process that is killed at any instruction of a look takes nothing with it") {
    int const what = GENERATE(0, 1, 2, 3);
    kill_everywhere(
        12,
        [] {
            Ends ends = mp::Pipe();
            ends.first.send_bytes("0");
            ends.second.recv_bytes(); // its bell is still there
            return ends;
        },
        [what](Ends& ends) {
            if (what == 0) ends.second.poll();
            if (what == 1) mp::wait({ends.second}, 0s);
            if (what == 2) ends.second.fileno();
            if (what == 3) ends.second.close();
        },
        [](Ends& ends) {
            ends.first.send_bytes("1");
            REQUIRE(receive(ends.second) == "1");
            check_use(ends);
        });
}

namespace {

/// Connections that are sent through another one, each of which leads to a place of its own.
struct Carried {
    Ends way = mp::Pipe();
    Ends one = mp::Pipe();
    Ends two = mp::Pipe();

    /// Which of the two it is, whose other end was sent; 0: a message without.
    int receive() {
        REQUIRE(way.second.poll(patience));
        try {
            auto const received = way.second.recv<std::vector<mp::Connection>>();
            if (received.empty()) return 0;
            auto end = received[0];
            end.send(1);
        } catch (mp::OSError const& error) {
            REQUIRE(error.code() == std::errc::connection_aborted);
            return -1;
        }
        if (one.first.poll()) return one.first.recv<int>();
        REQUIRE(two.first.recv<int>() == 1);
        return 2;
    }
    void send(int which) {
        std::vector<mp::Connection> carried;
        if (which != 0) carried.push_back(which == 1 ? one.second : two.second);
        way.first.send(carried);
    }
    void check() {
        for (int const which : {1, 0, 2, 2, 1}) {
            send(which);
            REQUIRE(receive() == which);
        }
        check_use(way);
    }
};

} // namespace

TEST_CASE("a process that is killed while it sends or receives a connection does not mix up handles") {
    bool const sends = GENERATE(true, false);
    kill_everywhere(
        16,
        [sends] {
            Carried carried;
            if (!sends) {
                for (int const which : {1, 2, 0}) carried.send(which);
            }
            return carried;
        },
        [sends](Carried& carried) {
            if (sends) {
                carried.send(1);
            } else {
                carried.way.second.recv<std::vector<mp::Connection>>();
            }
        },
        [sends](Carried& carried) {
            if (sends) {
                for (int const which : {2, 0}) carried.send(which);
            }
            int next = carried.receive();
            if (next == 1) next = carried.receive();
            REQUIRE(next == 2);
            REQUIRE(carried.receive() == 0);
            carried.check();
        });
}

#endif

namespace {

/// A message that tells whether it is what was sent: sender, number, and a body that follows from them.
std::string numbered(int sender, int number, std::size_t size) {
    std::string text = pattern(size + 8, sender + number);
    std::memcpy(text.data(), &sender, 4);
    std::memcpy(text.data() + 4, &number, 4);
    return text;
}
std::pair<int, int> numbers_in(std::string const& text) {
    int sender = -1, number = -1;
    if (text.size() >= 8) std::memcpy(&sender, text.data(), 4);
    if (text.size() >= 8) std::memcpy(&number, text.data() + 4, 4);
    if (text.size() < 8 || text != numbered(sender, number, text.size() - 8))
        throw std::runtime_error("not what was sent");
    return {sender, number};
}

/// Lets a child run until the place on the board is 1, and then for a moment; and kills it.
void kill_at_some_moment(Forked& victim, Board const& board, std::mt19937& random) {
    board.await(1);
    auto const until = mp::platform::ticks() + random() % 400 * mp::platform::ticks_per_microsecond();
    while (mp::platform::ticks() < until) mp::platform::relax();
    victim.kill();
}

/// Mostly short, sometimes around the sizes at which something changes, or longer than the ring.
std::size_t some_size(std::mt19937& random) {
    switch (random() % 16) {
    case 0: return 2048 - 8 + random() % 4;
    case 1: return 8192 - 8 + random() % 4;
    case 2: return random() % 40'000;
    case 3: return random() % 4 == 0 ? 131'072 - 40 + random() % 60 : random() % 5000;
    case 4: return random() % 16 == 0 ? random() % 2'000'000 : 10;
    default: return random() % 300;
    }
}

} // namespace

TEST_CASE("senders are killed again and again, and all that others send arrives in order") {
    auto [reader, writer] = mp::Pipe(false);
    auto const board = Board::make();
    std::atomic<bool> stop{false};
    std::thread steady([&stop, &end = writer] {
        std::mt19937 random(1);
        for (int i = 0; !stop.load(); ++i) end.send_bytes(numbered(0, i, some_size(random)));
        end.send_bytes(numbered(0, -1, 0));
    });
    std::map<int, int> next;
    int cut = 0;
    std::string fault;
    std::thread receiver([&, &end = reader] {
        for (bool done = false; !done && fault.empty();) {
            try {
                auto const [sender, number] = numbers_in(end.recv_bytes<std::string>());
                done = number == -1;
                if (!done && number != next[sender]++) fault = "not in order";
            } catch (mp::OSError const& error) {
                if (error.code() == std::errc::connection_aborted) {
                    ++cut; // its writer has been killed
                } else {
                    fault = error.what();
                }
            } catch (std::exception const& error) {
                fault = error.what();
            }
        }
    });
    std::mt19937 random(2);
    int const count = kills(200);
    for (int round = 1; round <= count; ++round) {
        board.set(0);
        Forked victim([&board, round, &end = writer] {
            std::mt19937 sizes(static_cast<unsigned>(round));
            for (int i = 0;; ++i) {
                end.send_bytes(numbered(round, i, some_size(sizes)));
                board.set(1);
            }
            return 0;
        });
        kill_at_some_moment(victim, board, random);
    }
    stop.store(true);
    steady.join();
    receiver.join();
    CHECK(fault.empty());
    CHECK(cut <= count);
    CHECK(next.size() == static_cast<std::size_t>(count) + 1);
}

TEST_CASE("receivers are killed again and again, and lose at most one message each") {
    auto [reader, writer] = mp::Pipe(false);
    auto const board = Board::make();
    std::atomic<bool> stop{false};
    int sent = 0;
    std::thread steady([&stop, &sent, &end = writer] {
        std::mt19937 random(1);
        for (; !stop.load(); ++sent) end.send_bytes(numbered(0, sent, some_size(random)));
        end.send_bytes(numbered(0, -1, 0));
    });
    // Each of them tells the first and the last that it has received; between two lie at most the one that the first was
    // taking, and the one that it had not yet told of.
    std::mt19937 random(2);
    int const count = kills(200);
    int last = -1, lost = 0;
    for (int round = 1; round <= count; ++round) {
        board.set(0);
        board.set(-1, 2);
        Forked victim([&board, &end = reader] {
            for (;;) {
                int const number = numbers_in(end.recv_bytes<std::string>()).second;
                if (board.get(2) < 0) board.set(number, 2);
                board.set(number, 1);
                board.set(1);
            }
            return 0;
        });
        kill_at_some_moment(victim, board, random);
        int const first = static_cast<int>(board.get(2));
        REQUIRE(first > last);
        REQUIRE(first <= last + 3);
        lost += first - last - 1;
        last = static_cast<int>(board.get(1));
    }
    stop.store(true);
    for (int number = 0; number >= 0;) {
        number = numbers_in(reader.recv_bytes<std::string>()).second;
        if (number >= 0) last = number;
    }
    steady.join();
    CHECK(last <= sent - 1);
    CHECK(last >= sent - 3); // as before
    CHECK(lost <= 2 * count);
}
