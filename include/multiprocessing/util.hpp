#pragma once

#include <multiprocessing/detail/made_once.hpp>
#include <multiprocessing/detail/process_state.hpp>
#include <multiprocessing/detail/standard_streams.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace multiprocessing::inline v0 {

/// Thrown by `exit`. It is no std::exception, so that a handler for errors does not swallow it.
///
/// Python: `SystemExit`.
class SystemExit {
public:
    explicit SystemExit(int code) noexcept : code_(code) {}
    int code() const noexcept { return code_; }

private:
    int code_;
};

/// Ends this process with an exit code. In a child the stack is unwound first; in the first process it is std::exit.
///
/// Python: `sys.exit(code)`. The system reports the low 8 bits.
[[noreturn]] inline void exit(int code = 0);

/// The same with exit code 1 and a message on standard error.
[[noreturn]] inline void exit(std::string_view message);

/// Registers a function that runs when this process ends normally, the last registered first. Functions that the parent
/// registered do not run in its children, which is why std::atexit does not do.
///
/// Python: `atexit.register(func)`.
/// Safe from  any thread.
inline void at_exit(std::function<void()> function);

/// Registers a function that runs in every forked child before its target does.
///
/// Python: `multiprocessing.util.register_after_fork`.
/// Safe from  any thread.
inline void register_after_fork(std::function<void()> function);

// ---- implementation

namespace detail {

/// Functions to be called at turning points of this process' life.
class hooks {
public:
    MULTIPROCESSING_ONE_PER_PROCESS static hooks& instance() {
        static constinit made_once<hooks> all;
        return all.get();
    }

    void add_exit(std::function<void()> function) {
        watch_exit();
        std::scoped_lock const guard(mutex_);
        at_exit_.push_back(std::move(function));
    }
    /// The very last thing this process does, after its exit functions.
    void set_last(void (*function)()) {
        last_.store(function, std::memory_order_relaxed);
        watch_exit();
    }
    void add_fork(std::function<void()> function) {
        std::scoped_lock const guard(mutex_);
        after_fork_.push_back(std::move(function));
    }

    /// Held over a fork, so that the child finds the lists whole.
    [[nodiscard]] std::unique_lock<std::mutex> hold() { return std::unique_lock(mutex_); }
    /// Runs the exit functions; one that throws is reported and does not keep the others from running.
    void run_exit() noexcept {
        for (;;) {
            std::function<void()> next;
            {
                std::scoped_lock const guard(mutex_);
                if (at_exit_.empty()) break;
                next = std::move(at_exit_.back());
                at_exit_.pop_back();
            }
            call(next, "a function registered with at_exit");
        }
        if (auto* const last = last_.load(std::memory_order_relaxed)) last();
    }

    /// In a forked child: what the parent registered for its exit is not the child's.
    void begin_child() noexcept {
        exit_watched_ = true;     // by the end of the child's bootstrap, not by std::atexit
        new (&mutex_) std::mutex; // another thread of the parent may have held it
        at_exit_.clear();
        for (auto const& function : std::vector(after_fork_)) call(function, "a function registered after fork");
    }

private:
    /// Has std::atexit call us; only in the first process, since children end by another way.
    void watch_exit() {
        if (exit_watched_.exchange(true)) return;
        pid_ = platform::current_process_id();
        std::atexit([] {
            // A fork that is not ours has inherited this handler, but not the right to run it.
            if (instance().pid_ == platform::current_process_id()) instance().run_exit();
        });
    }

    static void call(std::function<void()> const& function, char const* what) noexcept {
        try {
            function();
        } catch (std::exception const& error) {
            std::fprintf(stderr, "multiprocessing: %s threw: %s\n", what, error.what());
        } catch (...) {
            std::fprintf(stderr, "multiprocessing: %s threw\n", what);
        }
    }

    std::atomic<bool> exit_watched_{false};
    std::atomic<void (*)()> last_{nullptr};
    platform::process_id pid_ = 0;
    std::mutex mutex_;
    std::vector<std::function<void()>> at_exit_;
    std::vector<std::function<void()>> after_fork_;
};

} // namespace detail

inline void exit(int code) {
    if (!detail::process_state::instance().is_child) std::exit(code);
    throw SystemExit(code);
}

inline void exit(std::string_view message) {
    detail::flush_standard_streams();
    std::fprintf(stderr, "%.*s\n", static_cast<int>(message.size()), message.data());
    exit(1);
}

inline void at_exit(std::function<void()> function) { detail::hooks::instance().add_exit(std::move(function)); }

inline void register_after_fork(std::function<void()> function) {
    detail::hooks::instance().add_fork(std::move(function));
}

} // namespace multiprocessing::inline v0
