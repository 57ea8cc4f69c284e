#pragma once

#include <multiprocessing/detail/child_message.hpp>
#include <multiprocessing/detail/made_once.hpp>
#include <multiprocessing/detail/unique_handle.hpp>
#include <multiprocessing/detail/waiting.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/platform/memory.hpp>
#include <multiprocessing/platform/park.hpp>
#include <multiprocessing/platform/random.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

/// The memory that all processes of a tree share: one anonymous segment, reserved sparsely, mapped before the first child.
///
/// Positions are offsets, since every process may map it elsewhere. Blocks come from free lists by size and are used
/// again and again, because touching fresh memory costs thirty times a copy. All of it is lock-free: a process that is
/// killed in here costs the others nothing but the block that it was about to take. Memory is put behind a block before
/// it is handed out, so exhaustion is std::bad_alloc, never SIGBUS.
namespace multiprocessing::inline v0::detail {

/// A position in the arena; 0 is none.
using arena_offset = std::uint64_t;

/// Blocks are multiples of this, and aligned to it: a cache line.
inline constexpr std::size_t arena_alignment = 64;

/// One seat per process of the tree, see participants.hpp.
inline constexpr std::size_t seat_count = 4096;

class arena {
public:
    /// The arena of this process tree. Made on first use in the first process; a process that was started as a child
    /// joins the one that it was given.
    MULTIPROCESSING_ONE_PER_PROCESS static arena& instance();

    /// A block of at least `size` bytes, aligned to a cache line. Its contents are arbitrary. Throws std::bad_alloc.
    arena_offset allocate(std::size_t size);

    /// Gives a block back; `size` as asked for.
    void deallocate(arena_offset block, std::size_t size) noexcept;

    /// How many bytes a block for `size` really has.
    static std::size_t block_size(std::size_t size) noexcept;

    template <class T = std::byte>
    T* at(arena_offset position) const noexcept {
        return reinterpret_cast<T*>(base_ + position);
    }
    arena_offset offset_of(void const* address) const noexcept {
        return static_cast<arena_offset>(static_cast<std::byte const*>(address) - base_);
    }
    /// Whether an object lies in here, so that the other processes see it too.
    bool contains(void const* address, std::size_t size = 1) const noexcept {
        auto const position = reinterpret_cast<std::uintptr_t>(address) - reinterpret_cast<std::uintptr_t>(base_);
        return position < size_ && size <= size_ - position;
    }

    /// Makes a T in a block of its own, or destroys it.
    template <class T, class... Args>
    T* create(Args&&... args);
    template <class T>
    void destroy(T* object) noexcept;

    platform::native_handle segment() const noexcept { return segment_.get(); }
    /// A random number that all processes of the tree have in common, and no others: a position means something only
    /// together with it.
    std::uint64_t identity() const noexcept { return head().identity; }
    std::size_t size() const noexcept { return size_; }
    /// Bytes that have memory behind them: the high-water mark.
    std::size_t committed() const noexcept;
    /// Where those sleep who wait for several things at once.
    event_count& bell() const noexcept { return head().bell; }
    /// Who sits in a seat: generation and process id.
    std::atomic<std::uint64_t>& seat(std::size_t number) const noexcept;

private:
    static constexpr std::size_t largest_size = std::size_t{1} << 38; // address space that is reserved if possible
    static constexpr std::size_t smallest_size = std::size_t{1} << 26;
    static constexpr std::size_t class_count = 4 * 34;
    static constexpr std::size_t discard_from = std::size_t{1}
                                                << 26; // freed blocks of this size give their memory back

    // A list head: in the low bits the first block, above a count of the changes, so that a block that left and came
    // back in between is noticed.
    static constexpr unsigned block_bits = 36;

    struct header {
        std::atomic<std::uint64_t> top;       // everything above was never handed out
        std::atomic<std::uint64_t> committed; // everything below has memory
        std::uint64_t identity;
        event_count bell;
        std::array<std::atomic<std::uint64_t>, class_count> free;
        std::array<std::atomic<std::uint64_t>, seat_count> seats;
    };

    static std::size_t class_of(std::size_t size) noexcept;
    static std::size_t size_of_class(std::size_t number) noexcept;

    arena();
    arena(platform::native_handle segment, std::size_t size);

    header& head() const noexcept { return *reinterpret_cast<header*>(base_); }
    static std::size_t parking_begin() noexcept {
        return (sizeof(header) + arena_alignment - 1) / arena_alignment * arena_alignment;
    }
    arena_offset pop(std::atomic<std::uint64_t>& list) noexcept;
    void push(std::atomic<std::uint64_t>& list, arena_offset block) noexcept;
    arena_offset cut(std::size_t size);
    void commit(std::size_t end);

