#pragma once

#include <multiprocessing/platform/memory.hpp>
#include <multiprocessing/platform/windows/api.hpp>

#include <cstdint>

namespace multiprocessing::inline v0 {

namespace platform::windows {

/// Every segment begins with a part that map_segment leaves out; liveness.hpp keeps its seats there. Views begin at
/// multiples of 64 KiB.
inline constexpr std::size_t segment_head = 65536;

/// The system notes eight bytes for every page that is reserved: more address space than this costs too much memory.
inline constexpr std::uint64_t segment_limit = std::uint64_t{1} << 34;

} // namespace platform::windows

std::size_t platform::page_size() noexcept {
    static std::size_t const size = [] {
        SYSTEM_INFO info{};
        ::GetSystemInfo(&info);
        return static_cast<std::size_t>(info.dwPageSize);
    }();
    return size;
}

platform::native_handle platform::create_segment(std::size_t size, std::error_code& error) noexcept {
    if (size == 0 || size > windows::segment_limit) {
        error = std::make_error_code(size == 0 ? std::errc::invalid_argument : std::errc::not_enough_memory);
        return invalid_handle;
    }
    std::uint64_t const total = size + windows::segment_head;
    HANDLE const segment = ::CreateFileMappingW(
        INVALID_HANDLE_VALUE,
        nullptr,
        PAGE_READWRITE | SEC_RESERVE,
        static_cast<DWORD>(total >> 32),
        static_cast<DWORD>(total),
        nullptr);
    error = segment == nullptr ? last_error() : std::error_code();
    return segment;
}

std::byte* platform::map_segment(native_handle segment, std::size_t size, std::error_code& error) noexcept {
    void* const view = ::MapViewOfFile(segment, FILE_MAP_READ | FILE_MAP_WRITE, 0, windows::segment_head, size);
    error = view == nullptr ? last_error() : std::error_code();
    return static_cast<std::byte*>(view);
}

void platform::unmap_segment(std::byte* address, std::size_t) noexcept {
    if (address != nullptr) ::UnmapViewOfFile(address);
}

void platform::commit_segment(
    native_handle, std::byte* mapped, std::size_t offset, std::size_t size, std::error_code& error) noexcept {
    error.clear();
    if (size != 0 && ::VirtualAlloc(mapped + offset, size, MEM_COMMIT, PAGE_READWRITE) == nullptr) error = last_error();
}

/// Pages of a section that were committed cannot be given back before the section vanishes.
void platform::discard_segment(native_handle, std::byte*, std::size_t, std::size_t) noexcept {}

} // namespace multiprocessing::inline v0
