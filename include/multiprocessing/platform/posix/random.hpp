#pragma once

#include <multiprocessing/platform/random.hpp>

#include <algorithm>
#include <cerrno>

#include <unistd.h>
#if defined(MULTIPROCESSING_MACOS)
#    include <sys/random.h>
#endif

namespace multiprocessing::inline v0 {

void platform::random_bytes(std::span<std::byte> bytes, std::error_code& error) noexcept {
    error.clear();
    while (!bytes.empty()) { // getentropy gives at most 256 bytes at a time
        auto const part = bytes.first(std::min<std::size_t>(bytes.size(), 256));
        if (::getentropy(part.data(), part.size()) != 0) {
            error.assign(errno, std::generic_category());
            return;
        }
        bytes = bytes.subspan(part.size());
    }
}

} // namespace multiprocessing::inline v0
