#pragma once

#include <multiprocessing/detail/archive.hpp>
#include <multiprocessing/detail/arena.hpp>
#include <multiprocessing/detail/deadline.hpp>
#include <multiprocessing/detail/entry_point.hpp>
#include <multiprocessing/detail/made_once.hpp>
#include <multiprocessing/detail/participants.hpp>
#include <multiprocessing/detail/unique_handle.hpp>
#include <multiprocessing/detail/waiting.hpp>
#include <multiprocessing/platform/channel.hpp>
#include <multiprocessing/platform/poll.hpp>
#include <multiprocessing/platform/process.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

/// A child process as its parent sees it, whatever the start method.
namespace multiprocessing::inline v0::detail {

/// What the two sides of a start share. It lies in the arena and belongs to the parent, which frees it when the child
/// is known to have ended.
struct launch_record {
    static constexpr std::uint64_t nothing_yet = ~std::uint64_t{0};

    entry_id role;            ///< what the child runs: a `child_role`
    arena_offset message = 0; ///< for the role
    std::uint64_t message_size = 0;
    std::uint64_t handle_count = 0;                  ///< handles that came with the message…
    std::uintptr_t handles[16] = {};                 ///< …as they are numbered in the child
    std::atomic<std::int64_t> pid{0};                ///< fork server: the child, or minus the error number
    std::atomic<std::uint64_t> outcome{nothing_yet}; ///< fork server: the exit status of the child
    std::atomic<bool> settled{false};                ///< fork server: it does not touch this record any more
    /// The exit code that the child is about to end with, for the case that the system tells nobody (SIGCHLD is
    /// ignored, the fork server is dead).
    std::atomic<std::uint64_t> intended{nothing_yet};
    event_count changed{};

    /// The last words of the fork server on this child: how it ended, or why there is none.
    void report(platform::exit_status status) noexcept {
        outcome.store(static_cast<std::uint32_t>(status), std::memory_order_release);
        settle();
    }
    void refuse(std::error_code why) noexcept {
        pid.store(-std::int64_t{why.value()}, std::memory_order_release);
        settle();
    }
    void settle() noexcept {
        changed.notify_all();
        settled.store(true, std::memory_order_release);
    }
    /// Has to come before the memory is used for something else: who waits may have seen the news before the server
    /// has come to wake him.
    void await_settled(participant server) const noexcept {
        while (!settled.load(std::memory_order_acquire) && server.is_alive()) platform::yield();
    }

    static std::optional<platform::exit_status> read(std::atomic<std::uint64_t> const& status) noexcept {
        std::uint64_t const value = status.load(std::memory_order_acquire);
        if (value == nothing_yet) return std::nullopt;
        return static_cast<platform::exit_status>(static_cast<std::uint32_t>(value));
    }
    std::optional<platform::exit_status> reported() const noexcept { return read(outcome); }
};

/// What a process that was started from outside does first; `handles` belong to it.
using child_role = void(launch_record& record, std::vector<platform::native_handle> handles);

/// Collects the handles that a message to a new child carries, and finds them again there.
class launch_handles final : public handle_carrier {
public:
    launch_handles() = default;
    explicit launch_handles(std::vector<platform::native_handle> handles) : handles_(std::move(handles)) {}

    std::uint64_t attach(std::intptr_t handle) override {
        if (handles_.size() == std::size(launch_record{}.handles)) {
            throw PicklingError("too many operating-system handles for one new process");
        }
        handles_.push_back(numbered_handle(static_cast<std::uintptr_t>(handle)));
        return handles_.size() - 1;
    }
    std::intptr_t take(std::uint64_t token) override {
        if (token >= handles_.size()) throw ValueError("truncated or damaged message");
        return static_cast<std::intptr_t>(
            handle_number(std::exchange(handles_[static_cast<std::size_t>(token)], platform::invalid_handle)));
    }
    std::vector<platform::native_handle> const& all() const noexcept { return handles_; }

private:
    std::vector<platform::native_handle> handles_;
};

/// A started child. Shared by everybody in this process who has a handle on it; all members may be called from any thread.
class child_state {
public:
    child_state(launch_record* record, unique_handle lifeline) noexcept
        : record_(record), lifeline_(std::move(lifeline)), creator_(platform::current_process_id()) {}
    ~child_state();
    child_state(child_state const&) = delete;
    child_state& operator=(child_state const&) = delete;

    std::string name;
    bool daemon = false;

    /// The parent's side after the start.
    void started(platform::child_process child);
    /// The same for a child of the fork server.
    void started_by(participant server, platform::process_id pid) noexcept;

    launch_record& record() const noexcept { return *record_; }
    platform::process_id pid() const noexcept { return pid_; }
    platform::process_id creator() const noexcept { return creator_; }
    /// Becomes readable when the child has ended.
    platform::native_handle sentinel() const noexcept { return sentinel_ ? sentinel_.get() : lifeline_.get(); }

    /// Waits until the child has ended; empty: it had not by the deadline.
    std::optional<platform::exit_status> wait(platform::deadline until);

    /// In a forked child: closes what belongs to its parent, and waits for nobody.
    void abandon() noexcept;

private:
    std::optional<platform::exit_status> look();
    std::optional<platform::exit_status> look_at_server();

