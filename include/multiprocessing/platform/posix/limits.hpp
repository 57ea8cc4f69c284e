#pragma once

#include <multiprocessing/platform/limits.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string>

#include <sys/resource.h>
#include <unistd.h>

/// The part of platform/limits.hpp that all POSIX systems share.
namespace multiprocessing::inline v0 {

namespace platform::posix {

/// Lowers a limit of this process; `grace` is what lies between the limit and the end of all patience.
template <class Resource> // an int, or an enumeration of glibc
void lower_limit(Resource resource, rlim_t value, rlim_t grace, std::error_code& error) noexcept {
    error.clear();
    struct rlimit limit {};
    bool ok = ::getrlimit(resource, &limit) == 0;
    if (ok) { // RLIM_INFINITY is the largest number
        limit.rlim_max = std::min(limit.rlim_max, value + grace);
        limit.rlim_cur = std::min({limit.rlim_cur, limit.rlim_max, value});
        ok = ::setrlimit(resource, &limit) == 0;
    }
    if (!ok) error = last_error();
}

inline void set_thread_count_variables(int count, std::error_code& error) {
    error.clear();
    std::string const text = std::to_string(count);
    for (char const* const name : thread_count_variables) {
        if (::setenv(name, text.c_str(), 1) != 0) error = last_error();
    }
}

} // namespace platform::posix

void platform::limit_cpu_time(std::chrono::seconds time, std::error_code& error) noexcept {
    // Whoever survives SIGXCPU gets SIGKILL a second later.
    posix::lower_limit(RLIMIT_CPU, static_cast<rlim_t>(time.count()), 1, error);
}

void platform::add_niceness(int difference, std::error_code& error) noexcept {
    error.clear();
    errno = 0; // -1 may be a niceness
    if (::nice(difference) == -1 && errno != 0) error = last_error();
}

} // namespace multiprocessing::inline v0
