#pragma once

#include <multiprocessing/platform/channel.hpp>
#include <multiprocessing/platform/windows/api.hpp>

#include <cstddef>
#include <cwctype>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// The local sockets of Windows are named pipes: bytes in both directions, with the frames that sockets have as well.
namespace multiprocessing::inline v0::platform::windows {

/// The longest name that a pipe can have, and how it begins.
inline constexpr std::size_t longest_pipe_name = 256;
inline constexpr std::wstring_view pipe_prefix = L"\\\\.\\pipe\\";

/// The name of the event of who listens at a pipe. The pipe itself is there for as long as any connection is, and then
/// looks busy for ever.
inline std::wstring sign_of_life(std::wstring_view pipe) {
    std::wstring name = L"Global\\pipe:"; // pipes too are seen in all sessions
    if (pipe.starts_with(pipe_prefix)) pipe.remove_prefix(pipe_prefix.size());
    for (wchar_t const c : pipe) { // large and small letters are the same in the name of a pipe only
        name += c == L'\\' ? L'/' : static_cast<wchar_t>(std::towlower(c));
    }
    return name;
}

/// The event that a listener is ready by. Null if another one listens there.
inline HANDLE make_sign_of_life(std::wstring_view pipe, std::error_code& error) {
    if (pipe.size() > longest_pipe_name) {
        error = std::make_error_code(std::errc::filename_too_long);
        return nullptr;
    }
    HANDLE const event = ::CreateEventW(nullptr, TRUE, FALSE, sign_of_life(pipe).c_str());
    DWORD const failure = ::GetLastError();
    error.clear();
    if (event != nullptr && failure != ERROR_ALREADY_EXISTS) return event;
    bool const in_use = event != nullptr || failure == ERROR_ACCESS_DENIED;
    error = in_use ? std::make_error_code(std::errc::address_in_use) : make_error(failure);
    if (event != nullptr) ::CloseHandle(event);
    return nullptr;
}

inline bool somebody_listens(std::wstring_view pipe) {
    if (!pipe.starts_with(pipe_prefix)) return true; // on another machine: not to be seen from here
    HANDLE const event = ::OpenEventW(SYNCHRONIZE, FALSE, sign_of_life(pipe).c_str());
    if (event == nullptr) return ::GetLastError() == ERROR_ACCESS_DENIED;
    ::CloseHandle(event);
    return true;
}

/// Admits the user that this process runs for, and nobody else: by default everybody may read from a new pipe.
class only_this_user {
public:
    explicit only_this_user(std::error_code& error) {
        HANDLE token = nullptr;
        if (!::OpenProcessToken(::GetCurrentProcess(), TOKEN_QUERY, &token)) {
            error = make_error(::GetLastError());
            return;
        }
        DWORD size = 0;
        ::GetTokenInformation(token, TokenUser, nullptr, 0, &size);
        user_.resize(size);
        bool good = ::GetTokenInformation(token, TokenUser, user_.data(), size, &size) != 0;
        if (good) {
            PSID const sid = reinterpret_cast<TOKEN_USER const*>(user_.data())->User.Sid;
            DWORD const length = static_cast<DWORD>(sizeof(ACL) + sizeof(ACCESS_ALLOWED_ACE)) + ::GetLengthSid(sid);
            list_.resize(length);
            auto* const list = reinterpret_cast<ACL*>(list_.data());
            good = ::InitializeAcl(list, length, ACL_REVISION) &&
                   ::AddAccessAllowedAce(list, ACL_REVISION, GENERIC_ALL, sid) &&
                   ::InitializeSecurityDescriptor(&descriptor_, SECURITY_DESCRIPTOR_REVISION) &&
                   ::SetSecurityDescriptorDacl(&descriptor_, TRUE, list, FALSE);
        }
        error = good ? std::error_code() : make_error(::GetLastError());
        ::CloseHandle(token);
    }
    only_this_user(only_this_user const&) = delete;
    only_this_user& operator=(only_this_user const&) = delete;

