#pragma once

#include <system_error>

// The only place that includes <windows.h>: lean, without its min and max, for Windows 8 and later.
#if !defined(WIN32_LEAN_AND_MEAN)
#    define WIN32_LEAN_AND_MEAN
#endif
#if !defined(NOMINMAX)
#    define NOMINMAX
#endif
#if !defined(_WIN32_WINNT)
#    define _WIN32_WINNT 0x0602
#endif
#include <windows.h>

namespace multiprocessing::inline v0::platform::windows {

/// A Windows error as an error code. Those that the layers above ask for by name are portable ones.
inline std::error_code make_error(DWORD number) noexcept {
    switch (number) {
    case ERROR_BROKEN_PIPE:
    case ERROR_NO_DATA:
    case ERROR_PIPE_NOT_CONNECTED: return std::make_error_code(std::errc::broken_pipe);
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_OUTOFMEMORY:
    case ERROR_COMMITMENT_LIMIT:
    case ERROR_NO_SYSTEM_RESOURCES: return std::make_error_code(std::errc::not_enough_memory);
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND: return std::make_error_code(std::errc::no_such_file_or_directory);
    case ERROR_ALREADY_EXISTS:
    case ERROR_FILE_EXISTS: return std::make_error_code(std::errc::file_exists);
    case ERROR_ACCESS_DENIED: return std::make_error_code(std::errc::permission_denied);
    case ERROR_INVALID_HANDLE: return std::make_error_code(std::errc::bad_file_descriptor);
    case ERROR_INVALID_PARAMETER: return std::make_error_code(std::errc::invalid_argument);
    case ERROR_TOO_MANY_OPEN_FILES: return std::make_error_code(std::errc::too_many_files_open);
    default: return {static_cast<int>(number), std::system_category()};
    }
}

} // namespace multiprocessing::inline v0::platform::windows
