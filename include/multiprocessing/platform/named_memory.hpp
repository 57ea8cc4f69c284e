#pragma once

#include <multiprocessing/platform/error.hpp>
#include <multiprocessing/platform/handle.hpp>

#include <cstddef>
#include <string>
#include <system_error>

/// Blocks of shared memory that unrelated processes find by a name, as CPython names them.
namespace multiprocessing::inline v0::platform {

/// What CPython puts in front of a name that it makes up; the names are this short because some systems allow 31 letters.
#if defined(MULTIPROCESSING_WINDOWS)
inline constexpr char made_up_prefix[] = "wnsm_";
#else
inline constexpr char made_up_prefix[] = "psm_";
#endif

struct named_block {
    native_handle handle = invalid_handle;
    std::byte* address = nullptr;
    std::size_t size = 0; ///< as the system has it: some round up to pages
};

/// Creates a block of zeros and maps it; file_exists if the name is taken. `reserve`: puts memory behind all of it now,
/// so that touching it cannot fail later.
inline named_block
create_named_block(std::string const& name, std::size_t size, bool reserve, std::error_code& error) noexcept;

/// Maps a block that exists; no_such_file_or_directory if there is none.
inline named_block open_named_block(std::string const& name, std::error_code& error) noexcept;

/// Unmaps and closes; the block goes on to exist where names keep blocks alive.
inline void close_named_block(named_block& block) noexcept;

/// Removes the name. Does nothing on Windows, where a block ends with its last user.
inline void unlink_named_block(std::string const& name, std::error_code& error) noexcept;

} // namespace multiprocessing::inline v0::platform

#if defined(MULTIPROCESSING_WINDOWS)
#    include <multiprocessing/platform/windows/named_memory.hpp>
#else
#    include <multiprocessing/platform/posix/named_memory.hpp>
#endif
