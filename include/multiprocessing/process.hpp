#pragma once

#include <multiprocessing/detail/callable.hpp>
#include <multiprocessing/detail/child.hpp>
#include <multiprocessing/detail/exceptions.hpp>
#include <multiprocessing/detail/shared_object.hpp>
#include <multiprocessing/forkserver.hpp>
#include <multiprocessing/spawn.hpp>
#include <multiprocessing/util.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace multiprocessing::inline v0 {

class Process;

namespace detail {

class process_target;
struct process_access;

} // namespace detail

/// What can be said before the target of a Process; everything is optional.
struct ProcessOptions {
    std::string name{};                  ///< empty: Process-1, Process-2, … below Process-2: Process-2:1 …
    std::optional<bool> daemon{};        ///< ended with its parent, may have no children; empty: as this process is
    std::optional<StartMethod> method{}; ///< empty: the start method of the program
};

/// A started child process: what can be known of it and done with it. Copies share. Python has only Process for this;
/// here that one cannot be copied.
///
/// Safe from  any thread of the process that started the child.
class ProcessHandle {
public:
    /// Waits until the child has ended. Blocks at most for the timeout; ask exitcode() whether it has ended.
    ///
    /// Python: `Process.join(timeout=None)`.
    /// Throws     AssertionError  this process did not start the child
    void join(Timeout timeout = {}) const;

    /// Whether it still runs. Does not block. Throws AssertionError as join does.
    bool is_alive() const;

    /// Asks the child to end: SIGTERM, or the end at once on Windows. Nothing happens if it has ended.
    void terminate() const;
    /// Ends the child at once: SIGKILL.
    void kill() const;
    /// Interrupts it as Ctrl-C would: SIGINT.
    void interrupt() const;

    std::string const& name() const noexcept;
    bool daemon() const noexcept;
    std::int64_t pid() const noexcept;
    std::int64_t ident() const noexcept { return pid(); }

    /// Empty while it runs; its exit code; or the negative number of the signal that ended it. 255 if the system told
    /// somebody else (SIGCHLD ignored, a foreign wait, a dead fork server).
    std::optional<int> exitcode() const;

    /// A handle that becomes readable when the child has ended, for poll, select, or `wait`.
    platform::native_handle sentinel() const noexcept;

private:
    friend class Process;
    friend std::vector<ProcessHandle> active_children();
    explicit ProcessHandle(std::shared_ptr<detail::child_state> child) : child_(std::move(child)) {}
    void require_creator(char const* what) const;

    std::shared_ptr<detail::child_state> child_;
};

/// A function that runs in a process of its own.
///
///     mp::Process p(greet, "bob");
///     p.start();
///     p.join();
///
/// Python: `multiprocessing.Process`. Differs: the target comes first and its arguments follow, as with std::thread; options
/// come in front of it: `Process({.name = "greeter", .daemon = true}, greet, "bob")`. It cannot be copied. When a Process
/// is destroyed while its child runs, the child is joined; a daemon is terminated first.
///
/// A class derived from Process that overrides run() works with fork; derive from SpawnableProcess for all start methods.
///
/// Safe from  one thread at a time; `handle()` gives something that all threads may use.
/// Example    examples/01_hello_process.cpp, 02_several_workers.cpp
class Process {
public:
    /// Without a target: for derived classes, or a child that ends at once.
    explicit Process(ProcessOptions options = {});

    /// The arguments are converted to the parameter types of the target here, so "bob" arrives as std::string. Under
    /// fork anything may be passed; otherwise target and arguments have to travel, or start() throws PicklingError.
    template <class F, class... Args>
        requires(!std::derived_from<std::decay_t<F>, Process> && !std::same_as<std::decay_t<F>, ProcessOptions>)
    explicit Process(F&& target, Args&&... args);
    template <class F, class... Args>
        requires(!std::derived_from<std::decay_t<F>, Process>)
    Process(ProcessOptions options, F&& target, Args&&... args);

    virtual ~Process();
    Process(Process&&) noexcept;
    Process& operator=(Process&&) = delete;

    /// What the child does: calls the target. May be overridden. Called directly it runs here, in this process.
    virtual void run();

    /// Starts the child, which calls run(). Returns when the process exists.
    ///
    /// Python: `Process.start()`.
    /// Throws     AssertionError  it was started before, belongs to another process, or this process is a daemon;
    ///            ValueError      it is closed;
    ///            PicklingError   the target or an argument cannot travel; nothing was started;
    ///            RuntimeError    main() of a spawned program did not call freeze_support();
    ///            OSError         the system refused
    void start();

    /// Waits until the child has ended. Blocks at most for the timeout; ask exitcode() whether it has ended.
    ///
    /// Python: `Process.join(timeout=None)`.
    /// Throws     AssertionError  not started, or started by another process; ValueError  closed
    void join(Timeout timeout = {});

    /// Whether the child runs. Does not block. Throws as join does, but is false before start().
    bool is_alive() const;

