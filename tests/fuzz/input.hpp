#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string_view>

/// What a fuzzer gave: consumed from the front.
class Input {
public:
    Input(std::uint8_t const* data, std::size_t size) : rest_(std::as_bytes(std::span(data, size))) {}

    bool empty() const { return rest_.empty(); }
    /// 0 at the end.
    unsigned number() {
        auto const byte = take(1);
        return byte.empty() ? 0 : std::to_integer<unsigned>(byte[0]);
    }
    /// At most so many bytes.
    std::span<std::byte const> take(std::size_t count) {
        auto const taken = rest_.first(std::min(count, rest_.size()));
        rest_ = rest_.subspan(taken.size());
        return taken;
    }
    std::span<std::byte const> rest() { return take(rest_.size()); }

private:
    std::span<std::byte const> rest_;
};

/// Ends the program, which the fuzzer notices.
inline void demand(bool condition, std::string_view what) {
    if (condition) return;
    std::fprintf(stderr, "not true: %.*s\n", static_cast<int>(what.size()), what.data());
    std::abort();
}
