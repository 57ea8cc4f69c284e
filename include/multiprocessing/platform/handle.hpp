#pragma once

#include <multiprocessing/config.hpp>

#include <system_error>

/// What the operating system calls an open thing: a descriptor on POSIX, a HANDLE on Windows.
/// Every handle of this library is born non-inheritable; inheritance is an explicit list at `start_program`.
namespace multiprocessing::inline v0::platform {

#if defined(MULTIPROCESSING_WINDOWS)
using native_handle = void*;
inline constexpr native_handle invalid_handle = nullptr;
#else
using native_handle = int;
inline constexpr native_handle invalid_handle = -1;
#endif

/// Closes a handle; an invalid one is accepted and ignored.
inline void close(native_handle handle) noexcept;

/// A second, non-inheritable handle of the same open thing.
inline native_handle duplicate(native_handle handle, std::error_code& error) noexcept;

} // namespace multiprocessing::inline v0::platform

#if defined(MULTIPROCESSING_WINDOWS)
#    include <multiprocessing/platform/windows/handle.hpp>
#else
#    include <multiprocessing/platform/posix/handle.hpp>
#endif