    /// SIGTERM (the end at once on Windows), SIGKILL, SIGINT. Nothing happens if the child has ended.
    /// Throws     AssertionError  not started; ValueError  closed; OSError  not permitted
    void terminate();
    void kill();
    void interrupt();

    /// Forgets the child. Throws ValueError while it runs. Afterwards only name() and daemon() may be called.
    void close();

    /// Default: Process-1, Process-2, … Any name will do.
    std::string const& name() const noexcept { return options_.name; }
    void name(std::string name) { options_.name = std::move(name); }

    /// A daemon is terminated when its parent ends, and may not have children. Throws AssertionError after start().
    bool daemon() const noexcept { return *options_.daemon; }
    void daemon(bool daemon);

    /// The child's process id; empty before start(). Throws ValueError when closed.
    std::optional<std::int64_t> pid() const;
    std::optional<std::int64_t> ident() const { return pid(); }

    /// Empty before the start and while the child runs; its exit code; or the negative number of the signal that ended
    /// it. Does not block. Throws ValueError when closed.
    std::optional<int> exitcode() const;

    /// Becomes readable when the child has ended. Throws ValueError before start() and when closed.
    platform::native_handle sentinel() const;

    /// The key by which this family of processes knows each other; children inherit that of current_process().
    std::vector<std::byte> const& authkey() const noexcept { return authkey_; }
    void authkey(std::vector<std::byte> key);

    /// The started child, for several owners and threads. Throws AssertionError before start().
    ProcessHandle handle() const;

    /// The start method that start() uses.
    StartMethod start_method() const;

    /// Python's repr: <Process name='Process-1' pid=7 parent=3 started daemon>
    std::string to_string() const;
    friend std::ostream& operator<<(std::ostream& stream, Process const& process) {
        return stream << process.to_string();
    }

private:
    friend struct detail::process_access;

    // What a class has to say so that its objects can be made again in another process, see SpawnableProcess.
    virtual bool travels() const noexcept;
    virtual detail::entry_id factory() const;
    virtual void save(detail::output_archive& archive) const;

    struct main_process_tag {};
    explicit Process(main_process_tag);

    void require_open() const;
    void require_started(char const* what) const;
    void start_forked();
    void start_elsewhere(StartMethod method);
    [[noreturn]] void bootstrap(detail::launch_record& record) noexcept;

    ProcessOptions options_;
    std::vector<std::size_t> identity_;
    std::vector<std::byte> authkey_;
    std::int64_t parent_pid_ = 0;
    std::unique_ptr<detail::process_target> target_;
    std::shared_ptr<detail::child_state> child_;
    bool started_ = false;
    bool closed_ = false;
    bool current_ = false; // this object is the process that it runs in
};

/// Base for classes that override run() and shall work with every start method. The state travels by `serialize`.
///
///     class Echo : public mp::SpawnableProcess<Echo> {
///         int times_ = 0;
///         void run() override { … }
///         friend class boost::serialization::access;
///         template <class A> void serialize(A& archive, unsigned) { archive & times_; }
///     };
///
/// Derived has to have a default constructor. Differs: Python finds a class by its name, C++ cannot.
template <class Derived>
class SpawnableProcess : public Process {
public:
    using Process::Process;

private:
    bool travels() const noexcept override { return true; }
    detail::entry_id factory() const override;
    void save(detail::output_archive& archive) const override;
    static std::unique_ptr<Process> make(detail::input_archive& archive);

    // A member of Derived must not hide in the padding at the end: its presence is seen from the size.
    [[maybe_unused]] std::uint64_t no_padding_ = 0;
};

/// The process in which this is called: a child's own Process, or an object that stands for the first process.
///
/// Python: `multiprocessing.current_process()`.
inline Process& current_process();

/// The parent of this process.
class ParentProcess {
public:
    std::string const& name() const noexcept;
    std::int64_t pid() const noexcept;
    std::int64_t ident() const noexcept { return pid(); }
    /// Whether it still runs. A process whose parent is killed ends as well, so this is true for as long as it can be
    /// asked, but for the moments in between.
    bool is_alive() const noexcept;
};

/// Empty in the first process of a program.
///
/// Python: `multiprocessing.parent_process()`.
inline std::optional<ParentProcess> parent_process();

/// The children of this process that still run. Those that have ended are waited for, so that no zombies are left.
///
/// Python: `multiprocessing.active_children()`.
inline std::vector<ProcessHandle> active_children();

/// Processors of the machine, at least 1. Python: `multiprocessing.cpu_count()`.
inline unsigned cpu_count() noexcept { return platform::cpu_count(); }

/// Processors that this process may use: its affinity and the quota of its control group count.
/// Python: `os.process_cpu_count()`, which does not know quotas.
inline unsigned process_cpu_count() noexcept { return platform::process_cpu_count(); }

} // namespace multiprocessing::inline v0

#include <multiprocessing/detail/process_impl.hpp>
