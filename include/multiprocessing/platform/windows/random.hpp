#pragma once

#include <multiprocessing/platform/random.hpp>
#include <multiprocessing/platform/windows/api.hpp>

#include <algorithm>

namespace multiprocessing::inline v0 {

void platform::random_bytes(std::span<std::byte> bytes, std::error_code& error) noexcept {
    // RtlGenRandom, looked up at run time so that no program has to link another library.
    using generate = BOOLEAN(WINAPI*)(void*, ULONG);
    static generate const fill = [] {
        HMODULE const library = ::LoadLibraryW(L"advapi32.dll");
        auto* const address = library != nullptr ? ::GetProcAddress(library, "SystemFunction036") : nullptr;
        return reinterpret_cast<generate>(reinterpret_cast<void*>(address));
    }();
    error.clear();
    while (!bytes.empty()) {
        auto const part = bytes.first(std::min<std::size_t>(bytes.size(), 1 << 20));
        if (fill == nullptr || !fill(part.data(), static_cast<ULONG>(part.size()))) {
            error = std::make_error_code(std::errc::function_not_supported);
            return;
        }
        bytes = bytes.subspan(part.size());
    }
}

} // namespace multiprocessing::inline v0
