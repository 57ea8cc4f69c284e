#pragma once

#include <multiprocessing/platform/channel.hpp>
#include <multiprocessing/platform/error.hpp>
#include <multiprocessing/platform/handle_passing.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace multiprocessing::inline v0 {

void platform::send_handles(
    native_handle channel,
    std::span<std::byte const> data,
    std::span<native_handle const> handles,
    process_id,
    std::error_code& error) noexcept {
    if (data.empty() || handles.size() > handles_per_message) {
        error = std::make_error_code(std::errc::invalid_argument);
        return;
    }
    alignas(cmsghdr) char control[CMSG_SPACE(handles_per_message * sizeof(int))] = {};
    iovec part{const_cast<std::byte*>(data.data()), data.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!handles.empty()) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(handles.size_bytes());
        cmsghdr* const header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(handles.size_bytes());
        std::memcpy(CMSG_DATA(header), handles.data(), handles.size_bytes());
    }
#if defined(MSG_NOSIGNAL)
    constexpr int flags = MSG_NOSIGNAL;
#else
    constexpr int flags = 0;
#endif
    ssize_t sent = 0;
    do sent = ::sendmsg(channel, &message, flags);
    while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        error = last_error();
        return;
    }
    write_all(channel, data.subspan(static_cast<std::size_t>(sent)), error); // the handles went with the first part
}

platform::received platform::receive_handles(
    native_handle channel,
    std::span<std::byte> data,
    std::span<native_handle> handles,
    std::error_code& error) noexcept {
    alignas(cmsghdr) char control[CMSG_SPACE(handles_per_message * sizeof(int))] = {};
    iovec part{data.data(), data.size()};
    msghdr message{};
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
    do count = ::recvmsg(channel, &message, flags);
    while (count < 0 && errno == EINTR);
    if (count < 0) {
        error = last_error();
        return {};
    }
    received result{static_cast<std::size_t>(count), 0};
    bool complete = (message.msg_flags & MSG_CTRUNC) == 0;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
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
                complete = false;
            } else if (result.handles < handles.size()) {
                handles[result.handles++] = handle;
            } else { // more than were asked for: they must not stay open
                platform::close(handle);
                complete = false;
            }
        }
    }
    if (!complete) {
        for (std::size_t i = 0; i < result.handles; ++i) platform::close(handles[i]);
        error = std::make_error_code(std::errc::too_many_files_open);
        return {};
    }
    error.clear();
    return result;
}

} // namespace multiprocessing::inline v0
