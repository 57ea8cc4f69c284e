#pragma once

#include <multiprocessing/detail/message.hpp>

#include <cstddef>
#include <cstring>
#include <limits>
#include <new>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace multiprocessing::inline v0 {

template <class T>
class Queue;

namespace detail {

/// The element type of what can be lent: a vector whose elements are their bytes; void for anything else.
template <class T>
struct lendable {
    using element = void;
};
template <class E, class Allocator>
    requires bitwise<E>
struct lendable<std::vector<E, Allocator>> {
    static_assert(alignof(E) <= arena_alignment);
    using element = E;
};
template <class T>
using loan_element = typename lendable<T>::element;
template <class T>
concept is_lendable = !std::is_void_v<loan_element<T>>;

} // namespace detail

/// Shared memory for n elements that is filled in place and then put into a Queue<std::vector<E>>, without a copy.
///
///     auto image = queue.loan(width * height);
///     render(image.span());
///     queue.put(std::move(image));
///
/// A Loan that is not put gives its memory back. Python has nothing like it.
template <class E>
class Loan {
public:
    Loan(Loan&&) noexcept = default;

    /// The elements; what is in them at first is arbitrary. Aligned to 64 bytes.
    std::span<E> span() noexcept { return {data(), size_}; }
    E* data() noexcept { return reinterpret_cast<E*>(message_.content() + sizeof(std::uint64_t)); }
    std::size_t size() const noexcept { return size_; }
    E* begin() noexcept { return data(); }
    E* end() noexcept { return data() + size_; }
    E& operator[](std::size_t index) noexcept { return data()[index]; }

private:
    template <class T>
    friend class Queue;

    struct of_queue {}; // so that no braced list looks like a Loan
    Loan(of_queue, std::size_t count) : message_(bytes_for(count)), size_(count) {
        std::uint64_t const stored = count;
        std::memcpy(message_.content(), &stored, sizeof stored); // as the archive writes a vector
    }
    static std::size_t bytes_for(std::size_t count) {
        if (count > std::numeric_limits<std::size_t>::max() / 2 / sizeof(E)) throw std::bad_alloc();
        return sizeof(std::uint64_t) + count * sizeof(E);
    }

    detail::outgoing_message message_;
    std::size_t size_;
};

/// The elements of a vector that came out of a Queue<std::vector<E>>, where they lie: nothing has been copied. They
/// belong to the View alone and may be changed; the memory is given back with it. Python has nothing like it.
template <class E>
class View {
public:
    View(View&&) noexcept = default;
    View& operator=(View&&) noexcept = default;

    std::span<E> span() noexcept { return {data(), size_}; }
    E* data() noexcept { return reinterpret_cast<E*>(message_.bytes().data() + sizeof(std::uint64_t)); }
    std::size_t size() const noexcept { return size_; }
    E* begin() noexcept { return data(); }
    E* end() noexcept { return data() + size_; }
    E& operator[](std::size_t index) noexcept { return data()[index]; }

private:
    template <class T>
    friend class Queue;

    explicit View(detail::incoming_message message) : message_(std::move(message)) {
        detail::input_archive archive(message_.bytes());
        size_ = archive.load_size(sizeof(E));
        archive.take(size_ * sizeof(E));
        archive.expect_end();
    }

    detail::incoming_message message_;
    std::size_t size_ = 0;
};

} // namespace multiprocessing::inline v0
