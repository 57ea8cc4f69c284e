#pragma once

#include <multiprocessing/config.hpp>

#include <string>
#include <system_error>

namespace multiprocessing::inline v0::platform {

/// What the last call of this thread into the system complained about.
inline std::error_code last_error() noexcept;

/// "SIGKILL" for 9; empty where the number is no signal of this system.
inline std::string signal_name(int number);

} // namespace multiprocessing::inline v0::platform

#if defined(MULTIPROCESSING_WINDOWS)
#    include <multiprocessing/platform/windows/error.hpp>
#else
#    include <multiprocessing/platform/posix/error.hpp>
#endif
