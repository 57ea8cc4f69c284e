#pragma once

#include <multiprocessing/platform/channel.hpp>
#include <multiprocessing/platform/error.hpp>
#include <multiprocessing/platform/poll.hpp>
#include <multiprocessing/platform/windows/wait.hpp>
#include <multiprocessing/platform/windows/winsock.hpp>

#include <algorithm>
#include <memory>
#include <vector>

namespace multiprocessing::inline v0 {

namespace platform::windows {

enum class handle_kind { object, pipe, socket };

inline handle_kind kind_of(HANDLE handle) noexcept {
    if (::GetFileType(handle) != FILE_TYPE_PIPE) return handle_kind::object;
    return is_socket(handle) ? handle_kind::socket : handle_kind::pipe;
}

/// Becomes signalled when a channel is readable or has ended: an overlapped read of no bytes.
class readability {
public:
    readability(HANDLE channel, handle_kind which) noexcept : channel_(channel), kind_(which) {}
    readability(readability const&) = delete;
    readability& operator=(readability const&) = delete;

    /// False if the channel is ready already or cannot be waited for: look again.
    bool begin() noexcept {
        if (pending_) return true;
        if (operation_.hEvent == nullptr) operation_.hEvent = ::CreateEventW(nullptr, TRUE, FALSE, nullptr);
        if (operation_.hEvent == nullptr) return false;
        pending_ = !read_nothing() && ::GetLastError() == ERROR_IO_PENDING;
        return pending_;
    }

    HANDLE event() const noexcept { return operation_.hEvent; }

    /// To be called when the event is signalled.
    void completed() noexcept { pending_ = false; }

    ~readability() {
        if (pending_) {
            DWORD none = 0;
            ::CancelIoEx(channel_, &operation_);
            ::GetOverlappedResult(channel_, &operation_, &none, TRUE);
        }
        if (operation_.hEvent != nullptr) ::CloseHandle(operation_.hEvent);
    }

private:
    bool read_nothing() noexcept {
        if (kind_ == handle_kind::pipe) return ::ReadFile(channel_, &nothing_, 0, nullptr, &operation_) != 0;
        WSABUF empty{0, &nothing_};
        DWORD flags = 0;
        return ::WSARecv(socket_of(channel_), &empty, 1, nullptr, &flags, &operation_, nullptr) == 0;
    }

    HANDLE channel_;
    handle_kind kind_;
    OVERLAPPED operation_{};
    char nothing_ = 0;
    bool pending_ = false;
};

enum class state { waiting, ready, invalid };

inline state look_at(HANDLE handle, handle_kind which) noexcept {
    if (which == handle_kind::socket) {
        int const events = events_of(handle);
        if ((events & POLLNVAL) != 0) return state::invalid;
        return events != 0 ? state::ready : state::waiting;
    }
    if (which == handle_kind::pipe) {
        DWORD available = 0;
        if (::PeekNamedPipe(handle, nullptr, 0, nullptr, &available, nullptr)) {
            return available > 0 ? state::ready : state::waiting;
        }
        return ::GetLastError() == ERROR_INVALID_HANDLE ? state::invalid : state::ready; // it has ended
    }
    switch (::WaitForSingleObject(handle, 0)) {
    case WAIT_TIMEOUT: return state::waiting;
    case WAIT_FAILED: return state::invalid;
    default: return state::ready;
    }
}

inline std::size_t
poll(std::span<native_handle const> handles, std::span<bool> ready, deadline until, std::error_code& error) {
    std::vector<handle_kind> kinds(handles.size());
    std::transform(handles.begin(), handles.end(), kinds.begin(), kind_of);
    std::vector<std::unique_ptr<readability>> reads(handles.size());
    std::vector<HANDLE> objects;
    std::size_t first = 0; // of those that the next wait is for
    for (;;) {
        std::size_t found = 0;
        bool const expired = until != never && clock::now() >= until;
        for (std::size_t i = 0; i < handles.size(); ++i) {
            state const now = look_at(handles[i], kinds[i]);
            if (now == state::invalid) {
                error = std::make_error_code(std::errc::bad_file_descriptor);
                return 0;
            }
            ready[i] = now == state::ready;
            found += ready[i] ? 1 : 0;
        }
        if (found > 0 || expired) return found;

        // At most 64 objects fit into one wait. Of more, a part is waited for in turn, a millisecond at a time; the
        // rest is looked at in between.
        std::size_t const part = std::min<std::size_t>(handles.size(), MAXIMUM_WAIT_OBJECTS);
        bool whole = part == handles.size();
        objects.clear();
        for (std::size_t n = 0; n < part; ++n) {
            std::size_t const i = (first + n) % handles.size();
            if (kinds[i] == handle_kind::object) {
                objects.push_back(handles[i]);
                continue;
            }
            if (!reads[i]) reads[i] = std::make_unique<readability>(handles[i], kinds[i]);
            if (reads[i]->begin()) {
                objects.push_back(reads[i]->event());
            } else {
                whole = false;
            }
        }
        first += part;
        DWORD const limit = milliseconds_until(until);
        DWORD const wait = whole ? limit : std::min<DWORD>(limit, 1);
        if (objects.empty()) {
            ::Sleep(wait);
        } else if (
            ::WaitForMultipleObjects(static_cast<DWORD>(objects.size()), objects.data(), FALSE, wait) == WAIT_FAILED) {
            error = last_error();
            return 0;
        }
        for (auto const& read : reads) {
            if (read && ::WaitForSingleObject(read->event(), 0) == WAIT_OBJECT_0) read->completed();
        }
    }
}

} // namespace platform::windows

std::size_t platform::poll(
    std::span<native_handle const> handles, std::span<bool> ready, deadline until, std::error_code& error) noexcept {
    error.clear();
    try {
        return windows::poll(handles, ready, until, error);
    } catch (...) { // only memory can be missing
        error = std::make_error_code(std::errc::not_enough_memory);
        return 0;
    }
}

} // namespace multiprocessing::inline v0
