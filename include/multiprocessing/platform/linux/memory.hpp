#pragma once

#include <multiprocessing/platform/memory.hpp>

#include <cerrno>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

namespace multiprocessing::inline v0 {

std::size_t platform::page_size() noexcept { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

platform::native_handle platform::create_segment(std::size_t size, std::error_code& error) noexcept {
    rlimit limit{};
    if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && size > limit.rlim_cur) { // to try would raise SIGXFSZ
        error = std::make_error_code(std::errc::file_too_large);
        return invalid_handle;
    }
    // A filter may deny memfd_create; a file without a name on any file system does the same.
    int segment = ::memfd_create("multiprocessing", MFD_CLOEXEC);
    for (char const* folder : {"/dev/shm", "/tmp", "/var/tmp", "."}) {
        if (segment >= 0) break;
        segment = ::open(folder, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
    }
    segment = posix::beyond_standard_streams(segment);
    if (segment < 0) {
        error = last_error();
        return invalid_handle;
    }
    if (::ftruncate(segment, static_cast<off_t>(size)) != 0) {
        error = last_error();
        ::close(segment);
        return invalid_handle;
    }
    error.clear();
    return segment;
}

std::byte* platform::map_segment(native_handle segment, std::size_t size, std::error_code& error) noexcept {
    void* const address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, segment, 0);
    if (address == MAP_FAILED) {
        error = last_error();
        return nullptr;
    }
    error.clear();
    return static_cast<std::byte*>(address);
}

void platform::unmap_segment(std::byte* address, std::size_t size) noexcept { ::munmap(address, size); }

void platform::commit_segment(
    native_handle segment, std::byte*, std::size_t offset, std::size_t size, std::error_code& error) noexcept {
    int result = 0;
    do result = ::fallocate(segment, 0, static_cast<off_t>(offset), static_cast<off_t>(size));
    while (result != 0 && errno == EINTR);
    error = result != 0 && errno != EOPNOTSUPP ? last_error() : std::error_code();
}

void platform::discard_segment(native_handle segment, std::byte*, std::size_t offset, std::size_t size) noexcept {
    std::size_t const begin = (offset + page_size() - 1) / page_size() * page_size();
    std::size_t const end = (offset + size) / page_size() * page_size();
    if (begin >= end) return;
    ::fallocate(
        segment,
        FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
        static_cast<off_t>(begin),
        static_cast<off_t>(end - begin));
}

} // namespace multiprocessing::inline v0
