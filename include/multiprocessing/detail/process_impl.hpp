#pragma once

#include <multiprocessing/detail/made_once.hpp>
#include <multiprocessing/process.hpp>

/// The bodies of process.hpp: how a Process starts, and what happens in the child.
namespace multiprocessing::inline v0 {

namespace detail {

/// What a Process runs: a callable with its arguments, of any type.
class process_target {
public:
    virtual ~process_target() = default;
    virtual void run() = 0;
    virtual bool travels() const noexcept = 0;
    virtual entry_id factory() const = 0;
    virtual void save(output_archive& archive) const = 0;
};

/// Runs what a process, or a thread in place of one, is there for. What it throws is reported, and becomes the exit code.
template <class Run>
int run_to_exit_code(std::string const& name, Run&& run) {
    try {
        run();
        return 0;
    } catch (SystemExit const& exit) {
        return exit.code();
    } catch (...) {
        flush_standard_streams();
        std::fprintf(stderr, "Process %s:\n%s\n", name.c_str(), describe_exception(std::current_exception()).c_str());
        return 1;
    }
}

/// Makes a Process from what its `save` has written.
using process_factory = std::unique_ptr<Process>(input_archive& archive);

/// The doors that only this library may use.
struct process_access {
    static std::unique_ptr<Process> with_target(std::unique_ptr<process_target> target) {
        auto process = std::make_unique<Process>(ProcessOptions{.name = "-", .daemon = false});
        process->target_ = std::move(target);
        return process;
    }
    static std::unique_ptr<Process> without_target(input_archive&) { return with_target(nullptr); }
    static Process make_main() { return Process(Process::main_process_tag{}); }
    static void run_child(launch_record& record, std::vector<platform::native_handle> handles) noexcept;

    /// The Process of this process; null in the first one.
    MULTIPROCESSING_ONE_PER_PROCESS static Process*& current() noexcept {
        static Process* process = nullptr;
        return process;
    }
};

template <class F, class Signature>
class callable_target final : public process_target {
public:
    using arguments = typename Signature::kept;
    static constexpr bool can_travel = callable_travels<F> && detail::travels<arguments>;

    template <class Callable, class... Args>
    explicit callable_target(Callable&& callable, Args&&... args)
        : callable_(std::forward<Callable>(callable)), arguments_(std::forward<Args>(args)...) {}

