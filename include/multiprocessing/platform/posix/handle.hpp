#pragma once

#include <multiprocessing/platform/handle.hpp>

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

namespace multiprocessing::inline v0 {

void platform::close(native_handle handle) noexcept {
    if (handle != invalid_handle) ::close(handle); // not repeated after EINTR: the descriptor is gone then
}

platform::native_handle platform::duplicate(native_handle handle, std::error_code& error) noexcept {
    int const copy = ::fcntl(handle, F_DUPFD_CLOEXEC, 0);
    error = copy < 0 ? std::error_code(errno, std::generic_category()) : std::error_code();
    return copy;
}

} // namespace multiprocessing::inline v0
