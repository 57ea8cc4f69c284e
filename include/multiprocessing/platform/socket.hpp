#pragma once

#include <multiprocessing/platform/clock.hpp>
#include <multiprocessing/platform/handle.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <system_error>

/// Sockets that listen and connect; local ones are named pipes on Windows. Once connected they are streams: see stream.hpp, and
/// poll.hpp.
namespace multiprocessing::inline v0::platform {

enum class socket_family {
    internet,  ///< AF_INET
    internet6, ///< AF_INET6
    local,     ///< AF_UNIX, or AF_PIPE on Windows
};

/// What Python calls the local family of this system, and whether its sockets are files, which have to be removed.
#if defined(MULTIPROCESSING_WINDOWS)
inline constexpr char local_family[] = "AF_PIPE";
inline constexpr bool local_sockets_are_files = false;
#else
inline constexpr char local_family[] = "AF_UNIX";
inline constexpr bool local_sockets_are_files = true;
#endif

/// Where a socket is. `name` is a host name or number, or the path of a local socket (on Windows the name of a pipe);
/// beginning with NUL it is no file but a name that the system forgets with its last user (Linux).
struct socket_address {
    socket_family family = socket_family::local;
    std::string name{};
    std::uint16_t port = 0;
};

/// What listens: each system has its own. It stops listening when it is destroyed; what was accepted stays.
struct listener;

/// Begins to listen; `bound` is where it really is: port 0 becomes the one that the system chose. Errors: as bind and
/// listen, filename_too_long, and host_unreachable for a host that nobody knows.
///
/// backlog  how many may wait to be accepted; pipes have room for one, the others wait in connect_to
inline std::unique_ptr<listener>
listen_at(socket_address const& where, int backlog, socket_address& bound, std::error_code& error);

/// A handle that is ready for poll when accept_connection will find a client: the socket, or an event on Windows.
inline native_handle readiness_of(listener const& listening) noexcept;

/// Waits for a connection. The peer of a local socket has no name. For one thread at a time.
inline native_handle accept_connection(listener& listening, socket_address& peer, std::error_code& error);

/// Connects. Waits for as long as the system does.
inline native_handle connect_to(socket_address const& where, std::error_code& error);

/// A path for a local socket in a new folder that only this user may enter, or the name of a pipe that nobody else knows.
/// Empty with an error.
inline std::string make_local_path(std::error_code& error);

/// Removes the file of a local socket, and with `folder` the folder that make_local_path made for it. Pipes have none.
inline void remove_local_path(std::string const& path, bool folder) noexcept;

} // namespace multiprocessing::inline v0::platform

#if defined(MULTIPROCESSING_WINDOWS)
#    include <multiprocessing/platform/windows/socket.hpp>
#else
#    include <multiprocessing/platform/posix/socket.hpp>
#endif
