#pragma once

#include <multiprocessing/platform/posix/limits.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <memory>

#include <sched.h>

// Functions of OpenMP, OpenBLAS and MKL, if the program has them; null otherwise. They have names of ours here, so that the
// declarations in their own headers are no contradiction.
extern "C" {
[[gnu::weak]] void multiprocessing_omp_set_num_threads(int) __asm__("omp_set_num_threads");
[[gnu::weak]] void multiprocessing_openblas_set_num_threads(int) __asm__("openblas_set_num_threads");
[[gnu::weak]] void multiprocessing_mkl_set_num_threads(int) __asm__("MKL_Set_Num_Threads");
}

namespace multiprocessing::inline v0 {

namespace detail {

/// A set of processors of any size; a machine may have more than cpu_set_t holds.
class processor_set {
public:
    explicit processor_set(int processors)
        : count_(processors), size_(CPU_ALLOC_SIZE(static_cast<std::size_t>(processors))),
          set_(CPU_ALLOC(static_cast<std::size_t>(processors))) {
        if (set_) CPU_ZERO_S(size_, get());
    }

    explicit operator bool() const noexcept { return set_ != nullptr; }
    int count() const noexcept { return count_; }
    std::size_t size() const noexcept { return size_; }
    cpu_set_t* get() const noexcept { return set_.get(); }

private:
    struct deleter {
        void operator()(cpu_set_t* set) const noexcept { CPU_FREE(set); }
    };

    int count_;
    std::size_t size_;
    std::unique_ptr<cpu_set_t, deleter> set_;
};

} // namespace detail

void platform::limit_private_memory(std::uint64_t bytes, std::error_code& error) noexcept {
    // Not RLIMIT_AS, which would count the addresses that the shared memory of all processes reserves.
    posix::lower_limit(RLIMIT_DATA, static_cast<rlim_t>(bytes), 0, error);
}

std::vector<int> platform::usable_processors() {
    std::vector<int> processors;
    for (int most = CPU_SETSIZE; most <= (1 << 20); most *= 2) {
        detail::processor_set const set(most);
        if (!set) break;
        if (::sched_getaffinity(0, set.size(), set.get()) != 0) continue; // too small
        for (int i = 0; i < most; ++i) {
            if (CPU_ISSET_S(static_cast<std::size_t>(i), set.size(), set.get())) processors.push_back(i);
        }
        break;
    }
    return processors;
}

void platform::run_only_on(std::span<int const> processors, std::error_code& error) {
    error.clear();
    int highest = 0;
    for (int const processor : processors) highest = std::max(highest, processor);
    detail::processor_set const set(highest + 1);
    if (!set) {
        error = std::make_error_code(std::errc::not_enough_memory);
        return;
    }
    for (int const processor : processors) {
        CPU_SET_S(static_cast<std::size_t>(processor), set.size(), set.get());
    }
    if (::sched_setaffinity(0, set.size(), set.get()) != 0) error = last_error();
}

void platform::limit_library_threads(int count, std::error_code& error) {
    posix::set_thread_count_variables(count, error);
    if (multiprocessing_omp_set_num_threads != nullptr) multiprocessing_omp_set_num_threads(count);
    if (multiprocessing_openblas_set_num_threads != nullptr) multiprocessing_openblas_set_num_threads(count);
    if (multiprocessing_mkl_set_num_threads != nullptr) multiprocessing_mkl_set_num_threads(count);
}

std::uint64_t platform::resident_memory() noexcept {
    std::FILE* const file = std::fopen("/proc/self/statm", "re");
    if (file == nullptr) return 0;
    unsigned long long size = 0, resident = 0, shared = 0; // pages
    bool const known = std::fscanf(file, "%llu %llu %llu", &size, &resident, &shared) == 3 && resident >= shared;
    std::fclose(file);
    return known ? (resident - shared) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

} // namespace multiprocessing::inline v0
