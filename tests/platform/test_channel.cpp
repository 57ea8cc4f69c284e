#include <multiprocessing/platform/channel.hpp>

#include "platform/child_program.hpp"

#include <array>
#include <cstring>
#include <string_view>
#include <thread>

using namespace multiprocessing_test;

namespace {

std::span<std::byte const> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string read_text(platform::native_handle channel, std::size_t size) {
    std::string text(size, '?');
    std::error_code error;
    bool const there = platform::read_all(channel, std::as_writable_bytes(std::span(text)), error);
    REQUIRE_FALSE(error);
    return there ? text : "end";
}

/// Sends everything back until the end of the stream.
ChildProgram const echo("echo", [](Arguments const& given) {
    std::array<std::byte, 100> buffer;
    std::error_code error;
    for (;;) {
        auto const count = platform::read_some(handle_of(given.at(0)), buffer, error);
        if (error) return 1;
        if (count == 0) return 0;
        platform::write_all(handle_of(given.at(0)), std::span(buffer).first(count), error);
    }
});

ChildProgram const wait_for_ever("wait_for_ever", [](Arguments const& given) {
    signal(handle_of(given.at(0)));
    while (await(handle_of(given.at(0)))) {
    }
    return 0;
});

} // namespace

TEST_CASE("bytes go both ways") {
    Channel channel;
    std::error_code error;
    platform::write_all(channel.mine, bytes_of("there"), error);
    REQUIRE_FALSE(error);
    platform::write_all(channel.other, bytes_of("back"), error);
    REQUIRE_FALSE(error);
    CHECK(read_text(channel.other, 5) == "there");
    CHECK(read_text(channel.mine, 4) == "back");
    platform::write_all(channel.mine, {}, error);
    CHECK_FALSE(error);
    CHECK(platform::read_all(channel.other, {}, error));
    CHECK_FALSE(error);
}

TEST_CASE("read_some returns what is there") {
    Channel channel;
    std::error_code error;
    platform::write_all(channel.mine, bytes_of("abc"), error);
    std::array<std::byte, 100> buffer{};
    REQUIRE(platform::read_some(channel.other, std::span(buffer).first(2), error) == 2);
    REQUIRE(platform::read_some(channel.other, buffer, error) == 1);
    CHECK(std::memcmp(buffer.data(), "c", 1) == 0);
}

TEST_CASE("the end of a stream") {
    Channel channel;
    std::error_code error;
    std::array<std::byte, 4> buffer{};
    platform::write_all(channel.mine, bytes_of("last"), error);
    platform::write_all(channel.mine, bytes_of("x"), error);
    REQUIRE_FALSE(error);

    auto const closed = GENERATE(true, false);
    auto const reader = closed ? channel.other : channel.mine;
    if (closed) {
        channel.close_mine();
        CHECK(read_text(reader, 4) == "last"); // what was written before is still there
        CHECK_FALSE(platform::read_all(reader, buffer, error));
        CHECK(error == std::errc::broken_pipe); // it ended in the middle
    } else {
        channel.close_other(); // with bytes in it that nobody has read
    }
    CHECK_FALSE(platform::read_all(reader, buffer, error));
    CHECK_FALSE(error);
    CHECK(platform::read_some(reader, buffer, error) == 0);
    CHECK_FALSE(error);
    platform::write_all(reader, bytes_of("to nobody"), error);
    CHECK(error == std::errc::broken_pipe);
}

TEST_CASE("a long message passes while it is read, and one end is used by two threads") {
    Channel channel;
    std::string const text(3'000'000, 'm');
    std::string back;
    std::error_code failure;
    std::thread other([&] { // reads it, and sends it back
        std::string received(text.size(), '?');
        platform::read_all(channel.other, std::as_writable_bytes(std::span(received)), failure);
        platform::write_all(channel.other, bytes_of(received), failure);
    });
    std::thread reader([&] {
        std::string received(text.size(), '?');
        std::error_code error;
        if (platform::read_all(channel.mine, std::as_writable_bytes(std::span(received)), error)) back = received;
    });
    std::error_code error;
    platform::write_all(channel.mine, bytes_of(text), error);
    other.join();
    reader.join();
    CHECK_FALSE(error);
    CHECK_FALSE(failure);
    CHECK((back == text));
}

TEST_CASE("between two processes") {
    Channel channel;
    auto child = echo.start({number_of(channel.other)}, {channel.other});
    channel.close_other();
    std::error_code error;
    platform::write_all(channel.mine, bytes_of("hello"), error);
    REQUIRE_FALSE(error);
    CHECK(read_text(channel.mine, 5) == "hello");
    channel.close_mine();
    CHECK(status_of(child) == 0);
}

TEST_CASE("the end of a process is the end of the stream") {
    Channel channel;
    auto child = wait_for_ever.start({number_of(channel.other)}, {channel.other});
    channel.close_other();
    REQUIRE(await(channel.mine));
    std::error_code error;
    platform::kill_process(child.pid, error);
    CHECK_FALSE(await(channel.mine));
    platform::write_all(channel.mine, bytes_of("to nobody"), error);
    CHECK(error == std::errc::broken_pipe);
    status_of(child);
}
