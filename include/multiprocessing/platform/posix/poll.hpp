#pragma once

#include <multiprocessing/platform/error.hpp>
#include <multiprocessing/platform/poll.hpp>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <new>

#include <poll.h>

namespace multiprocessing::inline v0 {

std::size_t platform::poll(
    std::span<native_handle const> handles, std::span<bool> ready, deadline until, std::error_code& error) noexcept {
    constexpr std::size_t few = 64;
    pollfd local[few];
    std::unique_ptr<pollfd[]> many;
    pollfd* entries = local;
    if (handles.size() > few) {
        many.reset(new (std::nothrow) pollfd[handles.size()]);
        entries = many.get();
        if (entries == nullptr) {
            error = std::make_error_code(std::errc::not_enough_memory);
            return 0;
        }
    }
    for (std::size_t i = 0; i < handles.size(); ++i) entries[i] = {handles[i], POLLIN, 0};
    for (;;) {
        int wait = -1;
        if (until != never) {
            // Rounded up, so that a wait never ends before its deadline; a day at a time, so that it fits.
            auto const left = std::chrono::ceil<std::chrono::milliseconds>(time_left(until)).count();
            wait = static_cast<int>(std::clamp<std::int64_t>(left, 0, 86'400'000));
        }
        int const count = ::poll(entries, static_cast<nfds_t>(handles.size()), wait);
        if (count < 0 && errno != EINTR) {
            error = last_error();
            return 0;
        }
        if (count > 0) {
            std::size_t found = 0;
            for (std::size_t i = 0; i < handles.size(); ++i) {
                ready[i] = entries[i].revents != 0;
                found += ready[i] ? 1 : 0;
                if ((entries[i].revents & POLLNVAL) != 0) {
                    error = std::make_error_code(std::errc::bad_file_descriptor);
                    return 0;
                }
            }
            error.clear();
            return found;
        }
        if (until != never && clock::now() >= until) {
            std::fill_n(ready.begin(), handles.size(), false);
            error.clear();
            return 0;
        }
    }
}

} // namespace multiprocessing::inline v0
