#pragma once

#include <multiprocessing/platform/clock.hpp>
#include <multiprocessing/platform/handle.hpp>

#include <cstdint>
#include <string>
#include <system_error>

/// Sockets that listen and connect. Once connected they are streams: see stream.hpp, and poll.hpp.
namespace multiprocessing::inline v0::platform {

enum class socket_family {
    internet,  ///< AF_INET
    internet6, ///< AF_INET6
    local,     ///< AF_UNIX
};

/// Which of them this system has.
inline bool has_family(socket_family family) noexcept;

/// Where a socket is. `name` is a host name or number, or the path of a local socket; beginning with NUL it is no file but
/// a name that the system forgets with its last user (Linux).
struct socket_address {
    socket_family family = socket_family::local;
    std::string name{};
    std::uint16_t port = 0;
};

/// A socket that listens; `bound` is where it really is: port 0 becomes the one that the system chose. Errors: as bind
/// and listen, filename_too_long, and host_unreachable for a host that nobody knows.
inline native_handle listen_at(socket_address const& where, int backlog, socket_address& bound, std::error_code& error);

/// Waits for a connection. The peer of a local socket has no name.
inline native_handle accept_connection(native_handle listener, socket_address& peer, std::error_code& error);

/// Connects. Waits for as long as the system does.
inline native_handle connect_to(socket_address const& where, std::error_code& error);

/// A path for a local socket in a new folder that only this user may enter. Empty with an error.
inline std::string make_local_path(std::error_code& error);

/// Removes the file of a local socket, and with `folder` the folder that make_local_path made for it.
inline void remove_local_path(std::string const& path, bool folder) noexcept;

} // namespace multiprocessing::inline v0::platform

#if defined(MULTIPROCESSING_WINDOWS)
#    include <multiprocessing/platform/windows/socket.hpp>
#else
#    include <multiprocessing/platform/posix/socket.hpp>
#endif
