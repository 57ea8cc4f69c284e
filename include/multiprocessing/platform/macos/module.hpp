// Written from Apple's documentation; never compiled or run. Reports are welcome.
#pragma once

#include <multiprocessing/platform/module.hpp>

#include <cstddef>
#include <cstring>

#include <dlfcn.h>
#include <mach-o/dyld.h>
#include <mach-o/loader.h>

namespace multiprocessing::inline v0 {

namespace detail {

/// The UUID that the linker gave a build, as a number; 0 if there is none.
inline std::uint64_t fingerprint_of(mach_header_64 const& header) noexcept {
    auto const* next = reinterpret_cast<std::byte const*>(&header + 1);
    for (std::uint32_t i = 0; i < header.ncmds; ++i) {
        auto const* const command = reinterpret_cast<load_command const*>(next);
        if (command->cmd == LC_UUID) {
            std::uint64_t half[2];
            std::memcpy(half, reinterpret_cast<uuid_command const*>(command)->uuid, sizeof half);
            return half[0] ^ half[1];
        }
        next += command->cmdsize;
    }
    return 0;
}

/// Whether an offset from the header lies in one of the image's segments.
inline bool contains(mach_header_64 const& header, std::uint64_t offset) noexcept {
    std::uint64_t text = 0; // where the header would be if the image had been loaded where it was linked for
    for (bool const looking_for_text : {true, false}) {
        auto const* next = reinterpret_cast<std::byte const*>(&header + 1);
        for (std::uint32_t i = 0; i < header.ncmds; ++i) {
            auto const* const command = reinterpret_cast<load_command const*>(next);
            next += command->cmdsize;
            if (command->cmd != LC_SEGMENT_64) continue;
            auto const& segment = *reinterpret_cast<segment_command_64 const*>(command);
            if (looking_for_text) {
                if (std::strcmp(segment.segname, "__TEXT") == 0) text = segment.vmaddr;
            } else if (segment.initprot != 0 && text + offset - segment.vmaddr < segment.vmsize) {
                return true;
            }
        }
    }
    return false;
}

} // namespace detail

platform::module_place platform::locate(void const* address) noexcept {
    Dl_info info{};
    if (::dladdr(address, &info) == 0 || info.dli_fbase == nullptr) return {};
    auto const& header = *static_cast<mach_header_64 const*>(info.dli_fbase);
    auto const offset = reinterpret_cast<std::uintptr_t>(address) - reinterpret_cast<std::uintptr_t>(info.dli_fbase);
    if (!detail::contains(header, offset)) return {};
    return {detail::fingerprint_of(header), offset};
}

void const* platform::resolve(module_place place) noexcept {
    if (place.module == 0) return nullptr;
    for (std::uint32_t i = 0; i < ::_dyld_image_count(); ++i) {
        auto const* const header = reinterpret_cast<mach_header_64 const*>(::_dyld_get_image_header(i));
        if (header == nullptr || detail::fingerprint_of(*header) != place.module) continue;
        if (!detail::contains(*header, place.offset)) return nullptr;
        return reinterpret_cast<std::byte const*>(header) + place.offset;
    }
    return nullptr;
}

} // namespace multiprocessing::inline v0
