#pragma once

#include <multiprocessing/platform/channel.hpp>
#include <multiprocessing/platform/error.hpp>
#include <multiprocessing/platform/random.hpp>
#include <multiprocessing/platform/windows/winsock.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cwchar>

namespace multiprocessing::inline v0 {

namespace platform::windows {

/// The event that this thread waits on while an operation is under way.
inline HANDLE operation_event() noexcept {
    struct owner {
        HANDLE event = ::CreateEventW(nullptr, TRUE, FALSE, nullptr);
        owner() = default;
        owner(owner const&) = delete;
        owner& operator=(owner const&) = delete;
        ~owner() {
            if (event != nullptr) ::CloseHandle(event);
        }
    };
    thread_local owner const mine;
    return mine.event;
}

/// The channels are overlapped, so that two threads can read and write the same one at the same time; `start` begins
/// an operation, this waits for its end and returns ERROR_SUCCESS or why it failed.
template <class Start>
DWORD complete(native_handle channel, DWORD& transferred, Start start) noexcept {
    OVERLAPPED operation{};
    operation.hEvent = operation_event();
    if (operation.hEvent == nullptr) return ERROR_NOT_ENOUGH_MEMORY;
    if (!start(&operation) && ::GetLastError() != ERROR_IO_PENDING) return ::GetLastError();
    return ::GetOverlappedResult(channel, &operation, &transferred, TRUE) ? ERROR_SUCCESS : ::GetLastError();
}

inline bool is_end_of_stream(DWORD failure) noexcept {
    return failure == ERROR_BROKEN_PIPE || failure == ERROR_PIPE_NOT_CONNECTED || failure == ERROR_HANDLE_EOF;
}

/// The other end of a socket has gone, with bytes of ours unread or by a crash.
inline bool is_end_of_connection(std::error_code const& failure) noexcept {
    return failure == std::errc::connection_reset || failure == std::errc::connection_aborted;
}

/// The longest part that is handed to the system at once.
inline constexpr std::size_t channel_part = 1 << 20;

inline constexpr DWORD pipe_buffer = 65536;

/// A name for a pipe that nobody can guess.
inline std::array<wchar_t, 80> new_pipe_name(std::error_code& error) noexcept {
    std::array<std::uint32_t, 4> secret{};
    std::array<wchar_t, 80> name{};
    random_bytes(std::as_writable_bytes(std::span(secret)), error);
    std::swprintf(
        name.data(),
        name.size(),
        L"\\\\.\\pipe\\multiprocessing-%08x%08x%08x%08x",
        static_cast<unsigned>(secret[0]),
        static_cast<unsigned>(secret[1]),
        static_cast<unsigned>(secret[2]),
        static_cast<unsigned>(secret[3]));
    return name;
}

} // namespace platform::windows

std::pair<platform::native_handle, platform::native_handle> platform::make_channel(std::error_code& error) noexcept {
    // Unnamed pipes go one way only and cannot be waited for. This name is known to nobody, and refers to nothing any
    // more as soon as both ends are open: there is one instance.
    auto const name = windows::new_pipe_name(error);
    if (error) return {invalid_handle, invalid_handle};
    HANDLE const one = ::CreateNamedPipeW(
        name.data(),
        PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE,
        PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS,
        1,
        windows::pipe_buffer,
        windows::pipe_buffer,
        0,
        nullptr);
    if (one == INVALID_HANDLE_VALUE) {
        error = last_error();
        return {invalid_handle, invalid_handle};
    }
    HANDLE const other = ::CreateFileW(
        name.data(),
        GENERIC_READ | GENERIC_WRITE,
        0,
        nullptr,
        OPEN_EXISTING,
        FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_ANONYMOUS,
        nullptr);
    if (other == INVALID_HANDLE_VALUE) {
        error = last_error();
        ::CloseHandle(one);
        return {invalid_handle, invalid_handle};
    }
    return {one, other};
}

void platform::write_all(native_handle channel, std::span<std::byte const> bytes, std::error_code& error) noexcept {
    error.clear();
    while (!bytes.empty()) {
        auto const part = bytes.first(std::min(bytes.size(), windows::channel_part));
        DWORD written = 0;
        DWORD const failure = windows::complete(channel, written, [&](OVERLAPPED* operation) {
            return ::WriteFile(channel, part.data(), static_cast<DWORD>(part.size()), nullptr, operation);
        });
        if (failure != ERROR_SUCCESS) {
            error = windows::make_error(failure);
            if (windows::is_end_of_connection(error)) error = std::make_error_code(std::errc::broken_pipe);
            return;
        }
        bytes = bytes.subspan(written);
    }
}

bool platform::read_all(native_handle channel, std::span<std::byte> bytes, std::error_code& error) noexcept {
    bool begun = bytes.empty();
    while (!bytes.empty()) {
        auto const count = read_some(channel, bytes, error);
        if (error) return false;
        if (count == 0) {
            if (begun) error = std::make_error_code(std::errc::broken_pipe);
            return false;
        }
        begun = true;
        bytes = bytes.subspan(count);
    }
    error.clear();
    return true;
}

std::size_t platform::read_some(native_handle channel, std::span<std::byte> bytes, std::error_code& error) noexcept {
    error.clear();
    auto const part = bytes.first(std::min(bytes.size(), windows::channel_part));
    while (!part.empty()) {
        DWORD count = 0;
        DWORD const failure = windows::complete(channel, count, [&](OVERLAPPED* operation) {
            return ::ReadFile(channel, part.data(), static_cast<DWORD>(part.size()), nullptr, operation);
        });
        if (count > 0) return count;
        if (windows::is_end_of_stream(failure)) return 0;
        if (failure == ERROR_SUCCESS) { // the end of a socket, or somebody has written nothing into a pipe
            if (windows::is_socket(channel)) return 0;
            continue;
        }
        error = windows::make_error(failure);
        if (windows::is_end_of_connection(error)) error.clear();
        return 0;
    }
    return 0;
}

} // namespace multiprocessing::inline v0
