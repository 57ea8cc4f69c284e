#pragma once

#include <multiprocessing/platform/limits.hpp>
#include <multiprocessing/platform/windows/text.hpp>

#include <cstdlib>
#include <string>

#include <psapi.h>

namespace multiprocessing::inline v0 {

void platform::limit_private_memory(std::uint64_t, std::error_code& error) noexcept {
    error = std::make_error_code(std::errc::function_not_supported);
}

void platform::limit_cpu_time(std::chrono::seconds, std::error_code& error) noexcept {
    error = std::make_error_code(std::errc::function_not_supported);
}

void platform::add_niceness(int difference, std::error_code& error) noexcept {
    error.clear();
    if (difference == 0) return;
    DWORD const priority = difference >= 10   ? IDLE_PRIORITY_CLASS
                           : difference > 0   ? BELOW_NORMAL_PRIORITY_CLASS
                           : difference > -10 ? ABOVE_NORMAL_PRIORITY_CLASS
                                              : HIGH_PRIORITY_CLASS;
    if (!::SetPriorityClass(::GetCurrentProcess(), priority)) error = last_error();
}

std::vector<int> platform::usable_processors() {
    std::vector<int> processors;
    DWORD_PTR mine = 0, all = 0; // both 0 in a process that runs in several processor groups
    if (!::GetProcessAffinityMask(::GetCurrentProcess(), &mine, &all)) return processors;
    for (int i = 0; i < static_cast<int>(8 * sizeof mine); ++i) {
        if ((mine >> i & 1) != 0) processors.push_back(i);
    }
    return processors;
}

void platform::run_only_on(std::span<int const> processors, std::error_code& error) {
    error = std::make_error_code(std::errc::invalid_argument);
    DWORD_PTR mask = 0;
    for (int const processor : processors) {
        if (processor < 0 || processor >= static_cast<int>(8 * sizeof mask)) return;
        mask |= DWORD_PTR{1} << processor;
    }
    error.clear();
    if (!::SetProcessAffinityMask(::GetCurrentProcess(), mask)) error = last_error();
}

void platform::limit_library_threads(int count, std::error_code& error) {
    error.clear();
    std::wstring const text = std::to_wstring(count);
    for (char const* const name : thread_count_variables) {
        if (::_wputenv_s(windows::to_wide(name).c_str(), text.c_str()) != 0) // sets that of the system as well
            error = std::make_error_code(std::errc::not_enough_memory);
    }
}

std::uint64_t platform::resident_memory() noexcept {
    PROCESS_MEMORY_COUNTERS counters{};
    bool const known = ::K32GetProcessMemoryInfo(::GetCurrentProcess(), &counters, sizeof counters) != 0;
    return known ? counters.WorkingSetSize : 0;
}

} // namespace multiprocessing::inline v0
