#pragma once

#include <multiprocessing/platform/handle.hpp>
#include <multiprocessing/platform/windows/api.hpp>

namespace multiprocessing::inline v0 {

void platform::close(native_handle handle) noexcept {
    if (handle != invalid_handle && handle != INVALID_HANDLE_VALUE) ::CloseHandle(handle);
}

platform::native_handle platform::duplicate(native_handle handle, std::error_code& error) noexcept {
    HANDLE const self = ::GetCurrentProcess();
    HANDLE copy = invalid_handle;
    error.clear();
    // -1 is not refused by the system: there it is the pseudo handle of the process.
    if (handle == invalid_handle || handle == INVALID_HANDLE_VALUE) {
        error = std::make_error_code(std::errc::bad_file_descriptor);
    } else if (!::DuplicateHandle(self, handle, self, &copy, 0, FALSE, DUPLICATE_SAME_ACCESS)) {
        error = windows::make_error(::GetLastError());
    }
    return copy;
}

} // namespace multiprocessing::inline v0
