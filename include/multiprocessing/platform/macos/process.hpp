// Written from Apple's documentation; never compiled or run. Reports are welcome.
#pragma once

#include <multiprocessing/platform/posix/process.hpp>

#include <new>
#include <string>
#include <string_view>
#include <vector>

#include <crt_externs.h>
#include <spawn.h>
#include <sys/event.h>

namespace multiprocessing::inline v0 {

namespace detail {

/// A kernel queue that becomes readable when the child ends; none if it has ended already.
inline int open_sentinel(pid_t child) noexcept {
    int const queue = platform::posix::beyond_standard_streams(::kqueue()); // not inherited by a fork
    if (queue < 0) return platform::invalid_handle;
    ::fcntl(queue, F_SETFD, FD_CLOEXEC);
    struct kevent change {};
    EV_SET(&change, static_cast<uintptr_t>(child), EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, nullptr);
    if (::kevent(queue, &change, 1, nullptr, 0, nullptr) == 0) return queue;
    ::close(queue);
    return platform::invalid_handle;
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
        std::string const prefix = what.variable.first + '=';
        std::string const added = prefix + what.variable.second;
        std::vector<char*> environment;
        for (char** entry = *::_NSGetEnviron(); entry != nullptr && *entry != nullptr; ++entry) {
            if (!std::string_view(*entry).starts_with(prefix)) environment.push_back(*entry);
        }
        environment.push_back(const_cast<char*>(added.c_str()));
        environment.push_back(nullptr);
        char* arguments[] = {const_cast<char*>(what.executable.c_str()), nullptr};

        posix_spawnattr_t attributes;
        posix_spawn_file_actions_t actions;
        ::posix_spawnattr_init(&attributes);
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_CLOEXEC_DEFAULT); // only what is listed is inherited
        for (int const standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
            if (::fcntl(standard, F_GETFD) >= 0) ::posix_spawn_file_actions_addinherit_np(&actions, standard);
        }
        for (auto const handle : what.inherited) ::posix_spawn_file_actions_addinherit_np(&actions, handle);
        pid_t pid = 0;
        int const failure =
            ::posix_spawn(&pid, what.executable.c_str(), &actions, &attributes, arguments, environment.data());
        ::posix_spawn_file_actions_destroy(&actions);
        ::posix_spawnattr_destroy(&attributes);
        error.assign(failure, std::generic_category());
        if (failure != 0) return {};
        return {pid, detail::open_sentinel(pid)};
    } catch (std::bad_alloc const&) {
        error = std::make_error_code(std::errc::not_enough_memory);
        return {};
    }
}

} // namespace multiprocessing::inline v0
