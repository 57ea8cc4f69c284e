// Written from Apple's documentation; never compiled or run. Reports are welcome.
#pragma once

#include <multiprocessing/platform/error.hpp>
#include <multiprocessing/platform/liveness.hpp>
#include <multiprocessing/platform/memory.hpp>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>

#include <libproc.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/proc.h>
#include <unistd.h>

namespace multiprocessing::inline v0 {

namespace detail {

// There are no locks on shared memory objects. A seat holds the process id in its lower half, and in the upper one when
// the process was started: together they name a process for good. The seats lie in the hidden head of the segment.

using seat = std::atomic<std::uint64_t>;
inline constexpr std::size_t seat_limit = segment_head / sizeof(seat);

/// Who has this process id now; 0 if nobody, or a zombie.
inline std::uint64_t identity_of(platform::process_id pid) noexcept {
    proc_bsdinfo info{};
    int const size = ::proc_pidinfo(static_cast<int>(pid), PROC_PIDTBSDINFO, 0, &info, sizeof info);
    if (size != static_cast<int>(sizeof info) || info.pbi_status == SZOMB) return 0;
    auto const start = info.pbi_start_tvsec * 1'000'000 + info.pbi_start_tvusec;
    return start << 32 | static_cast<std::uint32_t>(pid);
}

inline bool is_alive(std::uint64_t identity) noexcept {
    return identity != 0 && identity_of(static_cast<std::uint32_t>(identity)) == identity;
}

/// The seats of a segment, mapped for one call.
class seats {
public:
    explicit seats(platform::native_handle segment) noexcept
        : view_(::mmap(nullptr, segment_head, PROT_READ | PROT_WRITE, MAP_SHARED, segment, 0)) {}
    ~seats() {
        if (view_ != MAP_FAILED) ::munmap(view_, segment_head);
    }
    seats(seats const&) = delete;
    seats& operator=(seats const&) = delete;

    seat* find(std::size_t number) const noexcept {
        return view_ != MAP_FAILED && number < seat_limit ? static_cast<seat*>(view_) + number : nullptr;
    }

private:
    void* view_;
};

/// Waits for the end of the lifeline. Nothing is ever written to it.
inline void* watch_lifeline(void* argument) {
    auto const lifeline = static_cast<int>(reinterpret_cast<std::intptr_t>(argument));
    char nothing = 0;
    for (;;) {
        auto const count = ::read(lifeline, &nothing, 1);
        if (count == 0 || (count < 0 && errno != EINTR)) ::kill(::getpid(), SIGKILL);
    }
}

} // namespace detail

void platform::take_seat(native_handle segment, std::size_t seat, process_id self, std::error_code& error) noexcept {
    if (seat >= detail::seat_limit) {
        error = std::make_error_code(std::errc::invalid_argument);
        return;
    }
    detail::seats const all(segment);
    auto* const place = all.find(seat);
    if (place == nullptr) {
        error = last_error();
        return;
    }
    error.clear();
    auto const own = detail::identity_of(self);
    auto before = place->load();
    while (before != own) {
        if (detail::is_alive(before)) {
            error = std::make_error_code(std::errc::resource_unavailable_try_again); // as of a lock
            return;
        }
        if (place->compare_exchange_strong(before, own)) return;
    }
}

bool platform::seat_is_taken(native_handle segment, std::size_t seat, process_id pid) noexcept {
    if (pid == current_process_id()) return true;
    detail::seats const all(segment);
    auto const* const place = all.find(seat);
    auto const owner = place != nullptr ? place->load() : 0;
    return static_cast<std::uint32_t>(owner) == static_cast<std::uint32_t>(pid) && detail::is_alive(owner);
}

void platform::die_with(native_handle lifeline, std::error_code& error) noexcept {
    error.clear();
    pollfd entry{lifeline, POLLIN, 0};
    if (::poll(&entry, 1, 0) > 0 && (entry.revents & (POLLHUP | POLLERR)) != 0) ::kill(::getpid(), SIGKILL);
    // The system has no signal for it: a thread waits, with all signals blocked so that it handles none of the program's.
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread{};
    auto* const argument = reinterpret_cast<void*>(static_cast<std::intptr_t>(lifeline));
    int const failure = ::pthread_create(&thread, nullptr, detail::watch_lifeline, argument);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (failure == 0) ::pthread_detach(thread);
    error.assign(failure, std::generic_category());
}

} // namespace multiprocessing::inline v0
