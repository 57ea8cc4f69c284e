#pragma once

#include <multiprocessing/platform/self.hpp>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <sched.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace multiprocessing::inline v0 {

platform::process_id platform::current_process_id() noexcept { return ::getpid(); }

std::uint64_t platform::current_thread_id() noexcept { return static_cast<std::uint64_t>(::syscall(SYS_gettid)); }

std::string platform::executable() {
    // The link is resolved by the child itself, to the very file that runs here, whatever its name holds by now.
    if (::access("/proc/self/exe", X_OK) == 0) return "/proc/self/exe";
    auto const* started_as = reinterpret_cast<char const*>(::getauxval(AT_EXECFN));
    return started_as != nullptr ? started_as : "";
}

unsigned platform::cpu_count() noexcept {
    long const count = ::sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? static_cast<unsigned>(count) : 1;
}

namespace detail {

/// The processors that the mask of this thread allows, 0 if unknown. Masks of more than 1024 processors exist.
inline unsigned affinity_count() noexcept {
    for (int processors = CPU_SETSIZE; processors <= (1 << 20); processors *= 2) {
        cpu_set_t* const set = CPU_ALLOC(static_cast<std::size_t>(processors));
        if (set == nullptr) return 0;
        std::size_t const size = CPU_ALLOC_SIZE(static_cast<std::size_t>(processors));
        bool const known = ::sched_getaffinity(0, size, set) == 0;
        int const count = known ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (known) return static_cast<unsigned>(count);
    }
    return 0;
}

/// Quota in whole processors (rounded up) from files that hold "quota period" or one number each; UINT_MAX: no limit.
inline unsigned quota_of(char const* folder) noexcept {
    char path[PATH_MAX + 64]; // a folder and the longest name
    long long quota = -1;
    long long period = 100'000;
    std::snprintf(path, sizeof path, "%s/cpu.max", folder);
    if (std::FILE* const file = std::fopen(path, "re")) {
        if (std::fscanf(file, "%lld %lld", &quota, &period) != 2) quota = -1; // "max 100000"
        std::fclose(file);
    } else {
        std::snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
        if (std::FILE* const v1 = std::fopen(path, "re")) {
            if (std::fscanf(v1, "%lld", &quota) != 1) quota = -1;
            std::fclose(v1);
            std::snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
            if (std::FILE* const other = std::fopen(path, "re")) {
                if (std::fscanf(other, "%lld", &period) != 1) period = 100'000;
                std::fclose(other);
            }
        }
    }
    if (quota <= 0 || period <= 0) return UINT_MAX;
    return static_cast<unsigned>(std::clamp<long long>((quota + period - 1) / period, 1, INT_MAX));
}

/// The tightest quota of the control groups that this process is in; groups are nested, and each may limit.
inline unsigned quota_count() noexcept {
    unsigned least = UINT_MAX;
    std::FILE* const file = std::fopen("/proc/self/cgroup", "re");
    if (file == nullptr) return least;
    char line[PATH_MAX];
    while (std::fgets(line, sizeof line, file) != nullptr) { // "0::/path" or "4:cpu,cpuacct:/path"
        char* const controllers = std::strchr(line, ':');
        char* const path = controllers != nullptr ? std::strchr(controllers + 1, ':') : nullptr;
        if (path == nullptr) continue;
        *path = '\0';
        bool const unified = controllers[1] == '\0';
        if (!unified && std::strstr(controllers, "cpu") == nullptr) continue;
        char* group = path + 1;
        group[std::strcspn(group, "\n")] = '\0';
        for (;;) {
            char folder[PATH_MAX + 32];
            std::snprintf(folder, sizeof folder, "/sys/fs/cgroup%s%s", unified ? "" : "/cpu", group);
            least = std::min(least, quota_of(folder));
            char* const last = std::strrchr(group, '/');
            if (last == nullptr) break;
            *last = '\0';
        }
    }
    std::fclose(file);
    return least;
}

} // namespace detail

unsigned platform::process_cpu_count() noexcept {
    unsigned const allowed = detail::affinity_count();
    return std::max(1U, std::min(allowed != 0 ? allowed : cpu_count(), detail::quota_count()));
}

std::optional<std::string> platform::take_environment(char const* name) {
    char const* const value = std::getenv(name);
    if (value == nullptr) return std::nullopt;
    std::string result = value;
    ::unsetenv(name);
    return result;
}

} // namespace multiprocessing::inline v0
