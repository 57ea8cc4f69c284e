#pragma once

#include <multiprocessing/platform/error.hpp>
#include <multiprocessing/platform/process.hpp>
#include <multiprocessing/platform/windows/text.hpp>
#include <multiprocessing/platform/windows/wait.hpp>

#include <algorithm>
#include <cwchar>
#include <memory>
#include <mutex>
#include <vector>

#include <fcntl.h>
#include <io.h>

namespace multiprocessing::inline v0 {

namespace platform::windows {

/// The exit code that stands for a termination, the one that Python uses, and what it reports then: -SIGTERM.
inline constexpr DWORD terminated_code = 0x10000;

inline exit_status status_of(DWORD code) noexcept {
    if (code == terminated_code) return -15;
    if (code == EXCEPTION_ACCESS_VIOLATION) return -11;
    return static_cast<exit_status>(code); // other crashes are 0xC…, which is negative
}

/// The job that all children of this process are in: when the last handle of it is closed, at the latest when this
/// process ends, however it ends, the system ends them and their children.
inline HANDLE children_job() noexcept {
    static HANDLE const job = [] {
        HANDLE const created = ::CreateJobObjectW(nullptr, nullptr);
        JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits{};
        limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
        if (created != nullptr &&
            !::SetInformationJobObject(created, JobObjectExtendedLimitInformation, &limits, sizeof limits)) {
            ::CloseHandle(created);
            return HANDLE{};
        }
        return created;
    }();
    return job;
}

/// The environment of this process with one variable added, in the form of CreateProcess: sorted by name.
inline std::vector<wchar_t> environment_with(std::wstring const& name, std::wstring const& value) {
    std::unique_ptr<wchar_t, BOOL(WINAPI*)(wchar_t*)> const block(
        ::GetEnvironmentStringsW(), ::FreeEnvironmentStringsW);
    std::vector<wchar_t> result;
    auto const add = [&result](std::wstring const& entry) {
        result.insert(result.end(), entry.c_str(), entry.c_str() + entry.size() + 1);
    };
    bool added = false;
    for (wchar_t const* next = block.get(); next != nullptr && *next != L'\0'; next += std::wcslen(next) + 1) {
        std::wstring const entry = next;
        std::wstring const key = entry.substr(0, entry.find(L'=', 1)); // the name of a hidden entry begins with '='
        int const order = ::CompareStringOrdinal(key.c_str(), -1, name.c_str(), -1, TRUE);
        if (order == CSTR_EQUAL) continue;
        if (!added && order == CSTR_GREATER_THAN && key.front() != L'=') {
            add(name + L"=" + value);
            added = true;
        }
        add(entry);
    }
    if (!added) add(name + L"=" + value);
    result.push_back(L'\0');
    return result;
}

/// Makes handles inheritable as long as it lives. Only one start at a time may do that.
class inheritance {
public:
    explicit inheritance(std::vector<HANDLE> const& handles) : lock_(mutex()) {
        changed_.reserve(handles.size());
        for (HANDLE const handle : handles) {
            DWORD flags = 0;
            if (!::GetHandleInformation(handle, &flags) || (flags & HANDLE_FLAG_INHERIT) != 0) continue;
            if (::SetHandleInformation(handle, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT)) changed_.push_back(handle);
        }
    }
    ~inheritance() {
        for (HANDLE const handle : changed_) ::SetHandleInformation(handle, HANDLE_FLAG_INHERIT, 0);
    }
    inheritance(inheritance const&) = delete;
    inheritance& operator=(inheritance const&) = delete;

private:
    static std::mutex& mutex() {
        static std::mutex one;
        return one;
    }

    std::lock_guard<std::mutex> lock_;
    std::vector<HANDLE> changed_;
};

/// The attributes of a start: which handles are inherited, and the job the child is born into (Windows 10).
class start_attributes {
public:
    start_attributes(std::vector<HANDLE>& handles, HANDLE& job) {
        SIZE_T size = 0;
        ::InitializeProcThreadAttributeList(nullptr, 2, 0, &size);
        storage_.resize(size);
        constexpr DWORD_PTR job_list = 0x2000D; // PROC_THREAD_ATTRIBUTE_JOB_LIST, which older headers lack
        ready_ = ::InitializeProcThreadAttributeList(list(), 2, 0, &size) != 0;
        good_ = ready_ &&
                (handles.empty() || ::UpdateProcThreadAttribute(
                                        list(),
                                        0,
                                        PROC_THREAD_ATTRIBUTE_HANDLE_LIST,
                                        handles.data(),
                                        handles.size() * sizeof(HANDLE),
                                        nullptr,
                                        nullptr) != 0) &&
                ::UpdateProcThreadAttribute(list(), 0, job_list, &job, sizeof job, nullptr, nullptr) != 0;
    }
    ~start_attributes() {
        if (ready_) ::DeleteProcThreadAttributeList(list());
    }
    start_attributes(start_attributes const&) = delete;
    start_attributes& operator=(start_attributes const&) = delete;

