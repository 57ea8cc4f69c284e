#pragma once

#include <multiprocessing/platform/handle.hpp>

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

namespace multiprocessing::inline v0 {

namespace platform::posix {

/// The descriptor itself, or a copy of it if it has the number of a standard stream, because the program was started
/// without that one: people print to it, and children replace their standard input.
inline int beyond_standard_streams(int descriptor) noexcept {
    if (descriptor < 0 || descriptor > STDERR_FILENO) return descriptor;
    int const copy = ::fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int const failure = errno;
    ::close(descriptor);
    errno = failure;
    return copy;
}

} // namespace platform::posix

void platform::close(native_handle handle) noexcept {
    if (handle != invalid_handle) ::close(handle); // not repeated after EINTR: the descriptor is gone then
}

platform::native_handle platform::duplicate(native_handle handle, std::error_code& error) noexcept {
    int const copy = ::fcntl(handle, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    error = copy < 0 ? std::error_code(errno, std::generic_category()) : std::error_code();
    return copy;
}

} // namespace multiprocessing::inline v0
