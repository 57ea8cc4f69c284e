#pragma once

#include <multiprocessing/platform/error.hpp>
#include <multiprocessing/platform/poll.hpp>
#include <multiprocessing/platform/process.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/// The part of platform/process.hpp that all POSIX systems share.
namespace multiprocessing::inline v0 {

namespace detail {

inline platform::exit_status status_of(int raw) noexcept {
    if (WIFEXITED(raw)) return WEXITSTATUS(raw);
    return WIFSIGNALED(raw) ? -WTERMSIG(raw) : platform::unknown_exit;
}

/// Takes the status of a child, if it is there. ECHILD: somebody else took it, or SIGCHLD is ignored.
inline std::optional<platform::exit_status> reap(platform::process_id pid, int options) noexcept {
    int raw = 0;
    for (;;) {
        auto const result = ::waitpid(static_cast<pid_t>(pid), &raw, options);
        if (result == pid) return status_of(raw);
        if (result == 0) return std::nullopt;
        if (errno != EINTR) return platform::unknown_exit;
    }
}

/// A child without a sentinel is asked again and again, ever more rarely.
inline std::optional<platform::exit_status> reap_until(platform::process_id pid, platform::deadline until) noexcept {
    if (until == platform::never) return reap(pid, 0);
    long nap = 50'000; // nanoseconds
    for (;;) {
        if (auto status = reap(pid, WNOHANG)) return status;
        auto const left = platform::time_left(until).count();
        if (left == 0) return std::nullopt;
        timespec const pause{0, static_cast<long>(std::min<long long>(nap, left))};
        ::nanosleep(&pause, nullptr);
        nap = std::min(nap * 2, 5'000'000L);
    }
}

inline void send_signal(platform::process_id pid, int number, std::error_code& error) noexcept {
    error.clear();
    if (::kill(static_cast<pid_t>(pid), number) != 0 && errno != ESRCH) error = platform::last_error();
}

} // namespace detail

std::optional<platform::exit_status> platform::wait_process(child_process& child, deadline until) noexcept {
    std::optional<exit_status> status;
    if (child.sentinel == invalid_handle) {
        status = detail::reap_until(child.pid, until);
    } else {
        bool ready = false;
        std::error_code error;
        if (poll({&child.sentinel, 1}, {&ready, 1}, until, error) == 0 && !error) return std::nullopt;
        status = detail::reap(child.pid, error ? WNOHANG : 0);
    }
    if (status) {
        platform::close(child.sentinel);
        child.sentinel = invalid_handle;
    }
    return status;
}

void platform::terminate_process(process_id pid, std::error_code& error) noexcept {
    detail::send_signal(pid, SIGTERM, error);
}

void platform::kill_process(process_id pid, std::error_code& error) noexcept {
    detail::send_signal(pid, SIGKILL, error);
}

void platform::interrupt_process(process_id pid, std::error_code& error) noexcept {
    detail::send_signal(pid, SIGINT, error);
}

// What only children call is called by address: a name that the parent has never called each child would look up anew,
// which costs it a dozen page faults in the tables of the libraries. Addresses are there since the program began.

void platform::exit_process(int code) noexcept {
    static void (*const volatile leave)(int) = &::_exit;
    leave(code);
    ::_exit(code); // never reached; the compiler does not know
}

bool platform::ignore_interrupts() noexcept { return ::signal(SIGINT, SIG_IGN) != SIG_IGN; }

void platform::obey_interrupts() noexcept { ::signal(SIGINT, SIG_DFL); }

void platform::obey_termination() noexcept {
    ::signal(SIGTERM, SIG_DFL);
    sigset_t all; // the thread that forked may have blocked them
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_UNBLOCK, &all, nullptr);
}

void platform::block_signals_in_this_thread() noexcept {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

void platform::close_standard_input() noexcept {
    static int (*const volatile open_file)(char const*, int, ...) = &::open;
    static int (*const volatile put_in_place)(int, int) = &::dup2;
    int const nothing = open_file("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing < 0) return;
    if (nothing == STDIN_FILENO) {
        ::fcntl(nothing, F_SETFD, 0);
    } else {
        put_in_place(nothing, STDIN_FILENO);
        ::close(nothing);
    }
}

void platform::at_fork_in_child(void (*function)()) noexcept { ::pthread_atfork(nullptr, nullptr, function); }

} // namespace multiprocessing::inline v0
