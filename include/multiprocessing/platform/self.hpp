#pragma once

#include <multiprocessing/config.hpp>

#include <cstdint>
#include <optional>
#include <string>

/// What a process can say about itself.
namespace multiprocessing::inline v0::platform {

using process_id = std::int64_t;

/// The id of this process. Never cached over a fork.
inline process_id current_process_id() noexcept;

/// An id of the calling thread that no other living thread of the machine has.
inline std::uint64_t current_thread_id() noexcept;

/// The program that runs here, in a form that `start_program` takes; it works although the file was renamed or replaced.
inline std::string executable();

/// Processors of the machine, at least 1.
inline unsigned cpu_count() noexcept;

/// Processors that this process may use: the affinity mask and the quota of its control group count. At least 1.
inline unsigned process_cpu_count() noexcept;

/// Removes a variable from the environment and returns what it held.
inline std::optional<std::string> take_environment(char const* name);

} // namespace multiprocessing::inline v0::platform

#if defined(MULTIPROCESSING_WINDOWS)
#    include <multiprocessing/platform/windows/self.hpp>
#elif defined(MULTIPROCESSING_MACOS)
#    include <multiprocessing/platform/macos/self.hpp>
#else
#    include <multiprocessing/platform/linux/self.hpp>
#endif
