#include <multiprocessing/connection.hpp>

#include "support/catch.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <map>
#include <numeric>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <variant>
#include <vector>

namespace mp = multiprocessing;
using namespace std::chrono_literals;

namespace {

std::string text_of(std::vector<std::byte> const& bytes) {
    return {reinterpret_cast<char const*>(bytes.data()), bytes.size()};
}

/// The code of the OSError that a call throws; 0 if it throws none.
template <class Function>
std::errc error_of(Function function) {
    try {
        function();
    } catch (mp::OSError const& error) {
        return static_cast<std::errc>(error.code().default_error_condition().value());
    }
    return {};
}

struct Point {
    int x = 0;
    std::string name;

    bool operator==(Point const&) const = default;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& x& name;
    }
};

} // namespace

TEST_CASE("objects go both ways and arrive as their type") {
    auto [a, b] = mp::Pipe();
    a.send(42);
    CHECK(b.recv<int>() == 42);
    b.send(std::vector<std::string>{"one", "", "three"});
    CHECK(a.recv<std::vector<std::string>>() == std::vector<std::string>{"one", "", "three"});
    a.send(Point{7, "seven"});
    CHECK(b.recv<Point>() == Point{7, "seven"});
    std::variant<int, double, std::string> const anything = 2.5;
    a.send(anything);
    CHECK(b.recv<std::variant<int, double, std::string>>() == anything);
    a.send(std::tuple(1, std::map<std::string, int>{{"k", 2}}));
    CHECK(b.recv<std::tuple<int, std::map<std::string, int>>>() == std::tuple(1, std::map<std::string, int>{{"k", 2}}));
}

TEST_CASE("text and views arrive as what owns them") {
    auto [a, b] = mp::Pipe();
    std::array<int, 3> const numbers{1, 2, 3};
    char const* const pointer = "pointer";
    a.send("literal");
    a.send(pointer);
    a.send(std::string_view("view"));
    a.send(std::span<int const>(numbers));
    CHECK(b.recv<std::string>() == "literal");
    CHECK(b.recv<std::string>() == "pointer");
    CHECK(b.recv<std::string>() == "view");
    CHECK(b.recv<std::vector<int>>() == std::vector<int>{1, 2, 3});
}

TEST_CASE("an object of another type is a TypeError and the connection goes on") {
    auto [a, b] = mp::Pipe();
    a.send(1);
    CHECK_THROWS_AS(b.recv<double>(), mp::TypeError);
    a.send(1.5);
    CHECK_THROWS_AS(b.recv<std::int64_t>(), mp::TypeError);
    a.send(std::string("12345678"));
    CHECK_THROWS_AS(b.recv<std::vector<char>>(), mp::TypeError);
    a.send_bytes("just bytes");
    CHECK_THROWS_AS(b.recv<std::string>(), mp::TypeError);
    a.send_bytes("");
    CHECK_THROWS_AS(b.recv<int>(), mp::TypeError);
    a.send_bytes(std::string_view("\x80\x04K*.", 5)); // pickle.dumps(42, 4)
    try {
        b.recv<int>();
        FAIL("it is no object");
    } catch (mp::TypeError const& error) {
        CHECK(std::string(error.what()).find("Python") != std::string::npos);
    }
    a.send(2);
    CHECK(b.recv<int>() == 2);
}

TEST_CASE("bytes: every combination of offset and size") {
    auto [a, b] = mp::Pipe();
    std::string const latin = "latin";
    a.send_bytes(latin);
    CHECK(text_of(b.recv_bytes()) == latin);
    a.send_bytes(latin, 2);
    CHECK(text_of(b.recv_bytes()) == "tin");
    a.send_bytes(latin, 2, 2);
    CHECK(b.recv_bytes<std::string>() == "ti");
    a.send_bytes(latin, 5);
    CHECK(b.recv_bytes().empty());
    a.send_bytes(latin, 0, 0);
    CHECK(b.recv_bytes().empty());
    CHECK_THROWS_AS(a.send_bytes(latin, -1), mp::ValueError);
    CHECK_THROWS_AS(a.send_bytes(latin, 6), mp::ValueError);
    CHECK_THROWS_AS(a.send_bytes(latin, 22), mp::ValueError);
    CHECK_THROWS_AS(a.send_bytes(latin, 0, -1), mp::ValueError);
    CHECK_THROWS_AS(a.send_bytes(latin, 4, 2), mp::ValueError);
    CHECK_THROWS_AS(a.send_bytes(latin, 0, 6), mp::ValueError);
    CHECK_FALSE(b.poll()); // the refused ones have sent nothing
}