    unique_handle segment_;
    std::size_t size_ = 0;
    std::byte* base_ = nullptr;
};

/// A block of the arena that is given back at the end of a scope.
class arena_block {
public:
    arena_block() noexcept = default;
    explicit arena_block(std::size_t size) : offset_(arena::instance().allocate(size)), size_(size) {}
    arena_block(arena_block&& other) noexcept
        : offset_(std::exchange(other.offset_, 0)), size_(std::exchange(other.size_, 0)) {}
    arena_block& operator=(arena_block&& other) noexcept {
        std::swap(offset_, other.offset_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~arena_block() {
        if (offset_ != 0) arena::instance().deallocate(offset_, size_);
    }

    arena_offset offset() const noexcept { return offset_; }
    std::size_t size() const noexcept { return size_; }
    template <class T = std::byte>
    T* get() const noexcept {
        return arena::instance().at<T>(offset_);
    }
    /// The block is somebody else's from now on.
    arena_offset release() noexcept {
        size_ = 0;
        return std::exchange(offset_, 0);
    }

private:
    arena_offset offset_ = 0;
    std::size_t size_ = 0;
};

// ---- implementation

inline arena& arena::instance() {
    static constinit made_once<arena> only;
    return only.get([] {
        auto const& message = child_message::received();
        return message ? arena(message->segment, message->size) : arena();
    });
}

inline arena::arena() {
    std::error_code error;
    for (size_ = largest_size; size_ >= smallest_size; size_ /= 2) { // limits on address space or file size
        segment_.reset(platform::create_segment(size_, error));
        if (!segment_) continue;
        base_ = platform::map_segment(segment_.get(), size_, error);
        if (base_ != nullptr) break;
    }
    if (base_ == nullptr) throw OSError(error, "multiprocessing: reserving the shared memory of the process tree");
    std::size_t const begin =
        parking_begin() + (platform::parking_bytes() + arena_alignment - 1) / arena_alignment * arena_alignment;
    platform::commit_segment(segment_.get(), base_, 0, begin, error);
    if (error) throw std::bad_alloc();
    head().top.store(begin, std::memory_order_relaxed);
    head().committed.store(begin, std::memory_order_relaxed);
    platform::random_bytes(std::as_writable_bytes(std::span(&head().identity, 1)), error);
    if (error) throw OSError(error, "multiprocessing: random bytes for the shared memory of the process tree");
    platform::open_parking(base_ + parking_begin(), base_, true, error);
    if (error) throw OSError(error, "multiprocessing: preparing the places to wait in");
}

inline arena::arena(platform::native_handle segment, std::size_t size) : segment_(segment), size_(size) {
    std::error_code error;
    base_ = platform::map_segment(segment, size, error);
    if (base_ == nullptr) throw OSError(error, "multiprocessing: mapping the shared memory of the process tree");
    platform::open_parking(base_ + parking_begin(), base_, false, error);
    if (error) throw OSError(error, "multiprocessing: joining the places to wait in");
}

// Sizes grow by a quarter of a power of two: 64, 128, 192, 256, 320, 384, 448, 512, 640, 768 …
inline std::size_t arena::class_of(std::size_t size) noexcept {
    std::size_t const lines = std::max<std::size_t>(1, (size + arena_alignment - 1) / arena_alignment);
    if (lines <= 4) return lines - 1;
    auto const power = static_cast<std::size_t>(std::bit_width(lines - 1)) - 1; // 2^power < lines <= 2^(power + 1)
    std::size_t const quarter = std::size_t{1} << (power - 2);
    return 4 + (power - 2) * 4 + (lines - (std::size_t{1} << power) - 1) / quarter;
}

inline std::size_t arena::size_of_class(std::size_t number) noexcept {
    if (number < 4) return (number + 1) * arena_alignment;
    std::size_t const power = (number - 4) / 4 + 2;
    std::size_t const quarter = std::size_t{1} << (power - 2);
    return ((std::size_t{1} << power) + ((number - 4) % 4 + 1) * quarter) * arena_alignment;
}

inline std::size_t arena::block_size(std::size_t size) noexcept { return size_of_class(class_of(size)); }

inline arena_offset arena::allocate(std::size_t size) {
    if (size > size_) throw std::bad_alloc();
    std::size_t const number = class_of(size);
    std::size_t const whole = size_of_class(number);
    if (arena_offset const block = pop(head().free[number])) {
        if (whole >= discard_from) {
            std::error_code error;
            platform::commit_segment(segment_.get(), base_, block, whole, error);
            if (error) {
                push(head().free[number], block);
                throw std::bad_alloc();
            }
        }
        return block;
    }
    return cut(whole);
}

inline void arena::deallocate(arena_offset block, std::size_t size) noexcept {
    if (block == 0) return;
    std::size_t const number = class_of(size);
    if (size_of_class(number) >= discard_from) {
        // The first page stays: it holds the link of the free list.
        platform::discard_segment(
            segment_.get(), base_, block + platform::page_size(), size_of_class(number) - platform::page_size());
    }
    push(head().free[number], block);
}

// A block in a free list begins with the block that follows it. Somebody else may take the block and write to it before
// the link is read; what was read is thrown away then, because the count in the list's head has changed. The thread
// sanitizer cannot know that.
#if defined(__clang__)
__attribute__((no_sanitize("thread")))
#else
__attribute__((no_sanitize_thread))
#endif
inline std::uint64_t
link_of_free_block(std::byte const* block) noexcept {
    return *reinterpret_cast<std::uint64_t const volatile*>(block);
}

inline arena_offset arena::pop(std::atomic<std::uint64_t>& list) noexcept {
    constexpr std::uint64_t mask = (std::uint64_t{1} << block_bits) - 1;
    std::uint64_t old = list.load(std::memory_order_acquire);
    for (;;) {
        arena_offset const block = (old & mask) * arena_alignment;
        if (block == 0) return 0;
        std::uint64_t const next = link_of_free_block(base_ + block) / arena_alignment;
        std::uint64_t const changed = ((old >> block_bits) + 1) << block_bits | (next & mask);
        if (list.compare_exchange_weak(old, changed, std::memory_order_acq_rel, std::memory_order_acquire))
            return block;
    }
}

inline void arena::push(std::atomic<std::uint64_t>& list, arena_offset block) noexcept {
    constexpr std::uint64_t mask = (std::uint64_t{1} << block_bits) - 1;
    std::uint64_t old = list.load(std::memory_order_relaxed);
    std::uint64_t changed = 0;
    do {
        *at<std::uint64_t>(block) = (old & mask) * arena_alignment;
        changed = ((old >> block_bits) + 1) << block_bits | block / arena_alignment;
    } while (!list.compare_exchange_weak(old, changed, std::memory_order_acq_rel, std::memory_order_relaxed));
}

inline arena_offset arena::cut(std::size_t size) {
    std::uint64_t top = head().top.load(std::memory_order_relaxed);
    for (;;) {
        // Memory first: a process that fails, or dies, here has taken nothing.
        if (size > size_ - top) throw std::bad_alloc();
        if (top + size > head().committed.load(std::memory_order_acquire)) commit(top + size);
        if (head().top.compare_exchange_weak(top, top + size, std::memory_order_acq_rel, std::memory_order_relaxed)) {
            return top;
        }
    }
}

inline void arena::commit(std::size_t end) {
    std::uint64_t old = head().committed.load(std::memory_order_acquire);
    if (end <= old) return;
    // In steps that grow with what is used: small programs start fast, big ones rarely come here.
    std::size_t const step = std::clamp<std::size_t>(old / 4, std::size_t{1} << 16, std::size_t{1} << 20);
    std::size_t const page = platform::page_size();
    std::size_t target = std::min(size_, std::max<std::size_t>(end, old + step) / page * page + page);
    std::error_code error;
    platform::commit_segment(segment_.get(), base_, old, target - old, error);
    if (error) throw std::bad_alloc();
    while (old < target && !head().committed.compare_exchange_weak(old, target, std::memory_order_acq_rel)) {
    }
}

inline std::size_t arena::committed() const noexcept { return head().committed.load(std::memory_order_relaxed); }

inline std::atomic<std::uint64_t>& arena::seat(std::size_t number) const noexcept { return head().seats[number]; }

template <class T, class... Args>
T* arena::create(Args&&... args) {
    static_assert(alignof(T) <= arena_alignment);
    arena_offset const block = allocate(sizeof(T));
    if constexpr (std::is_nothrow_constructible_v<T, Args...>) {
        return ::new (static_cast<void*>(at(block))) T(std::forward<Args>(args)...);
    } else {
        try {
            return ::new (static_cast<void*>(at(block))) T(std::forward<Args>(args)...);
        } catch (...) {
            deallocate(block, sizeof(T));
            throw;
        }
    }
}

template <class T>
void arena::destroy(T* object) noexcept {
    arena_offset const block = offset_of(object);
    object->~T();
    deallocate(block, sizeof(T));
}

} // namespace multiprocessing::inline v0::detail