    void run() override { Signature::call(callable_, arguments_); }
    bool travels() const noexcept override { return can_travel; }
    entry_id factory() const override {
        if constexpr (can_travel) return identify<&make>();
        throw PicklingError(cannot_travel_text);
    }
    void save(output_archive& archive) const override {
        if constexpr (can_travel) {
            save_callable(archive, callable_);
            archive << arguments_;
        }
    }

private:
    static std::unique_ptr<Process> make(input_archive& archive) {
        F callable = load_callable<F>(archive);
        return process_access::with_target(
            std::make_unique<callable_target>(from_tuple{}, std::move(callable), archive.make<arguments>()));
    }

public:
    struct from_tuple {};
    callable_target(from_tuple, F callable, arguments&& kept)
        : callable_(std::move(callable)), arguments_(std::move(kept)) {}

private:
    F callable_;
    arguments arguments_;
};

template <class F, class... Args>
std::unique_ptr<process_target> make_target(F&& callable, Args&&... args) {
    using kept_callable = std::decay_t<F>;
    if constexpr (declares_parameters<kept_callable>) {
        static_assert(
            declared<kept_callable>::type::arity == sizeof...(Args),
            "multiprocessing: the target takes another number of arguments");
    }
    using target = callable_target<kept_callable, signature_of<kept_callable, Args...>>;
    return std::make_unique<target>(std::forward<F>(callable), std::forward<Args>(args)...);
}

} // namespace detail

// ---- ProcessHandle

inline void ProcessHandle::require_creator(char const* what) const {
    if (child_->creator() == platform::current_process_id()) return;
    throw AssertionError(std::string("can only ") + what + " a child process");
}

inline void ProcessHandle::join(Timeout timeout) const {
    require_creator("join");
    child_->wait(timeout.deadline());
}

inline bool ProcessHandle::is_alive() const {
    require_creator("test");
    return !child_->wait(platform::deadline::min()).has_value();
}

inline std::optional<int> ProcessHandle::exitcode() const {
    if (child_->creator() != platform::current_process_id()) return std::nullopt;
    return child_->wait(platform::deadline::min());
}

namespace detail {

inline void signal_child(child_state& child, void (*send)(platform::process_id, std::error_code&), char const* what) {
    // A child that has been waited for has no process id any more: it may be somebody else's by now.
    if (child.creator() == platform::current_process_id() && child.wait(platform::deadline::min())) return;
    std::error_code error;
    send(child.pid(), error);
    if (error) throw OSError(error, std::string(what) + " process " + std::to_string(child.pid()));
}

} // namespace detail

inline void ProcessHandle::terminate() const {
    detail::signal_child(
        *child_, [](auto pid, auto& error) { platform::terminate_process(pid, error); }, "terminate");
}
inline void ProcessHandle::kill() const {
    detail::signal_child(
        *child_, [](auto pid, auto& error) { platform::kill_process(pid, error); }, "kill");
}
inline void ProcessHandle::interrupt() const {
    detail::signal_child(
        *child_, [](auto pid, auto& error) { platform::interrupt_process(pid, error); }, "interrupt");
}

inline std::string const& ProcessHandle::name() const noexcept { return child_->name; }
inline bool ProcessHandle::daemon() const noexcept { return child_->daemon; }
inline std::int64_t ProcessHandle::pid() const noexcept { return child_->pid(); }
inline platform::native_handle ProcessHandle::sentinel() const noexcept { return child_->sentinel(); }

// ---- Process: making one

inline Process::Process(ProcessOptions options) : options_(std::move(options)) {
    auto& state = detail::process_state::instance();
    identity_ = state.identity;
    identity_.push_back(state.children_made.fetch_add(1) + 1);
    authkey_ = state.authkey;
    parent_pid_ = platform::current_process_id();
    if (!options_.daemon) options_.daemon = state.daemon;
    if (!options_.name.empty()) return;
    options_.name = "Process";
    char separator = '-';
    for (auto const number : identity_) {
        options_.name += separator + std::to_string(number);
        separator = ':';
    }
}

inline Process::Process(main_process_tag)
    : options_{.name = "MainProcess", .daemon = false, .method = {}}, current_(true) {
    authkey_ = detail::process_state::instance().authkey;
}

template <class F, class... Args>
    requires(!std::derived_from<std::decay_t<F>, Process> && !std::same_as<std::decay_t<F>, ProcessOptions>)
Process::Process(F&& target, Args&&... args)
    : Process(ProcessOptions{}, std::forward<F>(target), std::forward<Args>(args)...) {}

template <class F, class... Args>
    requires(!std::derived_from<std::decay_t<F>, Process>)
Process::Process(ProcessOptions options, F&& target, Args&&... args) : Process(std::move(options)) {
    target_ = detail::make_target(std::forward<F>(target), std::forward<Args>(args)...);
}

inline Process::Process(Process&& other) noexcept = default;

inline Process::~Process() {
    if (!child_ || child_->creator() != platform::current_process_id()) return;
    try {
        if (child_->wait(platform::deadline::min())) return;
        if (daemon()) terminate();
        child_->wait(platform::never);
    } catch (...) {
    } // the system refused; the exit of this process, or the lifeline, ends the child
}

inline void Process::run() {
    if (target_) target_->run();
}

inline bool Process::travels() const noexcept {
    return target_ ? target_->travels() : typeid(*this) == typeid(Process);
}

inline detail::entry_id Process::factory() const {
    return target_ ? target_->factory() : detail::identify<&detail::process_access::without_target>();
}

inline void Process::save(detail::output_archive& archive) const {
    if (target_) target_->save(archive);
}

template <class Derived>
detail::entry_id SpawnableProcess<Derived>::factory() const {
    return detail::identify<&SpawnableProcess::make>();
}

template <class Derived>
void SpawnableProcess<Derived>::save(detail::output_archive& archive) const {
    if constexpr (detail::user_serialize<detail::output_archive, Derived>) {
        archive << static_cast<Derived const&>(*this);
    } else {
        static_assert(
            sizeof(Derived) == sizeof(SpawnableProcess),
            "multiprocessing: a class derived from SpawnableProcess that has members needs serialize()");
    }
}

template <class Derived>
std::unique_ptr<Process> SpawnableProcess<Derived>::make(detail::input_archive& archive) {
    auto process = std::make_unique<Derived>();
    if constexpr (detail::user_serialize<detail::input_archive, Derived>) archive >> *process;
    return process;
}

// ---- Process: starting it

inline void Process::start() {
    require_open();
    auto& state = detail::process_state::instance();
    if (started_) throw AssertionError("cannot start a process twice");
    if (parent_pid_ != platform::current_process_id()) {
        throw AssertionError("can only start a process object created by current process");
    }
    if (state.daemon && !state.is_worker) throw AssertionError("daemonic processes are not allowed to have children");
    detail::require_bootstrapped();
    detail::children::instance().running(); // buries those that have ended
    detail::hooks::instance().set_last([] {
        detail::children::instance().finish();
        detail::fork_server::instance().stop();
    });
    if (start_method() == StartMethod::fork) {
        start_forked();
    } else {
        start_elsewhere(start_method());
    }
    started_ = true;
    target_.reset(); // the child has its own
}

inline void Process::start_forked() {
    detail::arena& memory = detail::arena::instance(); // before the fork, or the child would not share it
    auto [ours, childs] = detail::make_lifeline();
    auto* const record = memory.create<detail::launch_record>();
    auto child = std::make_shared<detail::child_state>(record, std::move(ours));
    child->name = name();
    child->daemon = daemon();
    auto const parent = detail::participant::self();
    std::string const& parent_name = current_process().name(); // here, so that not every child makes the object
    detail::flush_standard_streams();
    auto& objects = detail::known_objects::instance();
    auto siblings = detail::children::instance().hold();
    auto hooks = detail::hooks::instance().hold();
    objects.before_fork();
    std::error_code error;
    auto const process = platform::fork_process(error);
    if (error) {
        objects.fork_failed();
        memory.destroy(record);
        throw OSError(error, "Process.start: fork");
    }
    if (process.pid == 0) {
        objects.begin_child();
        detail::children::instance().begin_child();
        detail::fork_server::instance().begin_child();
        child->abandon();
        platform::die_with(childs.release(), error);
        auto& state = detail::process_state::instance();
        state.parent_name = parent_name;
        state.parent_pid = parent_pid_;
        state.parent = parent.word();
        state.start_method = StartMethod::fork;
        bootstrap(*record);
    }
    objects.after_fork();
    hooks.unlock();
    siblings.unlock();
    child->started(process);
    child_ = child;
    detail::children::instance().add(std::move(child));
}

inline void Process::start_elsewhere(StartMethod method) {
    if (!platform::has_fork && method == StartMethod::forkserver) {
        throw ValueError("the start method forkserver does not exist on this system");
    }
    if (!travels()) {
        throw PicklingError(
            target_ ? detail::cannot_travel_text
                    : "a class derived from Process can only be forked; derive from SpawnableProcess<Class> instead");
    }
    auto const& state = detail::process_state::instance();
    detail::byte_buffer message;
    detail::launch_handles handles;
    {
        detail::output_archive archive(message);
        archive.carry_handles(&handles);
        archive << name() << current_process().name() << platform::current_process_id()
                << detail::participant::self().word() << identity_ << daemon() << authkey_ << method << state.executable
                << factory();
        save(archive);
    }
    auto [ours, childs] = detail::make_lifeline();
    auto* const record =
        detail::make_launch_record(detail::identify<&detail::process_access::run_child>(), message, handles);
    auto child = std::make_shared<detail::child_state>(record, std::move(ours));
    child->name = name();
    child->daemon = daemon();
    detail::flush_standard_streams();
    try {
        if (method == StartMethod::spawn) {
            child->started(detail::start_this_program(record, childs.get()));
        } else {
            detail::fork_server::instance().start(*child, *record, childs.get());
        }
    } catch (...) {
        detail::free_launch_record(record);
        throw;
    }
    child_ = child;
    detail::children::instance().add(std::move(child));
}

// ---- in the child

inline void
detail::process_access::run_child(launch_record& record, std::vector<platform::native_handle> handles) noexcept {
    auto& state = process_state::instance();
    std::unique_ptr<Process> process;
    try {
        arena& memory = arena::instance();
        launch_handles carrier(std::move(handles));
        input_archive archive({memory.at(record.message), static_cast<std::size_t>(record.message_size)});
        archive.carry_handles(&carrier);
        auto name = archive.make<std::string>();
        archive >> state.parent_name >> state.parent_pid >> state.parent;
        auto identity = archive.make<std::vector<std::size_t>>();
        auto const daemon = archive.make<bool>();
        auto authkey = archive.make<std::vector<std::byte>>();
        state.start_method = archive.make<StartMethod>();
        archive >> state.executable;
        state.authkey = authkey; // objects that are loaded now may ask for it
        auto const make = find_entry<process_factory>(archive.make<entry_id>());
        process = make(archive);
        process->options_ = {.name = std::move(name), .daemon = daemon, .method = {}};
        process->identity_ = std::move(identity);
        process->parent_pid_ = state.parent_pid;
        process->authkey_ = std::move(authkey);
    } catch (...) {
        flush_standard_streams();
        std::fprintf(
            stderr,
            "multiprocessing: a new process cannot begin:\n%s\n",
            describe_exception(std::current_exception()).c_str());
        record.intended.store(1, std::memory_order_release);
        platform::exit_process(1);
    }
    process->bootstrap(record);
}

inline void Process::bootstrap(detail::launch_record& record) noexcept {
    auto& state = detail::process_state::instance();
    state.is_child = true;
    state.name = name();
    state.daemon = daemon();
    state.identity = identity_;
    state.authkey = authkey_;
    state.children_made = 0;
    current_ = true;
    detail::process_access::current() = this;
    platform::close_standard_input();
    detail::hooks::instance().begin_child();
    int const code = detail::run_to_exit_code(name(), [this] { run(); });
    detail::hooks::instance().run_exit();
    detail::known_objects::instance().release_all();
    detail::flush_standard_streams();
    record.intended.store(static_cast<std::uint32_t>(code & 0xff), std::memory_order_release);
    platform::exit_process(code);
}

// ---- Process: the rest of its life

inline void Process::require_open() const {
    if (closed_) throw ValueError("process object is closed");
}

inline void Process::require_started(char const* what) const {
    require_open();
    if (!child_) throw AssertionError(std::string("can only ") + what + " a started process");
}

inline ProcessHandle Process::handle() const {
    require_started("take a handle of");
    return ProcessHandle(child_);
}

inline void Process::join(Timeout timeout) {
    require_open();
    if (parent_pid_ != platform::current_process_id()) throw AssertionError("can only join a child process");
    require_started("join");
    child_->wait(timeout.deadline());
}

inline bool Process::is_alive() const {
    require_open();
    if (current_) return true;
    if (parent_pid_ != platform::current_process_id()) throw AssertionError("can only test a child process");
    return child_ && ProcessHandle(child_).is_alive();
}

inline void Process::terminate() {
    require_started("terminate");
    ProcessHandle(child_).terminate();
}
inline void Process::kill() {
    require_started("kill");
    ProcessHandle(child_).kill();
}
inline void Process::interrupt() {
    require_started("interrupt");
    ProcessHandle(child_).interrupt();
}

inline void Process::close() {
    if (current_) return;
    if (child_ && !child_->wait(platform::deadline::min())) {
        throw ValueError(
            "Cannot close a process while it is still running. You should first call join() or terminate().");
    }
    child_.reset();
    target_.reset();
    closed_ = true;
}

inline void Process::daemon(bool daemon) {
    if (started_) throw AssertionError("process has already started");
    options_.daemon = daemon;
}

inline void Process::authkey(std::vector<std::byte> key) {
    authkey_ = std::move(key);
    if (current_) detail::process_state::instance().authkey = authkey_; // what children inherit
}

inline std::optional<std::int64_t> Process::pid() const {
    require_open();
    if (current_) return platform::current_process_id();
    if (!child_) return std::nullopt;
    return child_->pid();
}

inline std::optional<int> Process::exitcode() const {
    require_open();
    if (!child_) return std::nullopt;
    return ProcessHandle(child_).exitcode();
}

inline platform::native_handle Process::sentinel() const {
    require_open();
    if (!child_) throw ValueError("process not started");
    return child_->sentinel();
}

inline StartMethod Process::start_method() const {
    if (options_.method) return *options_.method;
    return detail::process_state::instance().start_method.value_or(detail::default_start_method);
}

inline std::string Process::to_string() const {
    std::string text = "<Process name='" + name() + "'";
    std::string status = "initial";
    if (closed_) {
        status = "closed";
    } else if (current_) {
        status = "started";
    } else if (child_ && parent_pid_ != platform::current_process_id()) {
        status = "unknown";
    } else if (child_) {
        auto const code = exitcode();
        status = code ? "stopped" : "started";
        if (code && *code != 0) {
            auto const signal = platform::signal_name(-*code);
            status += " exitcode=" + (*code < 0 && !signal.empty() ? '-' + signal : std::to_string(*code));
        }
    }
    if (!closed_ && pid()) text += " pid=" + std::to_string(*pid());
    text += " parent=" + std::to_string(parent_pid_) + ' ' + status;
    return text + (daemon() ? " daemon>" : ">");
}

// ---- functions

inline Process& current_process() {
    static constinit detail::made_once<Process> main_process;
    auto* const current = detail::process_access::current();
    return current != nullptr ? *current : main_process.get([] { return detail::process_access::make_main(); });
}

inline std::string const& ParentProcess::name() const noexcept { return detail::process_state::instance().parent_name; }
inline std::int64_t ParentProcess::pid() const noexcept { return detail::process_state::instance().parent_pid; }
inline bool ParentProcess::is_alive() const noexcept {
    return detail::participant(detail::process_state::instance().parent).is_alive();
}

inline std::optional<ParentProcess> parent_process() {
    if (!detail::process_state::instance().is_child) return std::nullopt;
    return ParentProcess();
}

inline std::vector<ProcessHandle> active_children() {
    std::vector<ProcessHandle> all;
    for (auto& child : detail::children::instance().running()) all.push_back(ProcessHandle(std::move(child)));
    return all;
}

} // namespace multiprocessing::inline v0
