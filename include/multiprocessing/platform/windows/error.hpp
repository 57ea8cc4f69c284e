#pragma once

#include <multiprocessing/platform/error.hpp>
#include <multiprocessing/platform/windows/api.hpp>

namespace multiprocessing::inline v0 {

std::error_code platform::last_error() noexcept { return windows::make_error(::GetLastError()); }

std::string platform::signal_name(int number) {
    switch (number) { // the numbers that exit statuses use (see process.hpp) and those of <csignal> here
    case 2: return "SIGINT";
    case 4: return "SIGILL";
    case 6:
    case 22: return "SIGABRT";
    case 8: return "SIGFPE";
    case 9: return "SIGKILL";
    case 11: return "SIGSEGV";
    case 15: return "SIGTERM";
    case 21: return "SIGBREAK";
    default: return {};
    }
}

} // namespace multiprocessing::inline v0
