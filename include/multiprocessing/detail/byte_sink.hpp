#pragma once

#include <multiprocessing/config.hpp>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <span>
#include <utility>

namespace multiprocessing::inline v0::detail {

/// Where an archive writes: memory that grows. Writing costs one comparison and a copy; only growing is virtual, so
/// that the same archive writes into the heap and into shared memory.
class byte_sink {
public:
    byte_sink(byte_sink const&) = delete;
    byte_sink& operator=(byte_sink const&) = delete;

    void write(void const* data, std::size_t size) {
        if (size != 0) // memcpy may not be given a null pointer, not even for nothing
            std::memcpy(reserve(size), data, size);
    }

    /// Place for `size` bytes at the end of what was written, which the caller fills. Valid until the next call.
    std::byte* reserve(std::size_t size) {
        if (static_cast<std::size_t>(end_ - position_) < size) grow(size);
        std::byte* const place = position_;
        position_ += size;
        return place;
    }

    std::size_t size() const noexcept { return static_cast<std::size_t>(position_ - begin_); }
    std::byte const* data() const noexcept { return begin_; }

protected:
    byte_sink() = default;
    ~byte_sink() = default;

    /// Makes `end_ - position_` at least `at_least` and keeps what stands between `begin_` and `position_`; all three
    /// may move. Throws std::bad_alloc and changes nothing if there is no memory.
    virtual void grow(std::size_t at_least) = 0;

    std::byte* begin_ = nullptr;
    std::byte* position_ = nullptr;
    std::byte* end_ = nullptr;
};

/// A sink in ordinary memory. Keeps its memory over `clear`, so that one buffer serves many messages.
class byte_buffer final : public byte_sink {
public:
    byte_buffer() = default;
    byte_buffer(byte_buffer&& other) noexcept { swap(other); }
    byte_buffer& operator=(byte_buffer&& other) noexcept {
        byte_buffer taken(std::move(other));
        swap(taken);
        return *this;
    }
    ~byte_buffer() { std::free(begin_); }

    void clear() noexcept { position_ = begin_; }
    std::span<std::byte const> bytes() const noexcept { return {begin_, size()}; }

private:
    void grow(std::size_t at_least) override;
    void swap(byte_buffer& other) noexcept {
        std::swap(begin_, other.begin_);
        std::swap(position_, other.position_);
        std::swap(end_, other.end_);
    }
};

// ---- implementation

inline void byte_buffer::grow(std::size_t at_least) {
    constexpr std::size_t smallest = 256;
    constexpr std::size_t largest = std::numeric_limits<std::size_t>::max() / 4;
    std::size_t const used = size();
    if (at_least > largest || used > largest) throw std::bad_alloc();
    std::size_t capacity = 2 * used > smallest ? 2 * used : smallest;
    if (capacity < used + at_least) capacity = used + at_least;
    // realloc moves the pages of a large block instead of copying them.
    auto* const memory = static_cast<std::byte*>(std::realloc(begin_, capacity));
    if (memory == nullptr) throw std::bad_alloc();
    begin_ = memory;
    position_ = memory + used;
    end_ = memory + capacity;
}

} // namespace multiprocessing::inline v0::detail
