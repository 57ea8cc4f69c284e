#pragma once

#include <multiprocessing/platform/terminal.hpp>
#include <multiprocessing/platform/windows/api.hpp>

#include <cstdint>

#include <io.h>

namespace multiprocessing::inline v0 {

std::optional<unsigned> platform::terminal_width(std::FILE* stream) noexcept {
    int const descriptor = ::_fileno(stream);
    if (descriptor < 0) return std::nullopt;
    auto const handle = reinterpret_cast<HANDLE>(static_cast<std::intptr_t>(::_get_osfhandle(descriptor)));
    CONSOLE_SCREEN_BUFFER_INFO console{}; // only consoles have it
    if (!::GetConsoleScreenBufferInfo(handle, &console)) return std::nullopt;
    int const width = console.srWindow.Right - console.srWindow.Left + 1;
    return width > 0 ? static_cast<unsigned>(width) : 80U;
}

} // namespace multiprocessing::inline v0
