// not on windows
#include <multiprocessing/detail/unique_handle.hpp>
#include <multiprocessing/platform/socket.hpp>
#include <multiprocessing/platform/stream.hpp>

#include "platform/child_program.hpp"

#include <array>
#include <string>
#include <string_view>

using multiprocessing::detail::unique_handle;
namespace platform = multiprocessing::platform;
using platform::socket_address;
using platform::socket_family;

TEST_CASE("listen, connect, accept, talk") {
    std::error_code error;
    std::string const path = platform::make_local_path(error);
    REQUIRE_FALSE(error);
    for (socket_address const& where :
         {socket_address{socket_family::local, path}, socket_address{socket_family::internet, "127.0.0.1"}}) {
        REQUIRE(platform::has_family(where.family));
        socket_address bound, peer;
        unique_handle const listener(platform::listen_at(where, 5, bound, error));
        REQUIRE_FALSE(error);
        CHECK((bound.port != 0) == (where.family != socket_family::local));
        unique_handle const client(platform::connect_to(bound, error));
        REQUIRE_FALSE(error);
        unique_handle const accepted(platform::accept_connection(listener.get(), peer, error));
        REQUIRE_FALSE(error);
        CHECK(peer.name == (where.family == socket_family::local ? "" : "127.0.0.1"));
        std::string_view const text = "hello";
        platform::write_stream(client.get(), std::as_bytes(std::span(text)), {}, {}, error);
        std::array<std::byte, 10> place;
        CHECK(platform::read_stream(accepted.get(), place, {}, error).bytes == 5);

        unique_handle const second(platform::listen_at(bound, 5, peer, error));
        CHECK(error == std::errc::address_in_use);
    }
    platform::remove_local_path(path, true);
    unique_handle const nobody(platform::connect_to({socket_family::local, path}, error));
    CHECK(error == std::errc::no_such_file_or_directory);
}

TEST_CASE("addresses that do not work") {
    std::error_code error;
    socket_address bound;
    unique_handle made(platform::listen_at({socket_family::local, "/no/such/folder/x"}, 1, bound, error));
    CHECK(error == std::errc::no_such_file_or_directory);
    made.reset(platform::listen_at({socket_family::local, std::string(200, 'x')}, 1, bound, error));
    CHECK(error == std::errc::filename_too_long);
    made.reset(platform::connect_to({socket_family::internet, "no.such.host.invalid", 80}, error));
    CHECK(error);
    made.reset(platform::connect_to({socket_family::internet, "not a host", 80}, error));
    CHECK(error);
    CHECK_FALSE(made);
}
