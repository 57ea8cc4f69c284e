#pragma once

#include <multiprocessing/platform/error.hpp>
#include <multiprocessing/platform/handle.hpp>

#include <cstddef>
#include <system_error>

/// Memory that several processes see, without a name anywhere.
namespace multiprocessing::inline v0::platform {

/// The unit of commit, discard and map.
inline std::size_t page_size() noexcept;

/// A segment of `size` bytes of address space without any memory behind it yet. It lives as long as a process has the
/// handle open or the segment mapped, and vanishes with the last one, however that ended.
inline native_handle create_segment(std::size_t size, std::error_code& error) noexcept;

/// Maps the whole segment; nullptr on failure.
inline std::byte* map_segment(native_handle segment, std::size_t size, std::error_code& error) noexcept;

inline void unmap_segment(std::byte* address, std::size_t size) noexcept;

/// Puts memory behind [offset, offset + size), so that touching it cannot fail later. What is there already is kept,
/// so several processes may do it at once. On failure (no memory, a limit) nothing has changed.
inline void commit_segment(
    native_handle segment, std::byte* mapped, std::size_t offset, std::size_t size, std::error_code& error) noexcept;

/// Gives the memory behind whole pages of [offset, offset + size) back; a later commit finds zeros. May do nothing.
inline void discard_segment(native_handle segment, std::byte* mapped, std::size_t offset, std::size_t size) noexcept;

} // namespace multiprocessing::inline v0::platform

#if defined(MULTIPROCESSING_WINDOWS)
#    include <multiprocessing/platform/windows/memory.hpp>
#elif defined(MULTIPROCESSING_MACOS)
#    include <multiprocessing/platform/macos/memory.hpp>
#else
#    include <multiprocessing/platform/linux/memory.hpp>
#endif
