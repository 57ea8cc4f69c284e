#pragma once

#include <multiprocessing/platform/error.hpp>
#include <multiprocessing/platform/liveness.hpp>
#include <multiprocessing/platform/memory.hpp>
#include <multiprocessing/platform/windows/identity.hpp>

#include <atomic>

namespace multiprocessing::inline v0 {

namespace platform::windows {

/// A seat holds the identity of the process that took it. They lie in the hidden head of the segment.
using seat = std::atomic<identity>;
inline constexpr std::size_t seat_limit = segment_head / sizeof(seat);

/// The seats of a segment, mapped for one call; these calls are rare.
class seats {
public:
    explicit seats(native_handle segment) noexcept
        : view_(::MapViewOfFile(segment, FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, segment_head)) {}
    ~seats() {
        if (view_ != nullptr) ::UnmapViewOfFile(view_);
    }
    seats(seats const&) = delete;
    seats& operator=(seats const&) = delete;

    seat* find(std::size_t number) const noexcept {
        if (view_ == nullptr || number >= seat_limit) return nullptr;
        auto* const place = static_cast<seat*>(view_) + number;
        return ::VirtualAlloc(place, sizeof(seat), MEM_COMMIT, PAGE_READWRITE) != nullptr ? place : nullptr;
    }

private:
    void* view_;
};

} // namespace platform::windows

void platform::take_seat(native_handle segment, std::size_t seat, process_id, std::error_code& error) noexcept {
    if (seat >= windows::seat_limit) {
        error = std::make_error_code(std::errc::invalid_argument);
        return;
    }
    windows::seats const all(segment);
    auto* const place = all.find(seat);
    if (place == nullptr) {
        error = last_error();
        return;
    }
    error.clear();
    auto const self = windows::own_identity();
    auto before = place->load();
    while (before != self) {
        if (windows::is_alive(before)) {
            error = std::make_error_code(std::errc::resource_unavailable_try_again); // as POSIX says about a lock
            return;
        }
        if (place->compare_exchange_strong(before, self)) return;
    }
}

bool platform::seat_is_taken(native_handle segment, std::size_t seat, process_id pid) noexcept {
    if (pid == current_process_id()) return true;
    windows::seats const all(segment);
    auto const* const place = all.find(seat);
    auto const owner = place != nullptr ? place->load() : 0;
    return windows::pid_of(owner) == static_cast<DWORD>(pid) && windows::is_alive(owner);
}

/// Nothing to do: start_program puts every child into a job that the system ends together with the parent.
void platform::die_with(native_handle, std::error_code& error) noexcept { error.clear(); }

} // namespace multiprocessing::inline v0
