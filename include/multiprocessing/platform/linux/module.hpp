#pragma once

#include <multiprocessing/platform/module.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include <link.h>

namespace multiprocessing::inline v0 {

namespace detail {

/// One loaded module as the dynamic loader shows it.
struct loaded_module {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    std::uint64_t fingerprint = 0;
};

inline std::uint64_t mix_bytes(std::uint64_t hash, void const* bytes, std::size_t size) noexcept {
    auto const* byte = static_cast<unsigned char const*>(bytes);
    for (std::size_t i = 0; i < size; ++i) hash = (hash ^ byte[i]) * 0x100000001b3; // FNV-1a
    return hash;
}

/// The extent of a module, and its fingerprint: the build id that linkers write, or else its program headers, which
/// hold the sizes of everything in it.
inline loaded_module describe_module(dl_phdr_info const& info) noexcept {
    loaded_module module{UINTPTR_MAX, 0, 0xcbf29ce484222325};
    bool identified = false;
    for (int i = 0; i < info.dlpi_phnum; ++i) {
        auto const& header = info.dlpi_phdr[i];
        std::uintptr_t const at = info.dlpi_addr + header.p_vaddr;
        if (header.p_type == PT_LOAD) {
            module.begin = std::min(module.begin, at);
            module.end = std::max(module.end, at + header.p_memsz);
        } else if (header.p_type == PT_NOTE && !identified) {
            auto const* note = reinterpret_cast<std::byte const*>(at);
            auto const* const stop = note + header.p_memsz;
            while (note + sizeof(ElfW(Nhdr)) <= stop) {
                ElfW(Nhdr) head;
                std::memcpy(&head, note, sizeof head);
                auto const* const name = note + sizeof head;
                auto const* const value = name + ((head.n_namesz + 3) & ~std::size_t{3});
                if (value + head.n_descsz > stop) break;
                if (head.n_type == NT_GNU_BUILD_ID && head.n_namesz == 4 && std::memcmp(name, "GNU", 4) == 0) {
                    module.fingerprint = mix_bytes(module.fingerprint, value, head.n_descsz);
                    identified = true;
                    break;
                }
                note = value + ((head.n_descsz + 3) & ~std::size_t{3});
            }
        }
    }
    if (!identified) {
        module.fingerprint = mix_bytes(module.fingerprint, info.dlpi_phdr, sizeof(ElfW(Phdr)) * info.dlpi_phnum);
    }
    return module;
}

} // namespace detail

platform::module_place platform::locate(void const* address) noexcept {
    struct question {
        std::uintptr_t address;
        module_place answer;
    } asked{reinterpret_cast<std::uintptr_t>(address), {}};
    ::dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* data) {
            auto& what = *static_cast<question*>(data);
            auto const module = detail::describe_module(*info);
            if (what.address < module.begin || what.address >= module.end) return 0;
            what.answer = {module.fingerprint, what.address - module.begin};
            return 1;
        },
        &asked);
    return asked.answer;
}

void const* platform::resolve(module_place place) noexcept {
    struct question {
        module_place place;
        void const* answer;
    } asked{place, nullptr};
    ::dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* data) {
            auto& what = *static_cast<question*>(data);
            auto const module = detail::describe_module(*info);
            if (module.fingerprint != what.place.module) return 0;
            if (what.place.offset < module.end - module.begin) {
                what.answer = reinterpret_cast<void const*>(module.begin + what.place.offset);
            }
            return 1;
        },
        &asked);
    return asked.answer;
}

} // namespace multiprocessing::inline v0
