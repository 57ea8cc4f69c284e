// Written from Apple's documentation; never compiled or run. Reports are welcome.
#pragma once

#include <multiprocessing/platform/posix/limits.hpp>

#include <mach/mach.h>

namespace multiprocessing::inline v0 {

void platform::limit_private_memory(std::uint64_t, std::error_code& error) noexcept {
    error = std::make_error_code(std::errc::function_not_supported); // limits can be set, but nobody enforces them
}

std::vector<int> platform::usable_processors() { return {}; }

void platform::run_only_on(std::span<int const>, std::error_code& error) {
    error = std::make_error_code(std::errc::function_not_supported);
}

void platform::limit_library_threads(int count, std::error_code& error) {
    posix::set_thread_count_variables(count, error);
}

std::uint64_t platform::resident_memory() noexcept {
    task_vm_info_data_t info{};
    mach_msg_type_number_t count = TASK_VM_INFO_COUNT;
    auto const result = ::task_info(mach_task_self(), TASK_VM_INFO, reinterpret_cast<task_info_t>(&info), &count);
    return result == KERN_SUCCESS ? info.phys_footprint : 0;
}

} // namespace multiprocessing::inline v0
