#pragma once

#include <multiprocessing/platform/windows/api.hpp>

#if defined(_MSC_VER) && defined(_WINSOCKAPI_) && !defined(_WINSOCK2API_)
#    error "include multiprocessing before <windows.h>, or define WIN32_LEAN_AND_MEAN: both would bring another winsock"
#endif
#include <winsock2.h>

/// A socket is a handle among others here: it is read and written like a pipe. Only what differs asks which of both it is.
namespace multiprocessing::inline v0::platform::windows {

inline SOCKET socket_of(HANDLE handle) noexcept { return reinterpret_cast<SOCKET>(handle); }
inline HANDLE handle_of(SOCKET socket) noexcept { return reinterpret_cast<HANDLE>(socket); }

inline std::error_code last_socket_error() noexcept { return make_error(static_cast<DWORD>(::WSAGetLastError())); }

/// Begins to use sockets, once in a process and until its end.
inline bool use_sockets() noexcept {
    static bool const begun = [] {
        WSADATA about{};
        return ::WSAStartup(MAKEWORD(2, 2), &about) == 0;
    }();
    return begun;
}

/// The system calls both a pipe. Programs without sockets never get as far as to begin to use them.
inline bool is_socket(HANDLE handle) noexcept {
    if (::GetFileType(handle) != FILE_TYPE_PIPE) return false;
    if (::GetNamedPipeInfo(handle, nullptr, nullptr, nullptr, nullptr) || ::GetLastError() == ERROR_ACCESS_DENIED) {
        return false; // the writing end of an unnamed pipe may not be asked
    }
    int type = 0;
    int size = sizeof type;
    return use_sockets() &&
           ::getsockopt(socket_of(handle), SOL_SOCKET, SO_TYPE, reinterpret_cast<char*>(&type), &size) == 0;
}

/// What poll of POSIX would say of a socket now: 0, or how it is readable, has ended or is none (POLLNVAL).
inline int events_of(HANDLE socket) noexcept {
    WSAPOLLFD entry{socket_of(socket), POLLRDNORM, 0};
    return ::WSAPoll(&entry, 1, 0) < 0 ? POLLNVAL : entry.revents;
}

} // namespace multiprocessing::inline v0::platform::windows
