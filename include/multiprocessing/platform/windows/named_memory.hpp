#pragma once

#include <multiprocessing/platform/named_memory.hpp>
#include <multiprocessing/platform/windows/api.hpp>
#include <multiprocessing/platform/windows/text.hpp>

#include <cstdint>
#include <new>

namespace multiprocessing::inline v0 {

namespace platform::windows {

/// Maps an open block, or closes it.
inline named_block map_named_block(HANDLE handle, std::error_code& error) noexcept {
    named_block block{handle, nullptr, 0};
    block.address = static_cast<std::byte*>(::MapViewOfFile(handle, FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, 0));
    MEMORY_BASIC_INFORMATION about{};
    if (block.address == nullptr || ::VirtualQuery(block.address, &about, sizeof about) == 0) {
        error = last_error();
        close_named_block(block);
        return {};
    }
    block.size = about.RegionSize;
    error.clear();
    return block;
}

} // namespace platform::windows

platform::named_block
platform::create_named_block(std::string const& name, std::size_t size, bool, std::error_code& error) noexcept {
    try {
        std::uint64_t const total = size;
        HANDLE const handle = ::CreateFileMappingW(
            INVALID_HANDLE_VALUE,
            nullptr,
            PAGE_READWRITE, // committed at once
            static_cast<DWORD>(total >> 32),
            static_cast<DWORD>(total),
            windows::to_wide(name).c_str());
        if (handle == nullptr) {
            error = last_error();
            return {};
        }
        if (::GetLastError() == ERROR_ALREADY_EXISTS) {
            platform::close(handle);
            error = std::make_error_code(std::errc::file_exists);
            return {};
        }
        return windows::map_named_block(handle, error);
    } catch (std::bad_alloc const&) {
        error = std::make_error_code(std::errc::not_enough_memory);
        return {};
    }
}

platform::named_block platform::open_named_block(std::string const& name, std::error_code& error) noexcept {
    try {
        HANDLE const handle = ::OpenFileMappingW(FILE_MAP_READ | FILE_MAP_WRITE, FALSE, windows::to_wide(name).c_str());
        if (handle == nullptr) {
            error = ::GetLastError() == ERROR_FILE_NOT_FOUND
                        ? std::make_error_code(std::errc::no_such_file_or_directory)
                        : last_error();
            return {};
        }
        return windows::map_named_block(handle, error);
    } catch (std::bad_alloc const&) {
        error = std::make_error_code(std::errc::not_enough_memory);
        return {};
    }
}

void platform::close_named_block(named_block& block) noexcept {
    if (block.address != nullptr) ::UnmapViewOfFile(block.address);
    platform::close(block.handle);
    block = {};
}

void platform::unlink_named_block(std::string const&, std::error_code& error) noexcept { error.clear(); }

} // namespace multiprocessing::inline v0
