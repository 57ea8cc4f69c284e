#pragma once

#include <multiprocessing/platform/clock.hpp>
#include <multiprocessing/platform/handle.hpp>
#include <multiprocessing/platform/self.hpp>

#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>

/// Making, awaiting and ending processes.
namespace multiprocessing::inline v0::platform {

#if defined(MULTIPROCESSING_WINDOWS)
inline constexpr bool has_fork = false;
#else
inline constexpr bool has_fork = true;
#endif

/// A child of this process. `sentinel` becomes ready when it ends, where the system has such handles
/// (Linux: pidfd, Windows: the process handle); invalid_handle where it has not.
struct child_process {
    process_id pid = 0;
    native_handle sentinel = invalid_handle;
};

/// How a process ended, in Python's convention: its exit code, or the negative number of the signal that ended it.
/// `unknown_exit` where somebody else took the status (SIGCHLD is ignored, a foreign wait).
using exit_status = int;
inline constexpr exit_status unknown_exit = 255;

/// Forks. In the parent `pid` is the child's, in the child it is 0. Flushing output before is the caller's business.
inline child_process fork_process(std::error_code& error) noexcept;

/// A program to start: `program` as from executable(), with this environment variable added, and these handles, which
/// keep their values in the child. All other handles are closed there.
struct program {
    std::string executable;
    std::pair<std::string, std::string> variable;
    std::span<native_handle const> inherited;
};

/// Starts a program in a process of its own. The costs do not depend on the memory of this process.
inline child_process start_program(program const& what, std::error_code& error) noexcept;

/// Waits until the child has ended, at most until the deadline, and releases its table entry in the system and the
/// sentinel. Empty: it still runs. Other children are never touched.
inline std::optional<exit_status> wait_process(child_process& child, deadline until) noexcept;

/// SIGTERM, SIGKILL, SIGINT on POSIX; TerminateProcess on Windows. A process that has ended is not an error.
inline void terminate_process(process_id pid, std::error_code& error) noexcept;
inline void kill_process(process_id pid, std::error_code& error) noexcept;
inline void interrupt_process(process_id pid, std::error_code& error) noexcept;

/// Ends this process at once: no destructors, no exit handlers, no flushing.
[[noreturn]] inline void exit_process(int code) noexcept;

/// From now on Ctrl-C does not reach this process. Returns whether it did before.
inline bool ignore_interrupts() noexcept;
/// Ctrl-C ends this process.
inline void obey_interrupts() noexcept;

/// From now on terminate_process ends this process, whatever handler it has inherited, and no signal is blocked.
inline void obey_termination() noexcept;

/// For threads that the program does not know of: signals are handled by others.
inline void block_signals_in_this_thread() noexcept;

/// Replaces standard input by an empty one: children do not compete for the terminal.
inline void close_standard_input() noexcept;

/// Calls `function` in the child of every fork from now on, also of forks that are not ours.
inline void at_fork_in_child(void (*function)()) noexcept;

} // namespace multiprocessing::inline v0::platform

#if defined(MULTIPROCESSING_WINDOWS)
#    include <multiprocessing/platform/windows/process.hpp>
#elif defined(MULTIPROCESSING_MACOS)
#    include <multiprocessing/platform/macos/process.hpp>
#else
#    include <multiprocessing/platform/linux/process.hpp>
#endif
