#pragma once

#include <multiprocessing/platform/posix/process.hpp>

#include <new>
#include <string>
#include <vector>

#include <sys/syscall.h>

namespace multiprocessing::inline v0 {

namespace detail {

/// A descriptor that becomes readable when the child ends; none where the kernel, or a filter, refuses.
inline int open_sentinel(pid_t child) noexcept {
    auto const sentinel = static_cast<int>(::syscall(SYS_pidfd_open, child, 0)); // born close-on-exec
    return platform::posix::beyond_standard_streams(sentinel);
}

/// What the child of vfork does: it shares the memory of the parent, so it only makes system calls.
[[noreturn]] inline void become_program(
    char const* path,
    char* const* arguments,
    char* const* environment,
    std::span<platform::native_handle const> inherited,
    sigset_t const& signals,
    int volatile& failure) noexcept {
    constexpr unsigned mark_close_on_exec = 4; // CLOSE_RANGE_CLOEXEC
    if (::syscall(SYS_close_range, 3U, ~0U, mark_close_on_exec) != 0) {
        long const limit = std::min(::sysconf(_SC_OPEN_MAX), 65536L); // an old kernel: one by one
        for (int handle = 3; handle < limit; ++handle) ::fcntl(handle, F_SETFD, FD_CLOEXEC);
    }
    for (auto const handle : inherited) ::fcntl(handle, F_SETFD, 0);
    ::pthread_sigmask(SIG_SETMASK, &signals, nullptr);
    ::execve(path, arguments, environment);
    failure = errno;
    ::_exit(127);
}

} // namespace detail

platform::child_process platform::fork_process(std::error_code& error) noexcept {
    pid_t const pid = ::fork();
    if (pid < 0) {
        error = last_error();
        return {};
    }
    error.clear();
    return {pid, pid == 0 ? invalid_handle : detail::open_sentinel(pid)};
}

platform::child_process platform::start_program(program const& what, std::error_code& error) noexcept {
    try {
        std::string const added = what.variable.first + '=' + what.variable.second;
        std::string const prefix = what.variable.first + '=';
        std::vector<char*> environment;
        for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
            if (std::string_view(*entry).substr(0, prefix.size()) != prefix) environment.push_back(*entry);
        }
        environment.push_back(const_cast<char*>(added.c_str()));
        environment.push_back(nullptr);
        char* arguments[] = {const_cast<char*>(what.executable.c_str()), nullptr};

        // A handler that ran in the child before exec would run in the memory of the parent.
        sigset_t all;
        sigset_t before;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before);
        int volatile failure = 0;
        pid_t const pid = ::vfork(); // unlike fork, not slower with the memory of the parent
        if (pid == 0) {
            detail::become_program(
                what.executable.c_str(), arguments, environment.data(), what.inherited, before, failure);
        }
        int const refused = errno;
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        if (pid < 0) {
            error.assign(refused, std::generic_category());
            return {};
        }
        if (failure != 0) {
            detail::reap(pid, 0);
            error.assign(failure, std::generic_category());
            return {};
        }
        error.clear();
        return {pid, detail::open_sentinel(pid)};
    } catch (std::bad_alloc const&) {
        error = std::make_error_code(std::errc::not_enough_memory);
        return {};
    }
}

} // namespace multiprocessing::inline v0
