#pragma once

#include <multiprocessing/config.hpp>

#include <cstddef>
#include <span>
#include <system_error>

namespace multiprocessing::inline v0::platform {

/// Fills `bytes` with random bytes that are good enough for keys. Blocks only at the start of the machine.
inline void random_bytes(std::span<std::byte> bytes, std::error_code& error) noexcept;

} // namespace multiprocessing::inline v0::platform

#if defined(MULTIPROCESSING_WINDOWS)
#    include <multiprocessing/platform/windows/random.hpp>
#else
#    include <multiprocessing/platform/posix/random.hpp>
#endif
