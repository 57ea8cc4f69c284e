// Written from Apple's documentation; never compiled or run. Reports are welcome.
#pragma once

#include <multiprocessing/platform/self.hpp>

#include <cstdlib>

#include <mach-o/dyld.h>
#include <pthread.h>
#include <unistd.h>

namespace multiprocessing::inline v0 {

platform::process_id platform::current_process_id() noexcept { return ::getpid(); }

std::uint64_t platform::current_thread_id() noexcept {
    std::uint64_t id = 0;
    ::pthread_threadid_np(nullptr, &id);
    return id;
}

std::string platform::executable() {
    std::uint32_t size = 0;
    ::_NSGetExecutablePath(nullptr, &size); // says how long it is
    std::string path(size, '\0');
    if (::_NSGetExecutablePath(path.data(), &size) != 0) return {};
    path.resize(path.find('\0'));
    return path;
}

unsigned platform::cpu_count() noexcept {
    long const count = ::sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? static_cast<unsigned>(count) : 1;
}

unsigned platform::process_cpu_count() noexcept { return cpu_count(); } // there are neither masks nor quotas

std::optional<std::string> platform::take_environment(char const* name) {
    char const* const value = std::getenv(name);
    if (value == nullptr) return std::nullopt;
    std::string result = value;
    ::unsetenv(name);
    return result;
}

} // namespace multiprocessing::inline v0