    SECURITY_ATTRIBUTES attributes() noexcept { return {sizeof(SECURITY_ATTRIBUTES), &descriptor_, FALSE}; }

private:
    std::vector<std::byte> user_;
    std::vector<std::byte> list_;
    SECURITY_DESCRIPTOR descriptor_{};
};

/// Listens under the name of a pipe. A pipe is an instance for each client: one waits for the next client, or has got it;
/// as soon as that one is accepted the next instance is made. The event is set while a client is there.
class pipe_listener {
public:
    pipe_listener(HANDLE event, std::wstring name) : event_(event), name_(std::move(name)) {}
    ~pipe_listener() {
        if (pipe_ == INVALID_HANDLE_VALUE) return;
        if (is_pending_) {
            DWORD none = 0;
            ::CancelIoEx(pipe_, &operation_);
            ::GetOverlappedResult(pipe_, &operation_, &none, TRUE);
        }
        ::CloseHandle(pipe_);
    }
    pipe_listener(pipe_listener const&) = delete;
    pipe_listener& operator=(pipe_listener const&) = delete;

    void listen(std::error_code& error) {
        pipe_ = make_instance(FILE_FLAG_FIRST_PIPE_INSTANCE, error);
        if (error == std::errc::permission_denied) error = std::make_error_code(std::errc::address_in_use);
        if (!error) await_client(error);
    }

    native_handle accept(std::error_code& error) {
        if (!is_waiting_) await_client(error);
        if (!is_waiting_) return invalid_handle;
        ::WaitForSingleObject(event_, INFINITE);
        if (is_pending_) {
            DWORD none = 0;
            bool const good = ::GetOverlappedResult(pipe_, &operation_, &none, TRUE) != 0;
            DWORD const failure = good ? ERROR_SUCCESS : ::GetLastError();
            is_pending_ = false;
            is_waiting_ = good || has_come(failure);
            if (!is_waiting_) {
                error = make_error(failure);
                return invalid_handle;
            }
        }
        HANDLE const next = make_instance(0, error);
        if (error) return invalid_handle; // the client stays for the next call
        native_handle const accepted = std::exchange(pipe_, next);
        std::error_code later; // the next call tries again
        await_client(later);
        error.clear();
        return accepted;
    }

private:
    HANDLE make_instance(DWORD flags, std::error_code& error) {
        only_this_user admission(error);
        if (error) return INVALID_HANDLE_VALUE;
        auto attributes = admission.attributes();
        HANDLE const made = ::CreateNamedPipeW(
            name_.c_str(),
            PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | flags,
            PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS,
            PIPE_UNLIMITED_INSTANCES,
            pipe_buffer,
            pipe_buffer,
            0,
            &attributes);
        if (made == INVALID_HANDLE_VALUE) error = make_error(::GetLastError());
        return made;
    }

    /// Whether this is no failure: a client was faster, and may have gone again (what it has written is still there).
    static bool has_come(DWORD failure) noexcept { return failure == ERROR_PIPE_CONNECTED || failure == ERROR_NO_DATA; }

    void await_client(std::error_code& error) noexcept {
        operation_ = {};
        operation_.hEvent = event_;
        ::ResetEvent(event_);
        bool const is_there = ::ConnectNamedPipe(pipe_, &operation_) != 0;
        DWORD const failure = is_there ? ERROR_SUCCESS : ::GetLastError();
        is_pending_ = failure == ERROR_IO_PENDING;
        is_waiting_ = is_there || is_pending_ || has_come(failure);
        error = is_waiting_ ? std::error_code() : make_error(failure);
        if (!is_pending_) ::SetEvent(event_); // whatever it is, accept will find it
    }

    HANDLE event_;
    std::wstring name_;
    HANDLE pipe_ = INVALID_HANDLE_VALUE;
    OVERLAPPED operation_{};
    bool is_pending_ = false; ///< the system will set the event
    bool is_waiting_ = false; ///< it will, or has been set; false after a failure
};

inline native_handle connect_to_pipe(std::wstring const& name, std::error_code& error) {
    error.clear();
    for (;;) {
        HANDLE const made = ::CreateFileW(
            name.c_str(),
            GENERIC_READ | GENERIC_WRITE,
            0,
            nullptr,
            OPEN_EXISTING,
            FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_ANONYMOUS,
            nullptr);
        if (made != INVALID_HANDLE_VALUE) return made;
        DWORD const failure = ::GetLastError();
        if (failure != ERROR_PIPE_BUSY) {
            error = make_error(failure);
            return invalid_handle;
        }
        if (!somebody_listens(name)) {
            error = std::make_error_code(std::errc::connection_refused);
            return invalid_handle;
        }
        constexpr DWORD patience = 100; // then look again: nothing ends the wait when the listener is closed
        ::WaitNamedPipeW(name.c_str(), patience);
    }
}

} // namespace multiprocessing::inline v0::platform::windows
