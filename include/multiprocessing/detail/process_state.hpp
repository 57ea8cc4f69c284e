#pragma once

#include <multiprocessing/detail/child_message.hpp>
#include <multiprocessing/detail/made_once.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/platform/random.hpp>
#include <multiprocessing/platform/self.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace multiprocessing::inline v0 {

/// How a child process comes to be.
///
/// fork        a copy of this process: takes any callable, fastest; Linux' default
/// spawn       the program again, in a fresh process; the only one on Windows, macOS' default
/// forkserver  forked from a small server process: safe with threads, and independent of this process' memory
///
/// Python: the strings 'fork', 'spawn', 'forkserver'.
enum class StartMethod { fork, spawn, forkserver };

/// Python's name of a start method.
inline char const* to_string(StartMethod method) noexcept;

/// The start method with Python's name. Throws ValueError for any other word.
inline StartMethod start_method_from(std::string_view name);

namespace detail {

#if defined(MULTIPROCESSING_LINUX)
inline constexpr StartMethod default_start_method = StartMethod::fork;
#else
inline constexpr StartMethod default_start_method = StartMethod::spawn;
#endif

/// What a process knows of itself: the data of `current_process`, without its behaviour.
struct process_state {
    std::string name = "MainProcess";
    std::string parent_name;             // empty in the first process
    platform::process_id parent_pid = 0; // 0 in the first process
    std::uint64_t parent = 0;            // its participant
    std::vector<std::size_t> identity;   // (2, 1): first child of the second child of the first process
    bool daemon = false;
    bool is_child = false;
    bool is_worker = false;             // of a pool: may have children, although it is a daemon
    std::uint32_t processor_shares = 1; // how many processes the processors are shared by, as far as pools know
    std::vector<std::byte> authkey;
    std::optional<StartMethod> start_method; // fixed, or inherited
    std::string executable;                  // set_executable; empty: this program
    std::atomic<std::size_t> children_made{0};
    /// A program that was started for a child, and has not yet reached freeze_support().
    std::atomic<bool> bootstrapping{false};

    MULTIPROCESSING_ONE_PER_PROCESS static process_state& instance();

private:
    process_state();
};

// ---- implementation

inline process_state& process_state::instance() {
    static constinit made_once<process_state> state;
    return state.get([] { return process_state(); });
}

inline process_state::process_state() : authkey(32) {
    std::error_code error;
    platform::random_bytes(authkey, error);
    if (error) throw OSError(error, "multiprocessing: random bytes for the authentication key");
    bootstrapping = child_message::received().has_value();
}

} // namespace detail

inline char const* to_string(StartMethod method) noexcept {
    constexpr std::array names{"fork", "spawn", "forkserver"};
    return names[static_cast<std::size_t>(method)];
}

inline StartMethod start_method_from(std::string_view name) {
    for (auto const method : {StartMethod::fork, StartMethod::spawn, StartMethod::forkserver}) {
        if (name == to_string(method)) return method;
    }
    throw ValueError("cannot find context for '" + std::string(name) + "'");
}

} // namespace multiprocessing::inline v0