    bool good() const noexcept { return good_; }
    LPPROC_THREAD_ATTRIBUTE_LIST list() noexcept {
        return reinterpret_cast<LPPROC_THREAD_ATTRIBUTE_LIST>(storage_.data());
    }

private:
    std::vector<std::byte> storage_;
    bool ready_ = false;
    bool good_ = false;
};

inline child_process start(program const& what, std::error_code& error) {
    HANDLE job = children_job();
    if (job == nullptr) {
        error = last_error();
        return {};
    }
    STARTUPINFOEXW startup{};
    startup.StartupInfo.cb = sizeof startup;
    startup.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
    startup.StartupInfo.hStdInput = ::GetStdHandle(STD_INPUT_HANDLE);
    startup.StartupInfo.hStdOutput = ::GetStdHandle(STD_OUTPUT_HANDLE);
    startup.StartupInfo.hStdError = ::GetStdHandle(STD_ERROR_HANDLE);

    // The list of inherited handles may hold none twice, and none that is not valid.
    std::vector<HANDLE> handles(what.inherited.begin(), what.inherited.end());
    for (HANDLE const standard :
         {startup.StartupInfo.hStdInput, startup.StartupInfo.hStdOutput, startup.StartupInfo.hStdError}) {
        DWORD flags = 0;
        if (standard != nullptr && ::GetHandleInformation(standard, &flags)) handles.push_back(standard);
    }
    std::sort(handles.begin(), handles.end());
    handles.erase(std::unique(handles.begin(), handles.end()), handles.end());

    std::wstring const image = to_wide(what.executable);
    std::wstring command_line = ::GetCommandLineW();
    auto environment = environment_with(to_wide(what.variable.first), to_wide(what.variable.second));
    inheritance const inheritable(handles);
    start_attributes attributes(handles, job);
    if (!attributes.good()) {
        error = last_error();
        return {};
    }
    startup.lpAttributeList = attributes.list();
    PROCESS_INFORMATION made{};
    // A child that crashes must not wait for somebody to close a dialogue; it inherits this mode.
    UINT const mode = ::SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
    ::SetErrorMode(mode | SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
    BOOL const started = ::CreateProcessW(
        image.c_str(),
        command_line.data(),
        nullptr,
        nullptr,
        handles.empty() ? FALSE : TRUE,
        EXTENDED_STARTUPINFO_PRESENT | CREATE_UNICODE_ENVIRONMENT,
        environment.data(),
        nullptr,
        &startup.StartupInfo,
        &made);
    error = started ? std::error_code() : last_error();
    ::SetErrorMode(mode);
    if (!started) return {};
    ::CloseHandle(made.hThread);
    return {static_cast<process_id>(made.dwProcessId), made.hProcess};
}

} // namespace platform::windows

platform::child_process platform::fork_process(std::error_code& error) noexcept {
    error = std::make_error_code(std::errc::not_supported);
    return {};
}

platform::child_process platform::start_program(program const& what, std::error_code& error) noexcept {
    try {
        return windows::start(what, error);
    } catch (...) { // only memory can be missing
        error = std::make_error_code(std::errc::not_enough_memory);
        return {};
    }
}

std::optional<platform::exit_status> platform::wait_process(child_process& child, deadline until) noexcept {
    if (child.sentinel == invalid_handle) return unknown_exit;
    if (!windows::wait_object(child.sentinel, until)) return std::nullopt;
    DWORD code = 0;
    bool const known = ::GetExitCodeProcess(child.sentinel, &code) != 0;
    ::CloseHandle(child.sentinel);
    child.sentinel = invalid_handle;
    return known ? windows::status_of(code) : unknown_exit;
}

void platform::terminate_process(process_id pid, std::error_code& error) noexcept {
    error.clear();
    HANDLE const process = ::OpenProcess(PROCESS_TERMINATE | SYNCHRONIZE, FALSE, static_cast<DWORD>(pid));
    if (process == nullptr) {
        if (::GetLastError() != ERROR_INVALID_PARAMETER) error = last_error(); // no process has this id any more
        return;
    }
    if (!::TerminateProcess(process, windows::terminated_code)) {
        error = last_error();
        if (::WaitForSingleObject(process, 0) == WAIT_OBJECT_0) error.clear(); // it has ended
    }
    ::CloseHandle(process);
}

void platform::kill_process(process_id pid, std::error_code& error) noexcept { terminate_process(pid, error); }

void platform::interrupt_process(process_id pid, std::error_code& error) noexcept { terminate_process(pid, error); }

void platform::exit_process(int code) noexcept {
    ::TerminateProcess(::GetCurrentProcess(), static_cast<UINT>(code));
    for (;;) ::Sleep(INFINITE);
}

bool platform::ignore_interrupts() noexcept {
    ::SetConsoleCtrlHandler(nullptr, TRUE);
    return true;
}

void platform::obey_interrupts() noexcept { ::SetConsoleCtrlHandler(nullptr, FALSE); }

void platform::obey_termination() noexcept {}             // TerminateProcess asks nobody
void platform::block_signals_in_this_thread() noexcept {} // there are none

void platform::close_standard_input() noexcept {
    int const empty = ::_wopen(L"NUL", _O_RDONLY | _O_NOINHERIT);
    if (empty < 0) return;
    if (empty != 0) {
        ::_dup2(empty, 0);
        ::_close(empty);
    }
    ::SetStdHandle(STD_INPUT_HANDLE, reinterpret_cast<HANDLE>(::_get_osfhandle(0)));
}

void platform::at_fork_in_child(void (*)()) noexcept {}

} // namespace multiprocessing::inline v0
