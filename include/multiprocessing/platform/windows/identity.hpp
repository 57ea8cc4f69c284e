#pragma once

#include <multiprocessing/platform/windows/api.hpp>

#include <cstdint>

/// Process ids are reused within seconds here. Together with the time of its birth an id names a process for good.
namespace multiprocessing::inline v0::platform::windows {

/// The process id in the lower half, the lower half of the time of birth (in units of 100 ns) in the upper. 0 is nobody.
using identity = std::uint64_t;

inline DWORD pid_of(identity process) noexcept { return static_cast<DWORD>(process); }

/// Who is behind a handle; its upper half is 0 if that cannot be asked.
inline identity identity_of(HANDLE process, DWORD pid) noexcept {
    FILETIME birth{}, end{}, kernel{}, user{};
    if (!::GetProcessTimes(process, &birth, &end, &kernel, &user)) return pid;
    return (identity{birth.dwLowDateTime} << 32) | pid;
}

inline identity own_identity() noexcept {
    static identity const own = identity_of(::GetCurrentProcess(), ::GetCurrentProcessId());
    return own;
}

/// A handle of a process, by which one can at least tell whether it lives; null if it is not there any more. `doubt`: it
/// may be there, but cannot be opened.
inline HANDLE open_process(identity process, bool& doubt, DWORD further_rights = 0) noexcept {
    DWORD const rights = SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION | further_rights;
    HANDLE const handle = ::OpenProcess(rights, FALSE, pid_of(process));
    doubt = handle == nullptr && ::GetLastError() != ERROR_INVALID_PARAMETER;
    if (handle == nullptr || identity_of(handle, pid_of(process)) == process) return handle;
    ::CloseHandle(handle); // another one got its number
    return nullptr;
}

inline bool has_ended(HANDLE process) noexcept { return ::WaitForSingleObject(process, 0) == WAIT_OBJECT_0; }

/// Whether a process lives; in doubt it does.
inline bool is_alive(identity process) noexcept {
    if (process == 0 || process == own_identity()) return process != 0;
    bool doubt = false;
    HANDLE const handle = open_process(process, doubt);
    if (handle == nullptr) return doubt;
    bool const ended = has_ended(handle);
    ::CloseHandle(handle);
    return !ended;
}

} // namespace multiprocessing::inline v0::platform::windows
