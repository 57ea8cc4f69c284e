#pragma once

#include <multiprocessing/detail/fork_generation.hpp>
#include <multiprocessing/detail/running_task.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/random.hpp>
#include <multiprocessing/util.hpp>

#include <cstdint>
#include <optional>
#include <utility>

namespace multiprocessing::inline v0 {

/// Which item of a pool's call this thread is running: its position in the input. Empty outside of items.
/// Python has no such thing.
inline std::optional<std::uint64_t> task_index() noexcept {
    auto const* const task = detail::running_task::of_this_thread();
    return task == nullptr ? std::nullopt : std::optional(task->index);
}

/// How often the item has been tried, this time included: 1, and more where a call has `retries`.
inline unsigned task_attempt() noexcept {
    auto const* const task = detail::running_task::of_this_thread();
    return task == nullptr ? 1 : task->attempt;
}

/// The random numbers of the item that this thread is running: the same for any number of workers, and when it is tried
/// again; different for each seed, and each item. Throws AssertionError outside of items.
///
///     double sample(int) { return mp::task_rng(2024).uniform01(); }
///     double const mean = …pool.map(sample, std::views::iota(0, n));
inline TaskRng task_rng(std::uint64_t seed) {
    auto const index = task_index();
    if (!index) throw AssertionError("task_rng(seed) is for items of a pool; elsewhere give the index, too");
    return task_rng(seed, *index);
}

/// An object that all items that a worker runs share, such as a connection to a data base or a model that was loaded: made
/// when it is asked for first, and destroyed at the end of the process.
///
///     double score(Text const& text) { return mp::worker_state<Model>().score(text); }
///
/// There is one for each process and type; a child that is forked makes its own. Throws what the default constructor of
/// State throws. Not for several threads at once. Python: a global variable that an initializer sets.
template <class State>
State& worker_state() {
    static std::pair<State*, std::uint64_t> made{};
    auto const generation = detail::fork_generation();
    if (made.first == nullptr || made.second != generation) {
        made = {new State(), generation};
        at_exit([state = made.first] { delete state; });
    }
    return *made.first;
}

} // namespace multiprocessing::inline v0
