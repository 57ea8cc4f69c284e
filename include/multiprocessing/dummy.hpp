#pragma once

#include <multiprocessing/connection.hpp>
#include <multiprocessing/detail/condition_wait.hpp>
#include <multiprocessing/detail/thread_name.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/queues.hpp>
#include <multiprocessing/sharedctypes.hpp>
#include <multiprocessing/synchronize.hpp>
#include <multiprocessing/thread_pool.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <concepts>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <ostream>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

/// The names of the library, on threads: one line decides which it is.
///
///     namespace mp = multiprocessing::dummy; // or: namespace mp = multiprocessing;
///
/// Python: `multiprocessing.dummy`. What processes share works between threads as well, so most names are the same
/// objects; only Process and Pool are others. Differs: the ends of a Pipe can be closed and see the end; queues carry copies.
///
/// Example    examples/09_threads_instead.cpp
namespace multiprocessing::inline v0::dummy {

using multiprocessing::Array;
using multiprocessing::Barrier;
using multiprocessing::BoundedSemaphore;
using multiprocessing::Condition;
using multiprocessing::Connection;
using multiprocessing::Event;
using multiprocessing::JoinableQueue;
using multiprocessing::Lock;
using multiprocessing::Pipe;
using multiprocessing::Queue;
using multiprocessing::RLock;
using multiprocessing::Semaphore;
using multiprocessing::SimpleQueue;
using multiprocessing::Value;

/// Threads with the interface of Pool.
using Pool = ThreadPool;
using PoolOptions = ThreadPoolOptions;

/// The start method does not matter here.
using ProcessOptions = multiprocessing::ProcessOptions;

namespace thread_detail {

struct thread_state;

} // namespace thread_detail

/// A thread: what can be known of it. Copies share.
///
/// Safe from  any thread.
class ProcessHandle {
public:
    /// Waits until it has ended. Blocks at most for the timeout.
    void join(Timeout timeout = {}) const;
    bool is_alive() const noexcept;
    std::string const& name() const noexcept;
    bool daemon() const noexcept;
    /// A number that no other thread of this process ever has.
    std::int64_t ident() const noexcept;
    /// Empty while it runs; 0; the code given to exit(); or 1 if it ended by an exception.
    std::optional<int> exitcode() const noexcept;

private:
    friend class Process;
    friend ProcessHandle current_process();
    friend std::vector<ProcessHandle> active_children();
    explicit ProcessHandle(std::shared_ptr<thread_detail::thread_state> state) : state_(std::move(state)) {}
    std::shared_ptr<thread_detail::thread_state> state_;
};

/// A function that runs in a thread of its own, with the interface of multiprocessing::Process.
///
/// Python: `multiprocessing.dummy.Process`. Differs from there: what it throws makes the exit code 1, exit(n) makes it n, and
/// a misuse is an AssertionError as with processes. A thread cannot be ended: there is no terminate(). A Process that
/// is destroyed while its thread runs waits for it; a daemon is left to itself, unless it belongs to a derived class.
///
/// A derived class that overrides run() has to join() in its own destructor, and is not moved while it runs.
///
/// Safe from  one thread at a time.
class Process {
public:
    explicit Process(ProcessOptions options = {});
    template <class F, class... Args>
        requires(!std::derived_from<std::decay_t<F>, Process> && !std::same_as<std::decay_t<F>, ProcessOptions>)
    explicit Process(F&& target, Args&&... args)
        : Process(ProcessOptions{}, std::forward<F>(target), std::forward<Args>(args)...) {}
    template <class F, class... Args>
        requires(!std::derived_from<std::decay_t<F>, Process>)
    Process(ProcessOptions options, F&& target, Args&&... args) : Process(std::move(options)) {
        target_ = detail::make_target(std::forward<F>(target), std::forward<Args>(args)...);
    }

    virtual ~Process();
    Process(Process&&) noexcept = default;
    Process& operator=(Process&&) = delete;

    /// What the thread does: calls the target.
    virtual void run() {
        if (target_) target_->run();
    }

