#pragma once

#include <system_error>

// The only place that includes <windows.h>: lean, without its min and max, for Windows 8 and later.
#if !defined(WIN32_LEAN_AND_MEAN)
#    define WIN32_LEAN_AND_MEAN
#endif
#if !defined(NOMINMAX)
#    define NOMINMAX
#endif
#if !defined(_WIN32_WINNT)
#    define _WIN32_WINNT 0x0602
#endif
#include <windows.h>

namespace multiprocessing::inline v0::platform::windows {

/// An error of Windows or of its sockets as an error code. Those that the layers above ask for by name, or that somebody who
/// connects to others may want to tell apart, are portable ones.
inline std::error_code make_error(DWORD number) noexcept {
    switch (number) {
    case ERROR_BROKEN_PIPE:
    case ERROR_NO_DATA:
    case ERROR_PIPE_NOT_CONNECTED:
    case ERROR_GRACEFUL_DISCONNECT:
    case ERROR_CONNECTION_INVALID:
    case WSAESHUTDOWN: return std::make_error_code(std::errc::broken_pipe);
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_OUTOFMEMORY:
    case ERROR_COMMITMENT_LIMIT:
    case ERROR_NO_SYSTEM_RESOURCES: return std::make_error_code(std::errc::not_enough_memory);
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND: return std::make_error_code(std::errc::no_such_file_or_directory);
    case ERROR_ALREADY_EXISTS:
    case ERROR_FILE_EXISTS: return std::make_error_code(std::errc::file_exists);
    case ERROR_ACCESS_DENIED:
    case WSAEACCES: return std::make_error_code(std::errc::permission_denied);
    case ERROR_INVALID_HANDLE: return std::make_error_code(std::errc::bad_file_descriptor);
    case ERROR_INVALID_PARAMETER:
    case ERROR_INVALID_NAME:
    case WSAEINVAL: return std::make_error_code(std::errc::invalid_argument);
    case ERROR_TOO_MANY_OPEN_FILES:
    case WSAEMFILE: return std::make_error_code(std::errc::too_many_files_open);
    case WSAENOTSOCK: return std::make_error_code(std::errc::not_a_socket);
    case WSAENOBUFS: return std::make_error_code(std::errc::no_buffer_space);
    case WSAEADDRINUSE: return std::make_error_code(std::errc::address_in_use);
    case WSAEADDRNOTAVAIL: return std::make_error_code(std::errc::address_not_available);
    case WSAEAFNOSUPPORT: return std::make_error_code(std::errc::address_family_not_supported);
    case ERROR_CONNECTION_REFUSED:
    case WSAECONNREFUSED: return std::make_error_code(std::errc::connection_refused);
    case ERROR_NETNAME_DELETED: // what a read or write of a socket reports
    case WSAECONNRESET: return std::make_error_code(std::errc::connection_reset);
    case ERROR_CONNECTION_ABORTED:
    case WSAECONNABORTED: return std::make_error_code(std::errc::connection_aborted);
    case ERROR_SEM_TIMEOUT: // likewise
    case WSAETIMEDOUT: return std::make_error_code(std::errc::timed_out);
    case WSAENETUNREACH: return std::make_error_code(std::errc::network_unreachable);
    case WSAEHOSTUNREACH:
    case WSAHOST_NOT_FOUND:
    case WSANO_DATA: return std::make_error_code(std::errc::host_unreachable);
    case WSATRY_AGAIN: return std::make_error_code(std::errc::resource_unavailable_try_again);
    default: return {static_cast<int>(number), std::system_category()};
    }
}

} // namespace multiprocessing::inline v0::platform::windows
