#include <multiprocessing/platform/handle_passing.hpp>
#include <multiprocessing/platform/stream.hpp>

#include "platform/child_program.hpp"

#include <array>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace multiprocessing_test;

namespace {

std::span<std::byte const> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

/// Reads as much as there is, at most 100 bytes.
std::string read_text(platform::native_handle stream, platform::stream_part* part = nullptr) {
    std::array<char, 100> text;
    std::array<platform::native_handle, 4> handles;
    std::error_code error;
    auto const read = platform::read_stream(stream, std::as_writable_bytes(std::span(text)), handles, error);
    REQUIRE_FALSE(error);
    for (std::size_t i = 0; i < read.handles; ++i) platform::close(handles[i]);
    if (part != nullptr) *part = read;
    return {text.data(), read.bytes};
}

} // namespace

TEST_CASE("two parts are one piece") {
    Channel channel;
    std::error_code error;
    for (auto const& [first, second] :
         {std::pair("head ", "body"), std::pair("", "head body"), std::pair("head body", "")}) {
        platform::write_stream(channel.mine, bytes_of(first), bytes_of(second), {}, error);
        REQUIRE_FALSE(error);
        CHECK(read_text(channel.other) == "head body");
    }
    platform::write_stream(channel.mine, {}, {}, {}, error);
    CHECK_FALSE(error);
    channel.close_mine();
    CHECK(read_text(channel.other).empty());
    platform::write_stream(channel.other, bytes_of("a"), bytes_of("b"), {}, error);
    CHECK(error == std::errc::broken_pipe);
}

TEST_CASE("parts that are longer than any buffer") {
    Channel channel;
    std::string const first(1'000'001, 'a'), second(2'000'003, 'b');
    std::error_code error;
    std::thread writer([&] { platform::write_stream(channel.mine, bytes_of(first), bytes_of(second), {}, error); });
    std::string all(first.size() + second.size(), '?');
    std::error_code reading;
    CHECK(platform::read_all(channel.other, std::as_writable_bytes(std::span(all)), reading));
    writer.join();
    CHECK_FALSE(error);
    CHECK((all == first + second));
}

TEST_CASE("handles come with the first byte, and only if they are asked for") {
    if constexpr (platform::handles_travel_beside_bytes) {
        Channel channel, cargo;
        std::error_code error;
        std::array const handles{cargo.mine, cargo.other};
        platform::write_stream(channel.mine, bytes_of("with"), {}, handles, error);
        REQUIRE_FALSE(error);
        platform::write_stream(channel.mine, bytes_of("more"), {}, handles, error);
        platform::stream_part part;
        CHECK(read_text(channel.other, &part) == "with");
        CHECK(part.handles == 2);
        CHECK_FALSE(part.handles_lost);

        std::array<std::byte, 10> place;
        std::array<platform::native_handle, 1> one;
        auto const read = platform::read_stream(channel.other, place, one, error);
        CHECK(read.bytes == 4);
        CHECK(read.handles == 0);
        CHECK(read.handles_lost); // there was no room for two

        platform::write_stream(channel.mine, bytes_of("third"), {}, handles, error);
        CHECK(platform::read_stream(channel.other, place, {}, error).bytes == 5);
        std::vector<platform::native_handle> const many(platform::handles_per_message + 1, cargo.mine);
        platform::write_stream(channel.mine, bytes_of("x"), {}, many, error);
        CHECK(error == std::errc::invalid_argument);
    } else {
        Channel channel, cargo;
        std::error_code error;
        auto const number = platform::publish_handle(cargo.mine, error);
        REQUIRE_FALSE(error);
        auto const taken = platform::take_published_handle(number, error);
        REQUIRE_FALSE(error);
        platform::write_stream(taken, bytes_of("through"), {}, {}, error);
        CHECK(read_text(cargo.other) == "through");
        platform::close(taken);
    }
}

TEST_CASE("looking at the next byte does not take it, and never waits") {
    using kind = platform::stream_front::kind;
    Channel channel;
    std::error_code error;
    CHECK(platform::peek_stream(channel.other, error).what == kind::nothing);
    platform::write_byte_at_once(channel.mine, std::byte{7}, error);
    REQUIRE_FALSE(error);
    for (int i = 0; i < 2; ++i) {
        auto const front = platform::peek_stream(channel.other, error);
        CHECK(front.what == kind::byte);
        CHECK(front.value == std::byte{7});
    }
    channel.close_mine();
    CHECK(read_text(channel.other) == "\a");
    CHECK(platform::peek_stream(channel.other, error).what == kind::end);
    CHECK_FALSE(error);
    platform::write_byte_at_once(channel.other, std::byte{7}, error);
    CHECK(error == std::errc::broken_pipe);
}

TEST_CASE("a byte for a stream that is full is not waited for") {
    if (!platform::streams_are_bells) return;
    Channel channel;
    std::error_code error;
    for (int i = 0; i < 100'000 && !error; ++i) platform::write_byte_at_once(channel.mine, std::byte{7}, error);
    CHECK_FALSE(error);
    CHECK_FALSE(read_text(channel.other).empty());
}
