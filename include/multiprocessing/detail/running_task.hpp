#pragma once

#include <cstdint>

/// Which item of a pool's call a thread is running, as far as the item may know it.
namespace multiprocessing::inline v0::detail {

struct running_task {
    std::uint64_t index = 0; ///< its position in the input
    unsigned attempt = 1;    ///< how often it has been tried, this time included

    /// Null outside of items.
    static running_task const*& of_this_thread() noexcept {
        thread_local running_task const* current = nullptr;
        return current;
    }
};

} // namespace multiprocessing::inline v0::detail
