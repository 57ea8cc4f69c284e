#pragma once

#include <cstdio>
#include <iostream>

namespace multiprocessing::inline v0::detail {

/// Writes out what the standard streams hold back. Before a fork: or the child would write it a second time. At the end
/// of a child: or it would be lost, since a child ends without its parent's exit handlers.
inline void flush_standard_streams() noexcept {
    try {
        std::cout.flush();
        std::clog.flush();
        std::cerr.flush();
    } catch (...) {
    } // a stream may throw if its user asked for that; there is nobody to tell here
    std::fflush(nullptr);
}

} // namespace multiprocessing::inline v0::detail