    launch_record* record_;
    unique_handle lifeline_;
    unique_handle sentinel_;
    platform::child_process child_;
    platform::process_id pid_ = 0;
    platform::process_id creator_;
    participant server_;

    std::mutex mutex_;
    std::optional<platform::exit_status> status_;
};

/// The children that this process has started and not yet seen ending.
class children {
public:
    MULTIPROCESSING_ONE_PER_PROCESS static children& instance() {
        static constinit made_once<children> all;
        return all.get();
    }

    void add(std::shared_ptr<child_state> child) {
        std::scoped_lock const guard(mutex_);
        all_.push_back(std::move(child));
    }
    /// Those that still run; the others have been waited for and are forgotten.
    std::vector<std::shared_ptr<child_state>> running();
    void forget(child_state const& child);

    /// At the end of this process: terminates daemons, waits for all.
    void finish() noexcept;
    /// Held over a fork, so that the child finds the list whole.
    [[nodiscard]] std::unique_lock<std::mutex> hold() { return std::unique_lock(mutex_); }
    /// In a forked child: these are its siblings.
    void begin_child() noexcept;

private:
    std::mutex mutex_;
    std::vector<std::shared_ptr<child_state>> all_;
};

// ---- implementation

inline child_state::~child_state() {
    // A child that may still run keeps its record: it will write to it. The memory goes with the tree.
    if (record_ == nullptr || !status_ || creator_ != platform::current_process_id()) return;
    if (server_) record_->await_settled(server_);
    arena& memory = arena::instance();
    if (record_->message != 0) memory.deallocate(record_->message, record_->message_size);
    memory.destroy(record_);
}

inline void child_state::started(platform::child_process child) {
    child_ = child;
    pid_ = child.pid;
    if (child.sentinel == platform::invalid_handle) return;
    // A second one, because waiting closes the first while another thread may still look at it.
    std::error_code error;
    sentinel_.reset(platform::duplicate(child.sentinel, error));
}

inline void child_state::started_by(participant server, platform::process_id pid) noexcept {
    server_ = server;
    pid_ = pid;
}

inline void child_state::abandon() noexcept {
    new (&mutex_) std::mutex; // a thread of the parent may have held it
    platform::close(child_.sentinel);
    child_.sentinel = platform::invalid_handle;
    sentinel_.reset();
    lifeline_.reset();
    record_ = nullptr;
}

inline std::optional<platform::exit_status> child_state::look() {
    std::scoped_lock const guard(mutex_);
    if (status_) return status_;
    status_ = server_ ? look_at_server() : platform::wait_process(child_, platform::deadline::min());
    if (status_ == platform::unknown_exit) {
        status_ = launch_record::read(record_->intended).value_or(platform::unknown_exit);
    }
    return status_;
}

inline std::optional<platform::exit_status> child_state::look_at_server() {
    if (auto const status = record_->reported()) return status;
    if (server_.is_alive()) return std::nullopt;
    // Nobody is left to tell how it ended; that it ended shows at the lifeline.
    bool ended = false;
    std::error_code error;
    platform::native_handle const lifeline = lifeline_.get();
    platform::poll({&lifeline, 1}, {&ended, 1}, platform::deadline::min(), error);
    if (!ended) return std::nullopt;
    return record_->reported().value_or(platform::unknown_exit);
}

inline std::optional<platform::exit_status> child_state::wait(platform::deadline until) {
    for (;;) {
        if (auto const status = look()) {
            children::instance().forget(*this);
            return status;
        }
        auto const now = platform::clock::now();
        if (until != platform::never && now >= until) return std::nullopt;
        if (server_) {
            auto const nap = std::min(until, now + longest_nap); // the server may die without a word
            record_->changed.await([this] { return record_->reported().has_value(); }, nap);
        } else if (sentinel_) {
            bool ready = false;
            std::error_code error;
            platform::native_handle const sentinel = sentinel_.get();
            platform::poll({&sentinel, 1}, {&ready, 1}, until, error);
        } else {
            // Without a sentinel the system has to be asked again and again; shared among threads, so not asleep in it.
            std::error_code error;
            platform::poll({}, {}, std::min(until, now + std::chrono::milliseconds(2)), error);
        }
    }
}

inline std::vector<std::shared_ptr<child_state>> children::running() {
    std::vector<std::shared_ptr<child_state>> all;
    {
        std::scoped_lock const guard(mutex_);
        all = all_;
    }
    std::erase_if(all, [](auto const& child) { return child->wait(platform::deadline::min()).has_value(); });
    return all;
}

inline void children::forget(child_state const& child) {
    std::shared_ptr<child_state> last; // destroyed after the lock is released
    std::scoped_lock const guard(mutex_);
    auto const found = std::find_if(all_.begin(), all_.end(), [&](auto const& one) { return one.get() == &child; });
    if (found == all_.end()) return;
    last = std::move(*found);
    all_.erase(found);
}

inline void children::finish() noexcept {
    try {
        auto const all = running();
        for (auto const& child : all) {
            std::error_code ignored;
            if (child->daemon) platform::terminate_process(child->pid(), ignored);
        }
        for (auto const& child : all) child->wait(platform::never);
    } catch (...) {
    } // out of memory at the very end: the lifelines do the rest
}

inline void children::begin_child() noexcept {
    new (&mutex_) std::mutex;
    for (auto const& child : all_) child->abandon();
    all_.clear();
}

} // namespace multiprocessing::inline v0::detail