    /// Starts the thread. Throws AssertionError if it was started before; OSError if the system refuses.
    void start();

    /// Waits until the thread has ended. Blocks at most for the timeout; ask exitcode() whether it has ended.
    /// Throws     AssertionError  not started;  RuntimeError  this is the thread itself
    void join(Timeout timeout = {});

    bool is_alive() const noexcept;
    std::string const& name() const noexcept;
    void name(std::string name);
    bool daemon() const noexcept;
    /// Throws AssertionError after start().
    void daemon(bool daemon);
    /// Empty before start().
    std::optional<std::int64_t> ident() const noexcept;
    std::optional<int> exitcode() const noexcept;

    /// The started thread, for several owners. Throws AssertionError before start().
    ProcessHandle handle() const;

    /// Python's repr: <Process(Thread-1, started 2)>
    std::string to_string() const;
    friend std::ostream& operator<<(std::ostream& stream, Process const& process) {
        return stream << process.to_string();
    }

private:
    void require_started(char const* what) const;

    std::shared_ptr<thread_detail::thread_state> state_;
    std::shared_ptr<detail::process_target> target_;
    std::thread thread_;
};

/// The thread in which this is called. The first one of the program has the name MainThread.
///
/// Python: `multiprocessing.dummy.current_process()`.
inline ProcessHandle current_process();

/// The threads that this thread has started as Process and that still run.
///
/// Python: `multiprocessing.dummy.active_children()`.
inline std::vector<ProcessHandle> active_children();

/// Does nothing. Python: `multiprocessing.dummy.freeze_support()`.
inline void freeze_support() noexcept {}

// ---- implementation

namespace thread_detail {

/// What is known of a thread: by itself, by the one that started it, and by whoever has a handle.
struct thread_state {
    std::string name;
    bool daemon = false;

    mutable std::mutex mutex{};
    mutable std::condition_variable changed{};
    std::optional<std::int64_t> ident{};
    std::optional<int> exitcode{};
    bool started = false;
    std::vector<std::weak_ptr<thread_state>> children{};

    bool is_alive() const noexcept {
        std::scoped_lock const guard(mutex);
        return started && !exitcode;
    }

    void wait(platform::deadline until) const {
        std::unique_lock guard(mutex);
        detail::wait_until(changed, guard, until, [&] { return exitcode.has_value(); });
    }

