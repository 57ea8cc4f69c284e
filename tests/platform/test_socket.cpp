#include <multiprocessing/detail/unique_handle.hpp>
#include <multiprocessing/platform/poll.hpp>
#include <multiprocessing/platform/socket.hpp>
#include <multiprocessing/platform/stream.hpp>

#include "platform/child_program.hpp"

#include <array>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using multiprocessing::detail::unique_handle;
namespace platform = multiprocessing::platform;
using platform::socket_address;
using platform::socket_family;

namespace {

platform::deadline constexpr at_once = platform::deadline::min();

bool is_ready(platform::native_handle handle, platform::deadline until) {
    std::error_code error;
    bool ready = false;
    auto const count = platform::poll({&handle, 1}, {&ready, 1}, until, error);
    CHECK_FALSE(error);
    CHECK(count == (ready ? 1 : 0));
    return ready;
}

bool write_text(platform::native_handle stream, std::string_view text) {
    std::error_code error;
    platform::write_stream(stream, std::as_bytes(std::span(text)), {}, {}, error);
    return !error;
}

/// Of what is there, at most ten bytes; empty at the end.
std::string read_text(platform::native_handle stream) {
    std::error_code error;
    std::array<char, 10> place;
    auto const count = platform::read_stream(stream, std::as_writable_bytes(std::span(place)), {}, error).bytes;
    CHECK_FALSE(error);
    return {place.data(), count};
}

/// Two ends of a connection that somebody has accepted.
struct Pair {
    unique_handle client, accepted;

    explicit Pair(socket_address const& where) {
        std::error_code error;
        socket_address bound, peer;
        auto const listener = platform::listen_at(where, 5, bound, error);
        REQUIRE_FALSE(error);
        client.reset(platform::connect_to(bound, error));
        REQUIRE_FALSE(error);
        accepted.reset(platform::accept_connection(*listener, peer, error));
        REQUIRE_FALSE(error);
        if (where.family == socket_family::local) platform::remove_local_path(where.name, true);
    }
};

/// One of each family that every machine has.
std::vector<socket_address> places() {
    std::error_code error;
    std::string const path = platform::make_local_path(error);
    REQUIRE_FALSE(error);
    return {{socket_family::local, path}, {socket_family::internet, "127.0.0.1"}};
}

} // namespace

TEST_CASE("listen, connect, accept, talk") {
    std::error_code error;
    auto const all = places();
    for (socket_address const& where : all) {
        socket_address bound, peer;
        auto const listener = platform::listen_at(where, 5, bound, error);
        REQUIRE_FALSE(error);
        CHECK((bound.port != 0) == (where.family != socket_family::local));
        unique_handle const client(platform::connect_to(bound, error));
        REQUIRE_FALSE(error);
        unique_handle const accepted(platform::accept_connection(*listener, peer, error));
        REQUIRE_FALSE(error);
        CHECK(peer.name == (where.family == socket_family::local ? "" : "127.0.0.1"));
        CHECK(write_text(client.get(), "hello"));
        CHECK(read_text(accepted.get()) == "hello");

        auto const second = platform::listen_at(bound, 5, peer, error);
        CHECK(error == std::errc::address_in_use);
        CHECK(second == nullptr);
    }
    platform::remove_local_path(all[0].name, true);
    unique_handle const nobody(platform::connect_to(all[0], error));
    CHECK(error == std::errc::no_such_file_or_directory);
}

