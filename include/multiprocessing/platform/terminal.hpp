#pragma once

#include <multiprocessing/config.hpp>

#include <cstdio>
#include <optional>

namespace multiprocessing::inline v0::platform {

/// How many columns the terminal has that the stream is shown on, 80 if it does not say. Empty: the stream goes elsewhere, or
/// to a terminal where a line cannot be written over (TERM=dumb).
inline std::optional<unsigned> terminal_width(std::FILE* stream) noexcept;

} // namespace multiprocessing::inline v0::platform

#if defined(MULTIPROCESSING_WINDOWS)
#    include <multiprocessing/platform/windows/terminal.hpp>
#else
#    include <multiprocessing/platform/posix/terminal.hpp>
#endif
