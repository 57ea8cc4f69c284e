#pragma once

#include <multiprocessing/pool.hpp>
#include <multiprocessing/process.hpp>

#include <array>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace multiprocessing::inline v0 {

/// The start methods of this system, the default first. Python: `multiprocessing.get_all_start_methods()`.
inline std::vector<StartMethod> get_all_start_methods();

/// Fixes the start method of this program: how Process and Pool make children unless they are told otherwise. Children
/// inherit it.
///
/// Python: `multiprocessing.set_start_method(method, force=False)`.
/// method     a StartMethod, or Python's name of it; nullopt with force: not fixed any more
/// Throws     RuntimeError  it is fixed already, and not forced;  ValueError  this system has no such method
/// Safe from  the beginning of main(), before children exist
inline void set_start_method(std::optional<StartMethod> method, bool force = false);
inline void set_start_method(std::string_view method, bool force = false);

/// The start method. Fixes the default if none is fixed, unless `allow_none`: then it is empty.
///
/// Python: `multiprocessing.get_start_method(allow_none=False)`.
inline std::optional<StartMethod> get_start_method(bool allow_none = false);

/// What makes processes by one start method, beside whatever the program uses otherwise.
///
///     auto spawn = mp::get_context("spawn");
///     auto worker = spawn.Process(work, 3);
///     auto pool = spawn.Pool(4);
///
/// Differs: locks, queues and everything else that is shared need no context here: they work with every start method.
class Context {
public:
    explicit Context(StartMethod method) : method_(method) {}

    /// As the constructors of Process; the options in front are ProcessOptions.
    template <class... Args>
    [[nodiscard]] multiprocessing::Process Process(Args&&... args) const;
    template <class... Args>
    [[nodiscard]] multiprocessing::Process Process(ProcessOptions options, Args&&... args) const;

    /// As the constructors of Pool.
    template <class... Args>
    [[nodiscard]] multiprocessing::Pool Pool(std::optional<int> processes = {}, Args&&... args) const;
    template <class... Args>
    [[nodiscard]] multiprocessing::Pool Pool(PoolOptions options, Args&&... args) const;

    StartMethod get_start_method() const noexcept { return method_; }
    /// A context has its method for ever. Throws ValueError. Python: the same.
    [[noreturn]] void set_start_method(std::optional<StartMethod>, bool = false) const {
        throw ValueError("cannot set start method of concrete context");
    }

private:
    StartMethod method_;
};

/// A context whose start method is known at compile time, so that what cannot travel is a compile error and no
/// PicklingError.
template <StartMethod method>
class StaticContext : public Context {
public:
    StaticContext() : Context(method) {}

    template <class F, class... Args>
        requires(!std::same_as<std::decay_t<F>, ProcessOptions>)
    [[nodiscard]] multiprocessing::Process Process(F&& target, Args&&... args) const {
        return Process(ProcessOptions{}, std::forward<F>(target), std::forward<Args>(args)...);
    }
    template <class F, class... Args>
    [[nodiscard]] multiprocessing::Process Process(ProcessOptions options, F&& target, Args&&... args) const;
};

using ForkContext = StaticContext<StartMethod::fork>;
using SpawnContext = StaticContext<StartMethod::spawn>;
using ForkServerContext = StaticContext<StartMethod::forkserver>;

/// The context of a start method; empty: of the one that this program uses, which is fixed by that.
///
/// Python: `multiprocessing.get_context(method=None)`.
/// Throws     ValueError  this system has no such method
inline Context get_context(std::optional<StartMethod> method = {});
inline Context get_context(std::string_view method);

// ---- implementation

inline std::vector<StartMethod> get_all_start_methods() {
    if (!platform::has_fork) return {StartMethod::spawn};
    std::vector<StartMethod> all{StartMethod::fork, StartMethod::spawn, StartMethod::forkserver};
    if (detail::default_start_method != StartMethod::fork) std::swap(all[0], all[1]);
    return all;
}

namespace detail {

inline void require_start_method(StartMethod method) {
    for (auto const one : get_all_start_methods()) {
        if (one == method) return;
    }
    throw ValueError(std::string("cannot find context for '") + to_string(method) + "' on this system");
}

} // namespace detail

inline void set_start_method(std::optional<StartMethod> method, bool force) {
    auto& fixed = detail::process_state::instance().start_method;
    if (fixed && !force) throw RuntimeError("context has already been set");
    if (method) {
        detail::require_start_method(*method);
    } else if (!force) {
        method = detail::default_start_method;
    }
    fixed = method;
}

inline void set_start_method(std::string_view method, bool force) {
    set_start_method(start_method_from(method), force);
}

inline std::optional<StartMethod> get_start_method(bool allow_none) {
    auto& fixed = detail::process_state::instance().start_method;
    if (!fixed && !allow_none) fixed = detail::default_start_method;
    return fixed;
}

inline Context get_context(std::optional<StartMethod> method) {
    if (method) detail::require_start_method(*method);
    return Context(method ? *method : *get_start_method());
}

inline Context get_context(std::string_view method) { return get_context(start_method_from(method)); }

template <class... Args>
Process Context::Process(Args&&... args) const {
    return Process(ProcessOptions{}, std::forward<Args>(args)...);
}

template <class... Args>
Process Context::Process(ProcessOptions options, Args&&... args) const {
    options.method = method_;
    return multiprocessing::Process(std::move(options), std::forward<Args>(args)...);
}

template <class... Args>
Pool Context::Pool(std::optional<int> processes, Args&&... args) const {
    return Pool(PoolOptions{.processes = processes}, std::forward<Args>(args)...);
}

template <class... Args>
Pool Context::Pool(PoolOptions options, Args&&... args) const {
    options.method = method_;
    return multiprocessing::Pool(std::move(options), std::forward<Args>(args)...);
}

template <StartMethod method>
template <class F, class... Args>
Process StaticContext<method>::Process(ProcessOptions options, F&& target, Args&&... args) const {
    if constexpr (method != StartMethod::fork) {
        static_assert(
            detail::callable_travels<std::decay_t<F>>,
            "multiprocessing: this target holds state that cannot travel to a spawned process; use a function, "
            "a lambda without captures, partial(), by_value() or a function object with serialize()");
        static_assert(
            detail::travels<typename detail::signature_of<std::decay_t<F>, Args...>::kept>,
            "multiprocessing: an argument of this target cannot travel to a spawned process");
    }
    return Context::Process(std::move(options), std::forward<F>(target), std::forward<Args>(args)...);
}

} // namespace multiprocessing::inline v0
