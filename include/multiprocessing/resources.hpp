#pragma once

#include <multiprocessing/errors.hpp>
#include <multiprocessing/platform/limits.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

/// What workers may use of the machine.
namespace multiprocessing::inline v0 {

/// What a worker may use of the machine; everything is optional. A worker that cannot be limited as wanted does not start: on
/// macOS and Windows some of it is not possible.
///
///     mp::WorkerLimits{.memory = 500 << 20, .nice = 10, .one_processor_each = true, .threads = 1}
///
/// Python: `resource.setrlimit`, `os.nice`, `os.sched_setaffinity` in an initializer.
struct WorkerLimits {
    /// A worker that has more bytes of memory in use than this after a chunk of items is replaced. What is shared between
    /// processes does not count; with fork, what a worker has from its parent does.
    std::optional<std::uint64_t> memory{};

    /// Allocations that would give a worker more bytes of private memory than this, in use or not, fail: std::bad_alloc. Not
    /// on macOS and Windows.
    std::optional<std::uint64_t> address_space{};

    /// A worker that has run for so long on processors, since its start, is ended by the system, with SIGXCPU: the item that it
    /// ran is lost. At least one second. Not on Windows.
    std::optional<std::chrono::seconds> cpu_time{};

    /// How much more often other processes get a processor: 1 to 19, added to what this process has; below 0 with privileges
    /// only. On Windows there are two steps: 1 to 9, and 10 or more.
    std::optional<int> nice{};

    /// The processors that workers may run on, counted from 0; empty: those that this process may use. Not on macOS.
    std::vector<int> processors{};

    /// Each worker runs on one of them, in turn. Not on macOS.
    bool one_processor_each = false;

    /// How many threads OpenMP, OpenBLAS, MKL, Accelerate and NumExpr start in a worker, at least 1: their variables are set,
    /// OMP_NUM_THREADS for instance, and on Linux the first three are told if the program is linked with them.
    std::optional<int> threads{};

    bool operator==(WorkerLimits const&) const = default;

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& memory& address_space& cpu_time& nice& processors& one_processor_each& threads;
    }
};

// ---- implementation

namespace detail {

/// Throws ValueError for what makes no sense on any machine.
inline void check_limits(WorkerLimits const& limits) {
    auto const require = [](bool sensible, char const* what) {
        if (!sensible) throw ValueError(std::string("WorkerLimits: ") + what);
    };
    require(limits.memory != 0U, "memory must not be 0");
    require(limits.address_space != 0U, "address_space must not be 0");
    require(!limits.cpu_time || limits.cpu_time->count() >= 1, "cpu_time must be at least a second");
    require(!limits.threads || *limits.threads >= 1, "threads must be at least 1");
    for (int const processor : limits.processors) require(processor >= 0, "a processor's number must not be negative");
}

/// Limits this process, which is a fresh worker; `worker` counts from 0.
/// Throws     ValueError  as check_limits; OSError  the system refuses, says what
inline void apply_limits(WorkerLimits const& limits, unsigned worker) {
    check_limits(limits);
    std::error_code error;
    auto const require = [&error](std::string const& what) {
        if (error) throw OSError(error, "WorkerLimits: " + what);
    };
    if (limits.threads) {
        platform::limit_library_threads(*limits.threads, error);
        require("threads " + std::to_string(*limits.threads));
    }
    std::vector<int> processors = limits.processors;
    if (limits.one_processor_each) {
        if (processors.empty()) processors = platform::usable_processors();
        if (processors.empty()) error = std::make_error_code(std::errc::function_not_supported);
        require("one_processor_each");
        processors = {processors[worker % processors.size()]};
    }
    if (!processors.empty()) {
        platform::run_only_on(processors, error);
        std::string what = "processors";
        for (int const processor : processors) what += ' ' + std::to_string(processor);
        require(what);
    }
    if (limits.nice) {
        platform::add_niceness(*limits.nice, error);
        require("nice " + std::to_string(*limits.nice));
    }
    if (limits.cpu_time) {
        platform::limit_cpu_time(*limits.cpu_time, error);
        require("cpu_time " + std::to_string(limits.cpu_time->count()) + " s");
    }
    if (limits.address_space) { // last, as the others allocate
        platform::limit_private_memory(*limits.address_space, error);
        require("address_space " + std::to_string(*limits.address_space));
    }
}

/// Whether this worker is to be replaced for the memory that it has in use. Costs a few system calls.
inline bool exceeds_memory(WorkerLimits const& limits) noexcept {
    return limits.memory && platform::resident_memory() > *limits.memory;
}

} // namespace detail

} // namespace multiprocessing::inline v0
