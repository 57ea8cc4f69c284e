#pragma once

#include <multiprocessing/platform/handle.hpp>
#include <multiprocessing/platform/windows/winsock.hpp>

namespace multiprocessing::inline v0 {

namespace platform::windows {

/// Sockets have a part in this process too, which DuplicateHandle would know nothing of.
inline HANDLE duplicate_socket(HANDLE handle, std::error_code& error) noexcept {
    WSAPROTOCOL_INFOW about{};
    SOCKET copy = INVALID_SOCKET;
    if (::WSADuplicateSocketW(socket_of(handle), ::GetCurrentProcessId(), &about) == 0) {
        constexpr int known = FROM_PROTOCOL_INFO;
        copy = ::WSASocketW(known, known, known, &about, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    }
    if (copy != INVALID_SOCKET) return handle_of(copy);
    error = last_socket_error();
    return invalid_handle;
}

/// Another handle that this process only keeps, for another one to take: of a socket too.
inline HANDLE duplicate_to_keep(HANDLE handle, std::error_code& error) noexcept {
    HANDLE const self = ::GetCurrentProcess();
    HANDLE copy = invalid_handle;
    // -1 is not refused by the system: there it is the pseudo handle of the process.
    if (handle == invalid_handle || handle == INVALID_HANDLE_VALUE) {
        error = std::make_error_code(std::errc::bad_file_descriptor);
    } else if (!::DuplicateHandle(self, handle, self, &copy, 0, FALSE, DUPLICATE_SAME_ACCESS)) {
        error = make_error(::GetLastError());
    }
    return copy;
}

} // namespace platform::windows

void platform::close(native_handle handle) noexcept {
    if (handle == invalid_handle || handle == INVALID_HANDLE_VALUE) return;
    if (windows::is_socket(handle)) {
        ::closesocket(windows::socket_of(handle));
    } else {
        ::CloseHandle(handle);
    }
}

platform::native_handle platform::duplicate(native_handle handle, std::error_code& error) noexcept {
    error.clear();
    return windows::is_socket(handle) ? windows::duplicate_socket(handle, error)
                                      : windows::duplicate_to_keep(handle, error);
}

} // namespace multiprocessing::inline v0