TEST_CASE("recv_bytes_into places a message in memory that is there") {
    auto [a, b] = mp::Pipe();
    std::array<std::byte, 10> place{};
    a.send_bytes("hello");
    CHECK(b.recv_bytes_into(place) == 5);
    CHECK(std::memcmp(place.data(), "hello\0\0\0\0\0", 10) == 0);
    a.send_bytes("abc");
    CHECK(b.recv_bytes_into(place, 7) == 3);
    CHECK(std::memcmp(place.data(), "hello\0\0abc", 10) == 0);
    a.send_bytes("");
    CHECK(b.recv_bytes_into(place, 10) == 0);

    a.send_bytes("longer than ten bytes");
    a.send_bytes("next");
    try {
        b.recv_bytes_into(place);
        FAIL("it did not fit");
    } catch (mp::BufferTooShort const& error) {
        CHECK(text_of(error.message()) == "longer than ten bytes");
    }
    CHECK(b.recv_bytes_into(place) == 4);
    CHECK_THROWS_AS(b.recv_bytes_into(place, -1), mp::ValueError);
    CHECK_THROWS_AS(b.recv_bytes_into(place, 11), mp::ValueError);
}

TEST_CASE("a message longer than maxlength ends the receiving") {
    auto const duplex = GENERATE(true, false);
    auto [reader, writer] = mp::Pipe(duplex);
    writer.send_bytes("12345");
    CHECK(reader.recv_bytes<std::string>(5) == "12345");
    CHECK_THROWS_AS(reader.recv_bytes(-1), mp::ValueError);
    writer.send_bytes("123456");
    CHECK(error_of([&end = reader] { end.recv_bytes(5); }) == std::errc::message_size);
    CHECK_FALSE(reader.readable());
    CHECK(reader.closed() != duplex); // what can still send stays open
    CHECK(error_of([&end = reader] { end.recv_bytes(); }) == std::errc::bad_file_descriptor);
    if (duplex) {
        reader.send(1);
        CHECK(writer.recv<int>() == 1);
    }
}

TEST_CASE("poll looks, waits, and takes nothing") {
    auto [a, b] = mp::Pipe();
    CHECK_FALSE(b.poll());
    CHECK_FALSE(b.poll(-1s));
    auto const begin = std::chrono::steady_clock::now();
    CHECK_FALSE(b.poll(20ms));
    CHECK(std::chrono::steady_clock::now() - begin >= 20ms);
    a.send_bytes("");
    CHECK(b.poll());
    CHECK(b.poll(std::nullopt));
    CHECK(b.poll());
    CHECK(b.recv_bytes().empty());
    CHECK_FALSE(b.poll());
    a.close();
    CHECK(b.poll()); // the end can be received
    CHECK_THROWS_AS(b.recv<int>(), mp::EOFError);
    CHECK(b.poll());
}

TEST_CASE("messages are not merged") {
    auto [a, b] = mp::Pipe();
    for (char const* const message : {"", "a", "", "bc"}) a.send_bytes(message);
    for (char const* const message : {"", "a", "", "bc"}) {
        CHECK(b.poll());
        CHECK(b.recv_bytes<std::string>() == message);
    }
    CHECK_FALSE(b.poll());
}

TEST_CASE("one way only") {
    auto [reader, writer] = mp::Pipe(false);
    writer.send(1);
    CHECK(reader.recv<int>() == 1);
    CHECK(reader.readable());
    CHECK_FALSE(reader.writable());
    CHECK_FALSE(writer.readable());
    CHECK(writer.writable());
    CHECK(error_of([&end = reader] { end.send(2); }) == std::errc::bad_file_descriptor);
    CHECK(error_of([&end = writer] { end.recv<int>(); }) == std::errc::bad_file_descriptor);
    CHECK(error_of([&end = writer] { end.poll(); }) == std::errc::bad_file_descriptor);
    CHECK(error_of([&end = writer] { end.recv_bytes(); }) == std::errc::bad_file_descriptor);
}

TEST_CASE("the end comes after what was sent, and stays") {
    auto [a, b] = mp::Pipe();
    a.send(1);
    a.close();
    CHECK(b.recv<int>() == 1);
    CHECK_THROWS_AS(b.recv<int>(), mp::EOFError);
    CHECK_THROWS_AS(b.recv_bytes(), mp::EOFError);
    CHECK(error_of([&end = b] { end.send(1); }) == std::errc::broken_pipe);
    CHECK(error_of([&end = b] { end.send_bytes(""); }) == std::errc::broken_pipe);
}

TEST_CASE("a reader that left with messages unread is a broken pipe, and an end") {
    auto [a, b] = mp::Pipe();
    a.send(1);
    b.close();
    CHECK_THROWS_AS(a.recv<int>(), mp::EOFError);
    CHECK(error_of([&end = a] { end.send(1); }) == std::errc::broken_pipe);
}

