#pragma once

#include <multiprocessing/platform/clock.hpp>
#include <multiprocessing/platform/handle.hpp>

#include <cstddef>
#include <span>
#include <system_error>

namespace multiprocessing::inline v0::platform {

/// Waits until one of the handles is readable, has ended (a process, a stream), or the deadline passes.
/// Sets ready[i] for each that is; returns how many are, 0 after the deadline.
inline std::size_t
poll(std::span<native_handle const> handles, std::span<bool> ready, deadline until, std::error_code& error) noexcept;

} // namespace multiprocessing::inline v0::platform

#if defined(MULTIPROCESSING_WINDOWS)
#    include <multiprocessing/platform/windows/poll.hpp>
#else
#    include <multiprocessing/platform/posix/poll.hpp>
#endif
