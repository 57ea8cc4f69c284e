#pragma once

#include <multiprocessing/platform/channel.hpp>
#include <multiprocessing/platform/error.hpp>

#include <cerrno>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace multiprocessing::inline v0 {

std::pair<platform::native_handle, platform::native_handle> platform::make_channel(std::error_code& error) noexcept {
    int ends[2];
#if defined(SOCK_CLOEXEC)
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        error = last_error();
        return {invalid_handle, invalid_handle};
    }
#else
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) {
        error = last_error();
        return {invalid_handle, invalid_handle};
    }
    int const on = 1;
    for (int end : ends) {
        ::fcntl(end, F_SETFD, FD_CLOEXEC);
        ::setsockopt(end, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
    }
#endif
    for (int& end : ends) end = posix::beyond_standard_streams(end);
    if (ends[0] < 0 || ends[1] < 0) {
        error = last_error();
        close(ends[0]);
        close(ends[1]);
        return {invalid_handle, invalid_handle};
    }
    error.clear();
    return {ends[0], ends[1]};
}

void platform::write_all(native_handle channel, std::span<std::byte const> bytes, std::error_code& error) noexcept {
#if defined(MSG_NOSIGNAL)
    constexpr int flags = MSG_NOSIGNAL;
#else
    constexpr int flags = 0;
#endif
    error.clear();
    while (!bytes.empty()) {
        auto const written = ::send(channel, bytes.data(), bytes.size(), flags);
        if (written >= 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(written));
        } else if (errno != EINTR) {
            error = errno == ECONNRESET ? std::make_error_code(std::errc::broken_pipe) : last_error();
            return;
        }
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
    for (;;) {
        auto const count = ::read(channel, bytes.data(), bytes.size());
        if (count >= 0) {
            error.clear();
            return static_cast<std::size_t>(count);
        }
        if (errno == ECONNRESET) { // the other end closed with bytes of ours unread: for a reader that is the end
            error.clear();
            return 0;
        }
        if (errno != EINTR) {
            error = last_error();
            return 0;
        }
    }
}

} // namespace multiprocessing::inline v0