TEST_CASE("copies share, and closing one closes all") {
    auto [a, b] = mp::Pipe();
    mp::Connection copy = a;
    CHECK(copy == a);
    CHECK(copy.fileno() == a.fileno());
    CHECK_FALSE(copy == b);
    mp::Connection moved = std::move(copy);
    moved.send(1);
    CHECK(b.recv<int>() == 1);
    moved.close();
    moved.close();
    CHECK(a.closed());
    CHECK(error_of([&end = a] { end.send(1); }) == std::errc::bad_file_descriptor);
    CHECK(error_of([&end = a] { end.fileno(); }) == std::errc::bad_file_descriptor);
    CHECK(error_of([&end = a] { end.poll(); }) == std::errc::bad_file_descriptor);
    CHECK_THROWS_AS(b.recv<int>(), mp::EOFError);
}

TEST_CASE("the last copy that goes closes the end") {
    auto [a, b] = mp::Pipe();
    {
        mp::Connection const inner = std::move(a);
        mp::Connection other = inner;
        other.send(1);
    }
    CHECK(b.recv<int>() == 1);
    CHECK_THROWS_AS(b.recv<int>(), mp::EOFError);
}

TEST_CASE("a connection that was never open") {
    mp::Connection nothing;
    CHECK(nothing.closed());
    CHECK_FALSE(nothing.readable());
    CHECK_FALSE(nothing.writable());
    nothing.close();
    CHECK(error_of([&] { nothing.send(1); }) == std::errc::bad_file_descriptor);
    CHECK(error_of([&] { nothing.recv<int>(); }) == std::errc::bad_file_descriptor);
    CHECK_THROWS_AS(mp::Connection(mp::platform::invalid_handle), mp::ValueError);
    auto [a, b] = mp::Pipe();
    CHECK_THROWS_AS(mp::Connection(a.fileno(), false, false), mp::ValueError);
    a.send(1); // that did not take it over
    CHECK(b.recv<int>() == 1);
}

TEST_CASE("long messages pass while they are read, both ways at once") {
    auto [a, b] = mp::Pipe();
    std::vector<int> numbers(1 << 20); // 4 MB
    std::iota(numbers.begin(), numbers.end(), 0);
    std::vector<int> there, back;
    std::thread sender([&numbers, &end = a] { end.send(numbers); });
    std::thread other_receiver([&there, &end = b] { there = end.recv<std::vector<int>>(); });
    std::thread other_sender([&numbers, &end = b] { end.send(numbers); });
    back = a.recv<std::vector<int>>();
    sender.join();
    other_receiver.join();
    other_sender.join();
    CHECK((there == numbers));
    CHECK((back == numbers));
}

TEST_CASE("a connection travels through another one, and works there") {
    auto [a, b] = mp::Pipe();
    auto [one, other] = mp::Pipe();
    auto [reader, writer] = mp::Pipe(false);
    a.send(std::pair(other, std::string("note")));
    a.send(std::vector<mp::Connection>{reader, writer});
    other.close(); // what is on the way is not affected
    writer.close();

    auto [received, note] = b.recv<std::pair<mp::Connection, std::string>>();
    CHECK(note == "note");
    one.send("through");
    CHECK(received.recv<std::string>() == "through");
    received.close();
    CHECK_THROWS_AS(one.recv<int>(), mp::EOFError);

    auto ends = b.recv<std::vector<mp::Connection>>();
    CHECK_FALSE(ends.at(0).writable());
    CHECK_FALSE(ends.at(1).readable());
    ends.at(1).send(5);
    CHECK(ends.at(0).recv<int>() == 5);
    CHECK(error_of([&end = a] { end.send(mp::Connection()); }) == std::errc::bad_file_descriptor);
}

TEST_CASE("a connection in a message that is received as something else is closed") {
    if (!mp::platform::handles_travel_beside_bytes) return; // there it stays open for as long as the sender runs
    auto [a, b] = mp::Pipe();
    auto [one, other] = mp::Pipe();
    auto const as_bytes = GENERATE(true, false);
    a.send(other);
    a.send(7);
    other.close();
    if (as_bytes) {
        b.recv_bytes();
    } else {
        CHECK_THROWS_AS(b.recv<int>(), mp::TypeError);
    }
    CHECK_THROWS_AS(one.recv<int>(), mp::EOFError);
    CHECK(b.recv<int>() == 7);
}

TEST_CASE("who asks for the handle finds whole messages on the stream") {
    auto [a, b] = mp::Pipe();
    std::string const large(100'000, 'x');
    auto const send = [&large, &end = a] { end.send_bytes(large); };
    std::thread early_sender(send); // before, they may take a shorter way
    CHECK(b.recv_bytes<std::string>() == large);
    early_sender.join();
    auto const handle = b.fileno();
    std::error_code error;
    std::thread sender(send);
    std::string whole(4 + large.size(), '?');
    mp::platform::read_all(handle, std::as_writable_bytes(std::span(whole)), error);
    sender.join();
    CHECK_FALSE(error);
    CHECK((whole == std::string("\0\1\x86\xa0", 4) + large));
}
