#pragma once

#include <multiprocessing/detail/arena.hpp>

#include <atomic>
#include <cstdint>
#include <new>

/// What a worker noted down about single items, for its owner to read, also after its death.
namespace multiprocessing::inline v0::detail {

/// An item that was run. Times are ticks of the monotonic clock.
struct item_event {
    std::uint64_t index = 0; ///< in the input of its call
    std::int64_t begin = 0;
    std::int64_t end = 0;
    std::uint32_t attempt = 1;
    std::uint32_t label = 0; ///< the number of the call's label
    bool failed = false;
};

/// A list of blocks with events: one process appends at its end, and another one takes from its front.
class event_log {
    static constexpr std::uint32_t capacity = 127;

    struct block {
        std::atomic<arena_offset> next{0};
        std::atomic<std::uint32_t> count{0};
        item_event events[capacity];
    };

public:
    /// The writer's side. Throws std::bad_alloc.
    class writer {
    public:
        explicit writer(event_log& log) noexcept : log_(log) {}
        void append(item_event const& event);

    private:
        event_log& log_;
        block* last_ = nullptr;
    };

    /// The reader's side: hands over what has been appended since.
    class reader {
    public:
        template <class Take>
        void read(event_log& log, Take&& take);
        /// The writer is dead or has left: gives the memory back.
        void end(event_log& log) noexcept;

    private:
        static block* at(arena_offset position) noexcept { return arena::instance().at<block>(position); }

        arena_offset block_ = 0;
        std::uint32_t taken_ = 0;
    };

private:
    std::atomic<arena_offset> first_{0};
};

// ---- implementation

inline void event_log::writer::append(item_event const& event) {
    if (last_ == nullptr || last_->count.load(std::memory_order_relaxed) == capacity) {
        arena& memory = arena::instance();
        arena_offset const position = memory.allocate(sizeof(block));
        auto* const fresh = ::new (static_cast<void*>(memory.at(position))) block;
        (last_ == nullptr ? log_.first_ : last_->next).store(position, std::memory_order_release);
        last_ = fresh; // the reader may give back the one before
    }
    std::uint32_t const count = last_->count.load(std::memory_order_relaxed);
    last_->events[count] = event;
    last_->count.store(count + 1, std::memory_order_release);
}

template <class Take>
void event_log::reader::read(event_log& log, Take&& take) {
    if (block_ == 0) block_ = log.first_.load(std::memory_order_acquire);
    while (block_ != 0) {
        auto& current = *at(block_);
        std::uint32_t const count = current.count.load(std::memory_order_acquire);
        for (; taken_ < count; ++taken_) take(current.events[taken_]);
        arena_offset const next = current.next.load(std::memory_order_acquire);
        if (next == 0) return;
        arena::instance().deallocate(block_, sizeof(block));
        block_ = next;
        taken_ = 0;
    }
}

inline void event_log::reader::end(event_log& log) noexcept {
    read(log, [](item_event const&) {});
    if (block_ != 0) arena::instance().deallocate(block_, sizeof(block));
    block_ = 0;
    taken_ = 0;
    log.first_.store(0, std::memory_order_relaxed);
}

} // namespace multiprocessing::inline v0::detail
