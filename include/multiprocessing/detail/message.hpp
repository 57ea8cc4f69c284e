#pragma once

#include <multiprocessing/detail/archive.hpp>
#include <multiprocessing/detail/arena.hpp>
#include <multiprocessing/detail/message_ring.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <utility>

/// How an object becomes a message, and a message an object.
namespace multiprocessing::inline v0::detail {

/// A message begins so far into its memory. A vector's message is a count and its elements: these are aligned then.
inline constexpr std::size_t message_front = arena_alignment - sizeof(std::uint64_t);

/// What travels as its bytes and fits into a slot: without an archive and without a length.
template <class T>
inline constexpr bool is_plain_message = bitwise<T> && sizeof(T) <= largest_inline_message;

/// How much room the slots of a queue of T need.
template <class T>
inline constexpr std::size_t inline_size_for = is_plain_message<T> ? sizeof(T) : largest_inline_message;

/// A message that is being written: here while it is small, otherwise in a block of the arena, where it stays.
class outgoing_message final : public byte_sink {
public:
    outgoing_message() noexcept {
        begin_ = position_ = small_;
        end_ = small_ + sizeof small_;
    }
    /// Of `size` bytes, in a block whatever the size; filled by the caller.
    explicit outgoing_message(std::size_t size) {
        move_to_block(size);
        position_ += size;
    }
    outgoing_message(outgoing_message&& other) noexcept
        : byte_sink(), block_(std::move(other.block_)) { // only those in a block are ever moved
        begin_ = std::exchange(other.begin_, nullptr);
        position_ = std::exchange(other.position_, nullptr);
        end_ = std::exchange(other.end_, nullptr);
    }

    std::byte* content() noexcept { return begin_; }
    std::span<std::byte const> bytes() const noexcept { return {begin_, size()}; }

    /// Into a slot. Afterwards the block belongs to the queue.
    void store(message_slot& slot) noexcept {
        if (block_.offset() != 0) {
            std::size_t const block_size = block_.size();
            slot.set_block(size(), {block_.release(), block_size});
        } else {
            slot.set_inline(size());
            if (size() != 0) std::memcpy(slot.message(), begin_, size());
        }
    }

private:
    void grow(std::size_t at_least) override {
        std::size_t const used = size();
        if (at_least > arena::instance().size()) throw std::bad_alloc();
        move_to_block(std::max(2 * used, used + at_least));
        position_ += used;
    }
    void move_to_block(std::size_t capacity) {
        arena_block larger(arena::block_size(message_front + capacity));
        std::byte* const place = larger.get() + message_front;
        if (std::size_t const used = size()) std::memcpy(place, begin_, used);
        end_ = larger.get() + larger.size();
        begin_ = position_ = place;
        block_ = std::move(larger);
    }

    arena_block block_;
    std::byte small_[largest_inline_message];
};

/// A message that has been taken out of a slot.
class incoming_message {
public:
    incoming_message() noexcept {} // the bytes stay uninitialised
    incoming_message(incoming_message&& other) noexcept : block_(std::exchange(other.block_, {})), size_(other.size_) {
        if (block_.block == 0) std::memcpy(small_, other.small_, message_front + size_);
    }
    incoming_message& operator=(incoming_message&& other) noexcept {
        if (this != &other) {
            std::destroy_at(this);
            std::construct_at(this, std::move(other));
        }
        return *this;
    }
    ~incoming_message() { arena::instance().deallocate(block_.block, block_.block_size); }

    void take(message_slot& slot) noexcept {
        size_ = slot.size();
        if (slot.is_in_block()) {
            block_ = slot.block();
        } else {
            std::memcpy(small_ + message_front, slot.message(), size_);
        }
    }

    std::span<std::byte> bytes() noexcept {
        std::byte* const memory = block_.block != 0 ? arena::instance().at(block_.block) : small_;
        return {memory + message_front, size_};
    }

private:
    block_reference block_;
    std::size_t size_ = 0;
    alignas(arena_alignment) std::byte small_[message_front + largest_inline_message];
};

} // namespace multiprocessing::inline v0::detail
