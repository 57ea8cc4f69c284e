#pragma once

#include <multiprocessing/detail/message_queue.hpp>
#include <multiprocessing/detail/pipe_end.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/platform/clock.hpp>
#include <multiprocessing/platform/handle.hpp>
#include <multiprocessing/platform/poll.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <system_error>
#include <vector>

namespace multiprocessing::inline v0::detail {

/// Several things of which one waits for any: the system knows about handles, the shared memory about queues, and both
/// together about the ends of pipes.
class wait_set {
public:
    /// For an end of a Pipe with what it has beside the handle, which has to outlive this.
    void add(platform::native_handle handle, pipe_end const* pipe = nullptr);
    void add(message_queue& queue);

    /// Returns at the deadline, or when at least one of them is ready. Throws ValueError if there is something twice, OSError.
    void wait(platform::deadline until);

    /// Whether the one that was added as number `index` was ready.
    bool is_ready(std::size_t index) const noexcept {
        auto const& [is_queue, number] = places_[index];
        return is_queue ? ready_queues_[number] : ready_handles_[number];
    }

private:
    struct place {
        bool is_queue;
        std::size_t number; // among its kind
    };

    struct watched_pipe {
        std::size_t number; // of its handle
        pipe_end const* pipe;
        bool rang;
    };

    bool look_at_queues() noexcept;
    bool look_at_pipes(bool only_those_that_rang);
    bool poll_handles(platform::deadline until);
    void wait_for_queues(platform::deadline until);
    void wait_for_both(platform::deadline until);

    std::vector<place> places_;
    std::vector<platform::native_handle> handles_;
    std::vector<watched_pipe> pipes_;
    std::vector<message_queue*> queues_;
    std::unique_ptr<bool[]> ready_handles_;
    std::unique_ptr<bool[]> ready_queues_;
};

// ---- implementation

inline void wait_set::add(platform::native_handle handle, pipe_end const* pipe) {
    if (handle == platform::invalid_handle) throw ValueError("wait: an invalid handle");
    if (pipe != nullptr) pipes_.push_back({handles_.size(), pipe, false});
    places_.push_back({false, handles_.size()});
    handles_.push_back(handle);
}

inline void wait_set::add(message_queue& queue) {
    places_.push_back({true, queues_.size()});
    queues_.push_back(&queue);
}

template <class T>
void require_different(std::vector<T> values) {
    std::sort(values.begin(), values.end(), std::less<>());
    if (std::adjacent_find(values.begin(), values.end()) != values.end()) {
        throw ValueError("wait: the same thing is in the list twice");
    }
}

inline void wait_set::wait(platform::deadline until) {
    require_different(handles_);
    require_different(queues_);
    ready_handles_ = std::make_unique<bool[]>(handles_.size());
    ready_queues_ = std::make_unique<bool[]>(queues_.size());
    if (queues_.empty()) {
        poll_handles(until);
    } else if (handles_.empty()) {
        wait_for_queues(until);
    } else {
        wait_for_both(until);
    }
}

inline bool wait_set::look_at_queues() noexcept {
    bool any = false;
    for (std::size_t i = 0; i < queues_.size(); ++i) {
        ready_queues_[i] = queues_[i]->has_message();
        any = any || ready_queues_[i];
    }
    return any;
}

/// Whether one of them can receive something. Those that cannot have asked for the bell.
inline bool wait_set::look_at_pipes(bool only_those_that_rang) {
    bool any = false, comes_soon = false;
    for (auto& [number, pipe, rang] : pipes_) {
        if (!pipe->is_over() && (rang || !only_those_that_rang)) {
            auto const seen = pipe->look(handles_[number], rang, platform::deadline::min());
            ready_handles_[number] = seen == pipe_end::arrival::message || seen == pipe_end::arrival::stream;
            comes_soon = comes_soon || seen == pipe_end::arrival::soon;
            rang = false;
        }
        any = any || ready_handles_[number];
    }
    if (comes_soon && !any) pipe_end::nap();
    return any;
}

inline bool wait_set::poll_handles(platform::deadline until) {
    auto const readable = std::make_unique<bool[]>(handles_.size());
    for (;;) {
        bool const has_message = look_at_pipes(false);
        auto const wake_at = has_message ? platform::deadline::min() : pipes_.empty() ? until : soon(until);
        std::error_code error;
        platform::poll(handles_, {readable.get(), handles_.size()}, wake_at, error);
        if (error) throw OSError(error, "wait");
        // The handle of a pipe may be readable without a message.
        for (auto& [number, pipe, rang] : pipes_) {
            if (pipe->is_over()) continue;
            rang = readable[number] && !ready_handles_[number];
            readable[number] = ready_handles_[number];
        }
        std::copy_n(readable.get(), handles_.size(), ready_handles_.get());
        look_at_pipes(true);
        bool const any = std::any_of(ready_handles_.get(), ready_handles_.get() + handles_.size(), std::identity());
        if (any || is_past(until)) return any;
    }
}

inline void wait_set::wait_for_queues(platform::deadline until) {
    std::vector<message_queue::watching> watching;
    watching.reserve(queues_.size());
    for (auto* const queue : queues_) watching.emplace_back(*queue);
    arena::instance().bell().await([&] { return look_at_queues(); }, until);
}

/// Nothing can be woken both by a handle and by a word in shared memory: so it sleeps for the handles, in naps that are short
/// in comparison with the whole wait.
inline void wait_set::wait_for_both(platform::deadline until) {
    constexpr platform::clock::duration shortest = std::chrono::milliseconds(1); // what poll can do
    constexpr platform::clock::duration longest = std::chrono::milliseconds(10);
    auto const begin = platform::clock::now();
    for (;;) {
        auto const now = platform::clock::now();
        auto const nap = std::clamp((now - begin) / 8, shortest, longest);
        bool const has_queue = look_at_queues();
        bool const has_handle = poll_handles(has_queue ? now : std::min(until, now + nap));
        if (has_queue || has_handle || now >= until) break;
    }
    look_at_queues(); // something may have come in the nap
}

} // namespace multiprocessing::inline v0::detail