    void end(int code) noexcept {
        {
            std::scoped_lock const guard(mutex);
            exitcode = code;
        }
        changed.notify_all();
    }
};

inline std::shared_ptr<thread_state>& mine() {
    static thread_local std::shared_ptr<thread_state> state;
    if (!state) { // a thread that others have made
        state = std::make_shared<thread_state>();
        state->ident = detail::this_thread_number();
        state->started = true;
        state->name = detail::thread_name();
        if (state->name.empty()) {
            state->name = detail::is_main_thread() ? "MainThread" : "Dummy-" + std::to_string(*state->ident);
        }
    }
    return state;
}

inline std::atomic<unsigned> threads_named{0};

/// Runs something as the thread with this state.
template <class Function>
void live(std::shared_ptr<thread_state> const& state, Function function) noexcept {
    mine() = state;
    detail::thread_name() = state->name;
    {
        std::scoped_lock const guard(state->mutex);
        state->ident = detail::this_thread_number();
        state->started = true;
    }
    state->changed.notify_all();
    int const code = detail::run_to_exit_code(state->name, function);
    state->end(code);
}

} // namespace thread_detail

inline Process::Process(ProcessOptions options) : state_(std::make_shared<thread_detail::thread_state>()) {
    state_->name = options.name.empty() ? "Thread-" + std::to_string(thread_detail::threads_named.fetch_add(1) + 1)
                                        : std::move(options.name);
    state_->daemon = options.daemon.value_or(thread_detail::mine()->daemon);
}

inline Process::~Process() {
    if (!thread_.joinable()) return;
    if (state_->daemon && typeid(*this) == typeid(Process)) {
        thread_.detach();
    } else {
        thread_.join();
    }
}

inline void Process::start() {
    if (thread_.joinable() || state_->is_alive() || state_->exitcode) {
        throw AssertionError("cannot start a process twice");
    }
    auto& parent = *thread_detail::mine();
    {
        std::scoped_lock const guard(parent.mutex);
        std::erase_if(parent.children, [](auto const& child) { return child.expired(); });
        parent.children.push_back(state_);
    }
    try {
        // The target alone needs nothing of this object, which may be moved, or gone before a daemon ends.
        if (typeid(*this) == typeid(Process)) {
            thread_ = std::thread([state = state_, target = std::move(target_)]() mutable {
                thread_detail::live(state, [&] {
                    if (target) target->run();
                    target.reset();
                });
            });
        } else {
            thread_ = std::thread([state = state_, this] { thread_detail::live(state, [this] { run(); }); });
        }
    } catch (std::system_error const& error) {
        throw OSError(error.code(), "a thread cannot be started");
    }
    std::unique_lock guard(state_->mutex);
    state_->changed.wait(guard, [&] { return state_->started; });
}

inline void Process::require_started(char const* what) const {
    std::scoped_lock const guard(state_->mutex);
    if (!state_->started) throw AssertionError(what);
}

inline void Process::join(Timeout timeout) {
    require_started("can only join a started process");
    if (ident() == detail::this_thread_number()) throw RuntimeError("a thread cannot join itself");
    state_->wait(timeout.deadline());
    if (thread_.joinable() && exitcode()) thread_.join();
}

inline bool Process::is_alive() const noexcept { return state_->is_alive(); }
inline std::string const& Process::name() const noexcept { return state_->name; }
inline void Process::name(std::string name) { state_->name = std::move(name); }
inline bool Process::daemon() const noexcept { return state_->daemon; }
inline void Process::daemon(bool daemon) {
    std::scoped_lock const guard(state_->mutex);
    if (state_->started) throw AssertionError("process has already started");
    state_->daemon = daemon;
}

inline std::optional<std::int64_t> Process::ident() const noexcept {
    std::scoped_lock const guard(state_->mutex);
    return state_->ident;
}

inline std::optional<int> Process::exitcode() const noexcept {
    std::scoped_lock const guard(state_->mutex);
    return state_->exitcode;
}

inline ProcessHandle Process::handle() const {
    require_started("the process has not been started");
    return ProcessHandle(state_);
}

inline std::string Process::to_string() const {
    std::scoped_lock const guard(state_->mutex);
    std::string text = "<Process(" + state_->name + ", ";
    text += state_->exitcode ? "stopped" : state_->started ? "started" : "initial";
    if (state_->daemon) text += " daemon";
    if (state_->ident) text += ' ' + std::to_string(*state_->ident);
    return text + ")>";
}

inline void ProcessHandle::join(Timeout timeout) const {
    if (state_->ident == detail::this_thread_number()) throw RuntimeError("a thread cannot join itself");
    state_->wait(timeout.deadline());
}
inline bool ProcessHandle::is_alive() const noexcept { return state_->is_alive(); }
inline std::string const& ProcessHandle::name() const noexcept { return state_->name; }
inline bool ProcessHandle::daemon() const noexcept { return state_->daemon; }
inline std::int64_t ProcessHandle::ident() const noexcept { return *state_->ident; }
inline std::optional<int> ProcessHandle::exitcode() const noexcept {
    std::scoped_lock const guard(state_->mutex);
    return state_->exitcode;
}

inline ProcessHandle current_process() { return ProcessHandle(thread_detail::mine()); }

inline std::vector<ProcessHandle> active_children() {
    auto& parent = *thread_detail::mine();
    std::scoped_lock const guard(parent.mutex);
    std::vector<ProcessHandle> alive;
    std::erase_if(parent.children, [&](auto const& one) {
        auto const child = one.lock();
        bool const over = !child || !child->is_alive();
        if (!over) alive.push_back(ProcessHandle(child));
        return over;
    });
    return alive;
}

} // namespace multiprocessing::inline v0::dummy
