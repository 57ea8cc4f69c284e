#pragma once

#include <multiprocessing/platform/self.hpp>
#include <multiprocessing/platform/windows/text.hpp>

#include <algorithm>
#include <bit>
#include <cstdlib>

namespace multiprocessing::inline v0 {

platform::process_id platform::current_process_id() noexcept {
    return static_cast<process_id>(::GetCurrentProcessId());
}

std::uint64_t platform::current_thread_id() noexcept { return ::GetCurrentThreadId(); }

std::string platform::executable() {
    std::wstring path(MAX_PATH, L'\0');
    for (;;) { // a path that does not fit is cut off, which shows only in its length
        DWORD const length = ::GetModuleFileNameW(nullptr, path.data(), static_cast<DWORD>(path.size()));
        if (length < path.size()) return windows::to_utf8({path.data(), length});
        path.resize(path.size() * 2);
    }
}

unsigned platform::cpu_count() noexcept {
    return std::max(1u, static_cast<unsigned>(::GetActiveProcessorCount(ALL_PROCESSOR_GROUPS)));
}

unsigned platform::process_cpu_count() noexcept {
    DWORD_PTR mine = 0, all = 0;
    unsigned usable = cpu_count();
    // Both masks are 0 in a process that runs in several processor groups.
    if (::GetProcessAffinityMask(::GetCurrentProcess(), &mine, &all) && mine != 0) {
        usable = static_cast<unsigned>(std::popcount(static_cast<std::uint64_t>(mine)));
    }
    // A container limits processors by its job object: a hard cap in hundredths of a per cent of the machine.
    JOBOBJECT_CPU_RATE_CONTROL_INFORMATION rate{};
    constexpr DWORD capped = JOB_OBJECT_CPU_RATE_CONTROL_ENABLE | JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP;
    if (::QueryInformationJobObject(nullptr, JobObjectCpuRateControlInformation, &rate, sizeof rate, nullptr) &&
        (rate.ControlFlags & capped) == capped) {
        auto const share = static_cast<std::uint64_t>(rate.CpuRate) * cpu_count();
        usable = std::min(usable, static_cast<unsigned>((share + 9999) / 10000));
    }
    return std::max(1u, usable);
}

std::optional<std::string> platform::take_environment(char const* name) {
    std::wstring const key = windows::to_wide(name);
    std::wstring value(256, L'\0');
    for (;;) {
        ::SetLastError(ERROR_SUCCESS);
        DWORD const length = ::GetEnvironmentVariableW(key.c_str(), value.data(), static_cast<DWORD>(value.size()));
        if (length == 0 && ::GetLastError() == ERROR_ENVVAR_NOT_FOUND) return std::nullopt;
        if (length < value.size()) {
            value.resize(length);
            break;
        }
        value.resize(length);
    }
    ::SetEnvironmentVariableW(key.c_str(), nullptr);
    ::_wputenv((key + L"=").c_str()); // the copy that std::getenv reads
    return windows::to_utf8(value);
}

} // namespace multiprocessing::inline v0
