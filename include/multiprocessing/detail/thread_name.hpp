#pragma once

#include <string>

namespace multiprocessing::inline v0::detail {

/// The name of this thread, for messages and for `dummy::current_process`. Empty: nobody has given it one.
inline std::string& thread_name() {
    static thread_local std::string name;
    return name;
}

} // namespace multiprocessing::inline v0::detail