TEST_CASE("a listener is ready as long as a client waits") {
    std::error_code error;
    for (socket_address const& where : places()) {
        socket_address bound, peer;
        auto const listener = platform::listen_at(where, 5, bound, error);
        REQUIRE_FALSE(error);
        CHECK_FALSE(is_ready(platform::readiness_of(*listener), at_once));
        for (int i = 0; i < 3; ++i) {
            std::vector<std::thread> clients; // a pipe lets them in one by one
            for (int n = 0; n < 3; ++n) {
                clients.emplace_back([&bound] {
                    std::error_code failure;
                    unique_handle const client(platform::connect_to(bound, failure));
                    write_text(client.get(), failure ? "no" : "hello");
                });
            }
            for (int n = 0; n < 3; ++n) {
                CHECK(is_ready(platform::readiness_of(*listener), platform::never));
                unique_handle const accepted(platform::accept_connection(*listener, peer, error));
                REQUIRE_FALSE(error);
                CHECK(read_text(accepted.get()) == "hello");
                CHECK(read_text(accepted.get()).empty());
            }
            CHECK_FALSE(is_ready(platform::readiness_of(*listener), at_once));
            for (auto& client : clients) client.join();
        }
        std::thread later([&bound] {
            std::error_code failure;
            unique_handle const client(platform::connect_to(bound, failure));
        });
        unique_handle const accepted(platform::accept_connection(*listener, peer, error)); // does the waiting itself
        CHECK_FALSE(error);
        later.join();
        if (where.family == socket_family::local) platform::remove_local_path(where.name, true);
    }
}

TEST_CASE("a connection is ready when there is something to read, or the end") {
    for (socket_address const& where : places()) {
        Pair ends(where);
        auto const mine = ends.accepted.get();
        CHECK_FALSE(is_ready(mine, at_once));
        auto const begin = platform::clock::now();
        CHECK_FALSE(is_ready(mine, begin + std::chrono::milliseconds(20)));
        CHECK(platform::clock::now() - begin >= std::chrono::milliseconds(20));
        std::thread writer([&] { write_text(ends.client.get(), "hello"); });
        CHECK(is_ready(mine, platform::never));
        writer.join();
        CHECK(read_text(mine) == "hello");
        CHECK_FALSE(is_ready(mine, at_once));
        std::thread closer([&] { ends.client.reset(); });
        CHECK(is_ready(mine, platform::never));
        closer.join();
        CHECK(read_text(mine).empty());
        CHECK(read_text(mine).empty());
    }
}

TEST_CASE("looking at a connection takes nothing") {
    using kind = platform::stream_front::kind;
    for (socket_address const& where : places()) {
        Pair ends(where);
        std::error_code error;
        auto const mine = ends.accepted.get();
        CHECK(platform::peek_stream(mine, error).what == kind::nothing);
        CHECK_FALSE(platform::stream_has_ended(mine));
        CHECK(write_text(ends.client.get(), "x"));
        CHECK(is_ready(mine, platform::never));
        for (int i = 0; i < 2; ++i) {
            auto const front = platform::peek_stream(mine, error);
            CHECK(front.what == kind::byte);
            CHECK(front.value == std::byte{'x'});
        }
        CHECK(read_text(mine) == "x");
        ends.client.reset();
        CHECK(is_ready(mine, platform::never));
        CHECK(platform::peek_stream(mine, error).what == kind::end);
        CHECK_FALSE(error);
    }
}

TEST_CASE("who leaves with bytes unread has simply gone") {
    for (socket_address const& where : places()) {
        Pair ends(where);
        CHECK(write_text(ends.client.get(), "hello"));
        CHECK(is_ready(ends.accepted.get(), platform::never));
        ends.accepted.reset();
        CHECK(is_ready(ends.client.get(), platform::never));
        CHECK(read_text(ends.client.get()).empty());
        std::error_code error;
        std::byte const more{};
        while (!error) platform::write_all(ends.client.get(), {&more, 1}, error);
        CHECK(error == std::errc::broken_pipe);
        CHECK(read_text(ends.client.get()).empty());
    }
}

TEST_CASE("a duplicate keeps the connection") {
    for (socket_address const& where : places()) {
        Pair ends(where);
        std::error_code error;
        unique_handle copy(platform::duplicate(ends.client.get(), error));
        REQUIRE_FALSE(error);
        ends.client.reset();
        CHECK_FALSE(is_ready(ends.accepted.get(), at_once));
        CHECK(write_text(copy.get(), "hello"));
        CHECK(read_text(ends.accepted.get()) == "hello");
        CHECK(write_text(ends.accepted.get(), "you"));
        CHECK(read_text(copy.get()) == "you");
        copy.reset();
        CHECK(read_text(ends.accepted.get()).empty());
    }
}

