#pragma once

#include <multiprocessing/platform/named_memory.hpp>

#include <cerrno>
#include <new>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace multiprocessing::inline v0 {

namespace detail {

/// Maps an open block, or closes it.
inline platform::named_block map_named_block(int handle, std::error_code& error) noexcept {
    struct stat about {};
    platform::named_block block{handle, nullptr, 0};
    if (::fstat(handle, &about) == 0) {
        block.size = static_cast<std::size_t>(about.st_size);
        void* const address = ::mmap(nullptr, block.size, PROT_READ | PROT_WRITE, MAP_SHARED, handle, 0);
        if (address != MAP_FAILED) {
            block.address = static_cast<std::byte*>(address);
            error.clear();
            return block;
        }
    }
    error = platform::last_error();
    ::close(handle);
    return {};
}

/// The system's form of the name: one slash in front, none in it.
inline std::string system_name(std::string const& name, std::error_code& error) {
    error = name.find('/') != std::string::npos ? std::make_error_code(std::errc::invalid_argument) : std::error_code();
    return '/' + name;
}

} // namespace detail

platform::named_block
platform::create_named_block(std::string const& name, std::size_t size, bool reserve, std::error_code& error) noexcept {
    try {
        auto const path = detail::system_name(name, error);
        if (error) return {};
        int const handle = ::shm_open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
        if (handle < 0) {
            error = last_error();
            return {};
        }
        int refused = ::ftruncate(handle, static_cast<off_t>(size)) == 0 ? 0 : errno;
#if !defined(MULTIPROCESSING_MACOS)
        while (refused == 0 && reserve) {
            refused = ::posix_fallocate(handle, 0, static_cast<off_t>(size));
            if (refused != EINTR) break;
            refused = 0;
        }
#else
        static_cast<void>(reserve);
#endif
        if (refused != 0) {
            ::close(handle);
            ::shm_unlink(path.c_str());
            error.assign(refused, std::generic_category());
            return {};
        }
        auto const block = detail::map_named_block(handle, error);
        if (error) ::shm_unlink(path.c_str());
        return block;
    } catch (std::bad_alloc const&) {
        error = std::make_error_code(std::errc::not_enough_memory);
        return {};
    }
}

platform::named_block platform::open_named_block(std::string const& name, std::error_code& error) noexcept {
    try {
        auto const path = detail::system_name(name, error);
        if (error) return {};
        int const handle = ::shm_open(path.c_str(), O_RDWR | O_CLOEXEC, 0600);
        if (handle < 0) {
            error = last_error();
            return {};
        }
        return detail::map_named_block(handle, error);
    } catch (std::bad_alloc const&) {
        error = std::make_error_code(std::errc::not_enough_memory);
        return {};
    }
}

void platform::close_named_block(named_block& block) noexcept {
    if (block.address != nullptr) ::munmap(block.address, block.size);
    platform::close(block.handle);
    block = {};
}

void platform::unlink_named_block(std::string const& name, std::error_code& error) noexcept {
    try {
        auto const path = detail::system_name(name, error);
        if (!error && ::shm_unlink(path.c_str()) != 0) error = last_error();
    } catch (std::bad_alloc const&) {
        error = std::make_error_code(std::errc::not_enough_memory);
    }
}

} // namespace multiprocessing::inline v0
