// Written from Apple's documentation; never compiled or run. Reports are welcome.
#pragma once

#include <multiprocessing/platform/memory.hpp>
#include <multiprocessing/platform/random.hpp>

#include <cerrno>
#include <cstdint>
#include <cstdio>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace multiprocessing::inline v0 {

namespace detail {

/// Every segment begins with a part that map_segment leaves out; liveness.hpp keeps its seats there.
inline constexpr std::size_t segment_head = 65536;

} // namespace detail

std::size_t platform::page_size() noexcept { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

platform::native_handle platform::create_segment(std::size_t size, std::error_code& error) noexcept {
    for (int tries = 0; tries < 100; ++tries) {
        std::uint64_t secret = 0;
        random_bytes(std::as_writable_bytes(std::span(&secret, 1)), error);
        if (error) return invalid_handle;
        char name[31]; // the longest that is allowed
        std::snprintf(name, sizeof name, "/pymp-%016llx", static_cast<unsigned long long>(secret));
        int segment = ::shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600); // close-on-exec by itself
        if (segment < 0 && errno == EEXIST) continue;
        if (segment < 0) break;
        ::shm_unlink(name); // the name was needed for a moment only
        segment = posix::beyond_standard_streams(segment);
        if (segment < 0) break;
        if (::ftruncate(segment, static_cast<off_t>(size + detail::segment_head)) != 0) {
            error = last_error();
            ::close(segment);
            return invalid_handle;
        }
        return segment;
    }
    error = last_error();
    return invalid_handle;
}

std::byte* platform::map_segment(native_handle segment, std::size_t size, std::error_code& error) noexcept {
    void* const address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, segment, detail::segment_head);
    if (address == MAP_FAILED) {
        error = last_error();
        return nullptr;
    }
    error.clear();
    return static_cast<std::byte*>(address);
}

void platform::unmap_segment(std::byte* address, std::size_t size) noexcept { ::munmap(address, size); }

/// The system gives memory at the first touch, and has no call to ask for it before.
void platform::commit_segment(native_handle, std::byte*, std::size_t, std::size_t, std::error_code& error) noexcept {
    error.clear();
}

void platform::discard_segment(native_handle, std::byte*, std::size_t, std::size_t) noexcept {}

} // namespace multiprocessing::inline v0
