#pragma once

#include <multiprocessing/config.hpp>

#include <cstdio>
#include <string>
#include <system_error>

namespace multiprocessing::inline v0::platform {

/// Opens a file to be written, empty whatever was in it, which no other program inherits. The path is UTF-8. The stream
/// holds nothing back, so that a forked copy of this process has nothing to write a second time. Null on errors.
inline std::FILE* create_file(std::string const& path, std::error_code& error) noexcept;

} // namespace multiprocessing::inline v0::platform

#if defined(MULTIPROCESSING_WINDOWS)
#    include <multiprocessing/platform/windows/file.hpp>
#else
#    include <multiprocessing/platform/posix/file.hpp>
#endif
