#pragma once

#include <multiprocessing/platform/terminal.hpp>

#include <cstdlib>
#include <cstring>

#include <sys/ioctl.h>
#include <unistd.h>

namespace multiprocessing::inline v0 {

std::optional<unsigned> platform::terminal_width(std::FILE* stream) noexcept {
    int const descriptor = ::fileno(stream);
    if (descriptor < 0 || ::isatty(descriptor) == 0) return std::nullopt;
    char const* const kind = std::getenv("TERM");
    if (kind != nullptr && std::strcmp(kind, "dumb") == 0) return std::nullopt;
    struct winsize size {};
    bool const known = ::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80U;
}

} // namespace multiprocessing::inline v0
