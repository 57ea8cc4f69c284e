#include <multiprocessing/platform/handle_passing.hpp>

#include "platform/child_program.hpp"

#include <array>
#include <cstring>

using namespace multiprocessing_test;

namespace {

std::array<std::byte, 3> const data{std::byte{'a'}, std::byte{'b'}, std::byte{'c'}};

/// Receives a handle, writes to it, and ends when it is told to.
ChildProgram const receive("receive", [](Arguments const& given) {
    auto const channel = handle_of(given.at(0));
    std::array<std::byte, 3> received{};
    std::array<platform::native_handle, 1> handle{};
    std::error_code error;
    auto const result = platform::receive_handles(channel, received, handle, error);
    if (error || result.bytes != 3 || result.handles != 1 || received != data) return 1;
    if (!signal(handle[0])) return 2;
    return await(channel) ? 0 : 3;
});

} // namespace

TEST_CASE("handles go to another process") {
    Channel line;
    Channel gift;
    auto child = receive.start({number_of(line.other)}, {line.other});
    line.close_other();
    std::error_code error;
    platform::send_handles(line.mine, data, std::array{gift.other}, child.pid, error);
    REQUIRE_FALSE(error);
    gift.close_other(); // at once: it is on its way
    CHECK(await(gift.mine));
    REQUIRE(signal(line.mine));
    CHECK(status_of(child) == 0);
    CHECK_FALSE(await(gift.mine)); // the receiver had the last one
}

TEST_CASE("as many as the limit allows, and none") {
    Channel line;
    Channel gift;
    std::error_code error;
    std::array<platform::native_handle, platform::handles_per_message> sent{};
    sent.fill(gift.other);
    platform::send_handles(line.mine, data, sent, platform::current_process_id(), error);
    REQUIRE_FALSE(error);
    gift.close_other();

    std::array<platform::native_handle, platform::handles_per_message> came{};
    std::array<std::byte, 2> part{};
    auto result = platform::receive_handles(line.other, part, came, error);
    REQUIRE_FALSE(error);
    CHECK(result.bytes == 2);
    REQUIRE(result.handles == came.size());
    CHECK(platform::read_some(line.other, part, error) == 1); // the rest of the data
    CHECK(part[0] == std::byte{'c'});
    CHECK(signal(came[0]));
    CHECK(signal(came[63]));
    for (auto const handle : came) platform::close(handle);
    CHECK(await(gift.mine));
    CHECK(await(gift.mine));
    CHECK_FALSE(await(gift.mine));

    platform::send_handles(line.mine, data, {}, platform::current_process_id(), error);
    REQUIRE_FALSE(error);
    std::array<std::byte, 10> more{};
    result = platform::receive_handles(line.other, more, came, error);
    CHECK_FALSE(error);
    CHECK(result.bytes == 3);
    CHECK(result.handles == 0);
}

TEST_CASE("what cannot be sent") {
    Channel line;
    std::error_code error;
    std::array<platform::native_handle, platform::handles_per_message + 1> many{};
    many.fill(line.other);
    platform::send_handles(line.mine, data, many, platform::current_process_id(), error);
    CHECK(error == std::errc::invalid_argument);
    platform::send_handles(line.mine, {}, std::array{line.other}, platform::current_process_id(), error);
    CHECK(error == std::errc::invalid_argument);
    line.close_other();
    platform::send_handles(line.mine, data, std::array{line.mine}, platform::current_process_id(), error);
    CHECK(error == std::errc::broken_pipe);
}

TEST_CASE("more handles than there is room for are an error, and are not left open") {
    Channel line;
    Channel gift;
    std::error_code error;
    platform::send_handles(line.mine, data, std::array{gift.other, gift.other}, platform::current_process_id(), error);
    REQUIRE_FALSE(error);
    gift.close_other();
    std::array<std::byte, 3> received{};
    std::array<platform::native_handle, 1> came{};
    auto const result = platform::receive_handles(line.other, received, came, error);
    CHECK(error);
    CHECK(result.handles == 0);
    CHECK_FALSE(await(gift.mine));
}

TEST_CASE("the end of the stream brings nothing") {
    Channel line;
    line.close_mine();
    std::error_code error;
    std::array<std::byte, 3> received{};
    std::array<platform::native_handle, 1> came{};
    auto const result = platform::receive_handles(line.other, received, came, error);
    CHECK_FALSE(error);
    CHECK(result.bytes == 0);
    CHECK(result.handles == 0);
}