TEST_CASE("both directions at the same time, more than any buffer holds") {
    for (socket_address const& where : places()) {
        Pair ends(where);
        std::string const text(3'000'000, 'x');
        auto const send = [&](platform::native_handle stream) {
            std::error_code error;
            auto const bytes = std::as_bytes(std::span(text));
            platform::write_stream(stream, bytes.first(10), bytes.subspan(10), {}, error);
        };
        std::string there(text.size(), '?'), here(text.size(), '?');
        std::error_code error, other_error;
        std::thread mine([&] { send(ends.client.get()); });
        std::thread others([&] { send(ends.accepted.get()); });
        std::thread reader(
            [&] { platform::read_all(ends.accepted.get(), std::as_writable_bytes(std::span(there)), other_error); });
        platform::read_all(ends.client.get(), std::as_writable_bytes(std::span(here)), error);
        for (std::thread* const thread : {&mine, &others, &reader}) thread->join();
        CHECK_FALSE(error);
        CHECK_FALSE(other_error);
        CHECK((here == text && there == text));
    }
}

TEST_CASE("addresses that do not work") {
    std::error_code error;
    socket_address bound;
    platform::listen_at({socket_family::local, "/no/such/folder/x"}, 1, bound, error);
    CHECK(
        error ==
        (platform::local_sockets_are_files ? std::errc::no_such_file_or_directory : std::errc::invalid_argument));
    platform::listen_at({socket_family::local, std::string(300, 'x')}, 1, bound, error);
    CHECK(error == std::errc::filename_too_long);
    unique_handle made(platform::connect_to({socket_family::internet, "no.such.host.invalid", 80}, error));
    CHECK(error);
    made.reset(platform::connect_to({socket_family::internet, "not a host", 80}, error));
    CHECK(error == std::errc::host_unreachable);
    {
        auto const nobody = platform::listen_at({socket_family::internet, "127.0.0.1"}, 1, bound, error);
        REQUIRE_FALSE(error);
    }
    made.reset(platform::connect_to(bound, error));
    CHECK(error == std::errc::connection_refused);
    CHECK_FALSE(made);
}

#if defined(MULTIPROCESSING_WINDOWS)

namespace {

using Bytes = std::vector<std::byte>;

/// What the system tells once it has the room for it: `ask(place, size, needed)`.
template <class Ask>
Bytes told(Ask ask) {
    DWORD size = 0;
    ask(nullptr, 0, &size);
    Bytes answer(size);
    REQUIRE(ask(answer.data(), size, &size));
    return answer;
}

} // namespace

TEST_CASE("a pipe admits this user and nobody else") {
    Pair const ends(places()[0]);
    auto descriptor = told([&](void* place, DWORD size, DWORD* needed) {
        return ::GetKernelObjectSecurity(ends.accepted.get(), DACL_SECURITY_INFORMATION, place, size, needed);
    });
    BOOL is_there = FALSE, by_default = FALSE;
    ACL* list = nullptr;
    REQUIRE(::GetSecurityDescriptorDacl(descriptor.data(), &is_there, &list, &by_default));
    REQUIRE(is_there);
    REQUIRE(list != nullptr);
    REQUIRE(list->AceCount == 1);
    void* entry = nullptr;
    REQUIRE(::GetAce(list, 0, &entry));
    auto& allowed = *static_cast<ACCESS_ALLOWED_ACE*>(entry);
    CHECK(allowed.Header.AceType == ACCESS_ALLOWED_ACE_TYPE);

    HANDLE token = nullptr;
    REQUIRE(::OpenProcessToken(::GetCurrentProcess(), TOKEN_QUERY, &token));
    unique_handle const owner(token);
    auto user = told([&](void* place, DWORD size, DWORD* needed) {
        return ::GetTokenInformation(token, TokenUser, place, size, needed);
    });
    CHECK(::EqualSid(&allowed.SidStart, reinterpret_cast<TOKEN_USER*>(user.data())->User.Sid));
}

#endif
