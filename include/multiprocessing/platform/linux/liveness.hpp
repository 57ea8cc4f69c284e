#pragma once

#include <multiprocessing/platform/error.hpp>
#include <multiprocessing/platform/liveness.hpp>

#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace multiprocessing::inline v0 {

// A seat is a record lock on one byte of the segment: the kernel releases it when the process ends, before the zombie
// is waited for, and does not pass it on to forked children.

void platform::take_seat(native_handle segment, std::size_t seat, process_id, std::error_code& error) noexcept {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = static_cast<off_t>(seat);
    lock.l_len = 1;
    int result = 0;
    do result = ::fcntl(segment, F_SETLK, &lock);
    while (result != 0 && errno == EINTR);
    error = result != 0 ? last_error() : std::error_code();
}

bool platform::seat_is_taken(native_handle segment, std::size_t seat, process_id pid) noexcept {
    if (pid == current_process_id()) return true; // one's own lock is not in one's way, so it could not be seen
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = static_cast<off_t>(seat);
    lock.l_len = 1;
    if (::fcntl(segment, F_GETLK, &lock) != 0) return ::kill(static_cast<pid_t>(pid), 0) == 0 || errno != ESRCH;
    return lock.l_type != F_UNLCK;
}

void platform::die_with(native_handle lifeline, std::error_code& error) noexcept {
    // Asynchronous input with SIGKILL as its signal: the hang-up of the other end kills, without a thread that watches
    // and without PR_SET_PDEATHSIG, which would fire when the thread ends that made this process.
    error.clear();
    if (::fcntl(lifeline, F_SETOWN, ::getpid()) != 0 || ::fcntl(lifeline, F_SETSIG, SIGKILL) != 0 ||
        ::fcntl(lifeline, F_SETFL, ::fcntl(lifeline, F_GETFL) | O_ASYNC) != 0) {
        error = last_error();
        return;
    }
    pollfd entry{lifeline, POLLIN, 0};
    if (::poll(&entry, 1, 0) > 0 && (entry.revents & (POLLHUP | POLLERR)) != 0) ::kill(::getpid(), SIGKILL);
}

} // namespace multiprocessing::inline v0
