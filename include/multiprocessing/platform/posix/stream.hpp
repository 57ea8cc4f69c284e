#pragma once

#include <multiprocessing/platform/channel.hpp>
#include <multiprocessing/platform/error.hpp>
#include <multiprocessing/platform/handle_passing.hpp>
#include <multiprocessing/platform/stream.hpp>

#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

namespace multiprocessing::inline v0 {

namespace platform::posix {

/// While it lives, a write to a pipe that nobody reads raises no signal in this thread. Sockets have a flag for that.
class no_pipe_signal {
public:
    no_pipe_signal() noexcept {
        ::sigemptyset(&pipe_);
        ::sigaddset(&pipe_, SIGPIPE);
        ::sigset_t pending;
        ::sigpending(&pending);
        was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
        ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }
    ~no_pipe_signal() {
        int const kept = errno;
        ::sigset_t pending;
        ::sigpending(&pending);
        if (!was_pending_ && ::sigismember(&pending, SIGPIPE) == 1) { // ours: it must not be delivered later
            int number = 0;
            ::sigwait(&pipe_, &number);
        }
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
        errno = kept;
    }
    no_pipe_signal(no_pipe_signal const&) = delete;
    no_pipe_signal& operator=(no_pipe_signal const&) = delete;

private:
    ::sigset_t pipe_;
    ::sigset_t before_;
    bool was_pending_ = false;
};

/// One write of the parts; what sendmsg does for sockets, writev does for the rest.
inline ssize_t write_once(native_handle stream, ::msghdr const& message) noexcept {
#if defined(MSG_NOSIGNAL)
    constexpr int flags = MSG_NOSIGNAL;
#else
    constexpr int flags = 0;
#endif
    ssize_t const sent = ::sendmsg(stream, &message, flags);
    if (sent >= 0 || errno != ENOTSOCK || message.msg_controllen != 0) return sent;
    no_pipe_signal const guard;
    return ::writev(stream, message.msg_iov, static_cast<int>(message.msg_iovlen));
}

} // namespace platform::posix

void platform::write_stream(
    native_handle stream,
    std::span<std::byte const> first,
    std::span<std::byte const> second,
    std::span<native_handle const> handles,
    std::error_code& error) noexcept {
    error.clear();
    if (handles.size() > handles_per_message) {
        error = std::make_error_code(std::errc::invalid_argument);
        return;
    }
    alignas(::cmsghdr) char control[CMSG_SPACE(handles_per_message * sizeof(int))] = {};
    ::iovec parts[2] = {
        {const_cast<std::byte*>(first.data()), first.size()}, {const_cast<std::byte*>(second.data()), second.size()}};
    ::msghdr message{};
    if (!handles.empty()) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(handles.size_bytes());
        ::cmsghdr* const header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(handles.size_bytes());
        std::memcpy(CMSG_DATA(header), handles.data(), handles.size_bytes());
    }
    for (::iovec* part = parts; part != parts + 2;) {
        if (part->iov_len == 0) {
            ++part;
            continue;
        }
        message.msg_iov = part;
        message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(parts + 2 - part);
        ssize_t const sent = posix::write_once(stream, message);
        if (sent < 0) {
            if (errno == EINTR) continue;
            error = errno == ECONNRESET ? std::make_error_code(std::errc::broken_pipe) : last_error();
            return;
        }
        message.msg_control = nullptr; // the handles went with the first byte
        message.msg_controllen = 0;
        for (auto left = static_cast<std::size_t>(sent); left != 0 && part != parts + 2;) {
            std::size_t const step = left < part->iov_len ? left : part->iov_len;
            part->iov_base = static_cast<std::byte*>(part->iov_base) + step;
            part->iov_len -= step;
            left -= step;
            if (part->iov_len == 0) ++part;
        }
    }
}

platform::stream_part platform::read_stream(
    native_handle stream,
    std::span<std::byte> bytes,
    std::span<native_handle> handles,
    std::error_code& error) noexcept {
    stream_part result;
    if (handles.empty()) { // the system closes handles that nobody asks for
        result.bytes = read_some(stream, bytes, error);
        return result;
    }
    alignas(::cmsghdr) char control[CMSG_SPACE(handles_per_message * sizeof(int))];
    ::iovec part{bytes.data(), bytes.size()};
    ::msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
#if defined(MSG_CMSG_CLOEXEC)
    constexpr int flags = MSG_CMSG_CLOEXEC;
#else
    constexpr int flags = 0;
#endif
    ssize_t count = 0;
    do count = ::recvmsg(stream, &message, flags);
    while (count < 0 && errno == EINTR);
    if (count < 0 && errno == ENOTSOCK) {
        result.bytes = read_some(stream, bytes, error);
        return result;
    }
    error.clear();
    if (count < 0) {
        // The other end closed with bytes of ours unread: for a reader that is the end.
        if (errno != ECONNRESET) error = last_error();
        return result;
    }
    result.bytes = static_cast<std::size_t>(count);
    result.handles_lost = (message.msg_flags & MSG_CTRUNC) != 0;
    for (::cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        std::size_t const found = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < found; ++i) {
            int handle = invalid_handle;
            std::memcpy(&handle, CMSG_DATA(header) + i * sizeof(int), sizeof handle);
#if !defined(MSG_CMSG_CLOEXEC)
            ::fcntl(handle, F_SETFD, FD_CLOEXEC);
#endif
            handle = posix::beyond_standard_streams(handle);
            if (handle < 0) {
                result.handles_lost = true;
            } else if (result.handles < handles.size()) {
                handles[result.handles++] = handle;
            } else {
                platform::close(handle);
                result.handles_lost = true;
            }
        }
    }
    if (result.handles_lost) {
        while (result.handles > 0) platform::close(handles[--result.handles]);
    }
    return result;
}

void platform::write_byte_at_once(native_handle stream, std::byte value, std::error_code& error) noexcept {
#if defined(MSG_NOSIGNAL)
    constexpr int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
#else
    constexpr int flags = MSG_DONTWAIT;
#endif
    error.clear();
    while (::send(stream, &value, 1, flags) < 0) {
        if (errno == EINTR) continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) return;
        error = errno == ECONNRESET ? std::make_error_code(std::errc::broken_pipe) : last_error();
        return;
    }
}

platform::stream_front platform::peek_stream(native_handle stream, std::error_code& error) noexcept {
    using kind = stream_front::kind;
    stream_front front;
    error.clear();
    for (;;) {
        ssize_t const count = ::recv(stream, &front.value, 1, MSG_PEEK | MSG_DONTWAIT);
        if (count > 0) front.what = kind::byte;
        if (count == 0) front.what = kind::end;
        if (count >= 0) return front;
        if (errno == EINTR) continue;
        if (errno == ECONNRESET) { // the other end closed with bytes of ours unread
            front.what = kind::end;
        } else if (errno != EAGAIN && errno != EWOULDBLOCK) {
            error = last_error();
        }
        return front;
    }
}

bool platform::stream_has_ended(native_handle stream) noexcept {
    ::pollfd entry{stream, 0, 0}; // only what is always reported
    return ::poll(&entry, 1, 0) > 0;
}

std::uint64_t platform::publish_handle(native_handle, std::error_code& error) noexcept {
    error = std::make_error_code(std::errc::not_supported);
    return 0;
}

platform::native_handle platform::take_published_handle(std::uint64_t, std::error_code& error) noexcept {
    error = std::make_error_code(std::errc::not_supported);
    return invalid_handle;
}

} // namespace multiprocessing::inline v0
