#pragma once

#include <multiprocessing/config.hpp>

#include <cstdint>

/// Where something constant lies, in words that another process of the same program understands: processes that were
/// started by exec have other addresses. `study` of the alternatives: docs/decisions.
namespace multiprocessing::inline v0::platform {

/// A place in a module (the program or a shared library), named by the module's build and an offset in it.
struct module_place {
    std::uint64_t module = 0; ///< fingerprint of the module's build
    std::uint64_t offset = 0; ///< bytes from the module's start
};

/// Names the place of `address`; module is 0 if it lies in none.
inline module_place locate(void const* address) noexcept;

/// The address here; nullptr if no module with this fingerprint is loaded, or the offset is outside of it.
inline void const* resolve(module_place place) noexcept;

} // namespace multiprocessing::inline v0::platform

#if defined(MULTIPROCESSING_WINDOWS)
#    include <multiprocessing/platform/windows/module.hpp>
#elif defined(MULTIPROCESSING_MACOS)
#    include <multiprocessing/platform/macos/module.hpp>
#else
#    include <multiprocessing/platform/linux/module.hpp>
#endif
