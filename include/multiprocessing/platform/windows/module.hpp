#pragma once

#include <multiprocessing/platform/module.hpp>
#include <multiprocessing/platform/windows/api.hpp>

#include <algorithm>
#include <memory>
#include <new>
#include <span>

#include <psapi.h>

namespace multiprocessing::inline v0 {

namespace platform::windows {

struct image {
    std::uint64_t fingerprint = 0;
    std::uint64_t size = 0;
};

/// What the linker wrote about a loaded image: its time stamp (a hash of the content in reproducible builds of MSVC)
/// and, because other linkers leave that 0 then, the sizes of everything in it.
inline image describe(HMODULE module) noexcept {
    auto const* const bytes = reinterpret_cast<std::byte const*>(module);
    auto const* const dos = reinterpret_cast<IMAGE_DOS_HEADER const*>(bytes);
    if (dos->e_magic != IMAGE_DOS_SIGNATURE) return {};
    auto const* const headers = reinterpret_cast<IMAGE_NT_HEADERS const*>(bytes + dos->e_lfanew);
    if (headers->Signature != IMAGE_NT_SIGNATURE) return {};
    std::uint64_t hash = 14695981039346656037u; // FNV-1a
    auto const mix = [&hash](std::uint64_t value) { hash = (hash ^ value) * 1099511628211u; };
    mix(headers->FileHeader.TimeDateStamp);
    mix(headers->OptionalHeader.SizeOfImage);
    mix(headers->OptionalHeader.CheckSum);
    mix(headers->OptionalHeader.AddressOfEntryPoint);
    auto const* const sections = IMAGE_FIRST_SECTION(headers);
    for (auto const& section : std::span(sections, headers->FileHeader.NumberOfSections)) {
        mix(section.VirtualAddress);
        mix(section.Misc.VirtualSize);
        mix(section.SizeOfRawData);
    }
    return {hash == 0 ? 1 : hash, headers->OptionalHeader.SizeOfImage};
}

inline image const& main_image() noexcept {
    static image const description = describe(::GetModuleHandleW(nullptr));
    return description;
}

/// The module that contains an address, kept from being unloaded until release; nullptr if there is none.
inline HMODULE acquire_module(void const* address) noexcept {
    HMODULE module = nullptr;
    auto const* const name = static_cast<wchar_t const*>(address);
    if (name == nullptr) return nullptr; // it would stand for the program
    return ::GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, name, &module) ? module : nullptr;
}

} // namespace platform::windows

platform::module_place platform::locate(void const* address) noexcept {
    HMODULE const module = windows::acquire_module(address);
    if (module == nullptr) return {};
    bool const is_main = module == ::GetModuleHandleW(nullptr);
    windows::image const image = is_main ? windows::main_image() : windows::describe(module);
    ::FreeLibrary(module);
    auto const offset = reinterpret_cast<std::uintptr_t>(address) - reinterpret_cast<std::uintptr_t>(module);
    return {image.fingerprint, offset};
}

void const* platform::resolve(module_place place) noexcept {
    if (place.module == 0) return nullptr;
    HMODULE const program = ::GetModuleHandleW(nullptr);
    auto const inside = [place](HMODULE module, windows::image const& image) -> void const* {
        return place.offset < image.size ? reinterpret_cast<std::byte const*>(module) + place.offset : nullptr;
    };
    if (windows::main_image().fingerprint == place.module) return inside(program, windows::main_image());

    std::unique_ptr<HMODULE[]> modules;
    DWORD room = 0, needed = 256 * sizeof(HMODULE);
    while (needed > room) { // again if libraries were loaded in between
        room = needed;
        modules.reset(new (std::nothrow) HMODULE[room / sizeof(HMODULE)]);
        if (!modules || !::K32EnumProcessModules(::GetCurrentProcess(), modules.get(), room, &needed)) return nullptr;
    }
    for (HMODULE const candidate : std::span(modules.get(), needed / sizeof(HMODULE))) {
        HMODULE const module = windows::acquire_module(candidate);
        if (module == nullptr) continue;
        windows::image const image = windows::describe(module);
        ::FreeLibrary(module);
        if (image.fingerprint == place.module) return inside(module, image);
    }
    return nullptr;
}

} // namespace multiprocessing::inline v0
