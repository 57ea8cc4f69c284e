#pragma once

#include <multiprocessing/detail/locked_operators.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/synchronize.hpp>

#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

/// Values and arrays in the memory that all processes share.
///
/// All of these are handles: a copy means the same value. They may be static objects, be captured, be arguments of a
/// Process under every start method, and travel through queues and pipes. What is shared has to be trivially copyable:
/// numbers, enumerations, and structs and std::arrays of such.
namespace multiprocessing::inline v0 {

namespace detail {

template <char code>
consteval auto type_of_code();

template <class Handle, class Raw, class L>
struct locked_codec;

/// The elements of R can initialise an array of T. Text is no range, so that a literal does not bring its zero along.
template <class R, class T>
concept elements_for = requires(R const& range) {
    std::begin(range) != std::end(range);
    static_cast<T>(*std::begin(range));
} && !(std::is_same_v<T, char> && std::is_convertible_v<R const&, std::string_view>);

/// What protects a value: Lock, RLock, Semaphore, Condition…
template <class L>
concept lock_handle = requires(L const& lock) {
    { lock.acquire(true, Timeout()) } -> std::convertible_to<bool>;
    lock.release();
};

} // namespace detail

/// The type that Python's one-letter code means: `mp::Value<mp::typecode<'i'>>` is `mp::Value<int>`.
template <char code>
using typecode = typename decltype(detail::type_of_code<code>())::type;

/// Which elements: from `start` to before `stop`, every `step`-th. Negative positions count from the end, what is left
/// out means all, and what lies outside is cut off.
///
/// Python: `array[start:stop:step]` is `array.get({start, stop, step})`, `array[::2]` is `array.get({.step = 2})`.
struct slice {
    std::optional<std::ptrdiff_t> start{};
    std::optional<std::ptrdiff_t> stop{};
    std::optional<std::ptrdiff_t> step{};
};

/// A value in shared memory, without a lock.
///
/// Python: `multiprocessing.RawValue(typecode, *args)`, `Value(typecode, *args, lock=False)`.
template <class T>
class RawValue {
public:
    /// Without an argument it is T(), so 0.
    explicit RawValue(T const& initial = T());

    T value() const { return *get(); }
    void value(T const& value) const { *get() = value; }

    /// The object itself. It lies at another address in every process.
    T& get_obj() const noexcept { return *get(); }
    T& operator*() const noexcept { return *get(); }
    T* operator->() const noexcept { return get(); }

    /// The type and, of a number, the value: int(5)
    std::string to_string() const;
    friend std::ostream& operator<<(std::ostream& stream, RawValue const& one) { return stream << one.to_string(); }

private:
    friend struct detail::handle_codec<RawValue>;
    template <class, class>
    friend class Value;
    using memory = detail::shared_object<detail::robust_lock>;
    explicit RawValue(memory object) noexcept : object_(std::move(object)) {}
    T* get() const noexcept;

    memory object_; // the lock is for a Value that wraps this one
};

/// An array in shared memory, without a lock. It is contiguous: `begin`, `end`, `data` are plain pointers, and it
/// converts to std::span<T>.
///
/// Python: `multiprocessing.RawArray(typecode, size_or_initializer)`.
template <class T>
class RawArray {
public:
    using value_type = T;

    /// `size` zeros. Throws ValueError for a negative size, std::bad_alloc.
    explicit RawArray(std::ptrdiff_t size);
    /// A copy of the elements.
    RawArray(std::initializer_list<T> elements);
    template <detail::elements_for<T> Range>
    explicit RawArray(Range const& elements);
    /// The characters of a text, without a zero at its end.
    explicit RawArray(std::string_view text)
        requires std::is_same_v<T, char>;

    std::size_t size() const noexcept;
    bool empty() const noexcept { return size() == 0; }
    T* data() const noexcept;
    T* begin() const noexcept { return data(); }
    T* end() const noexcept { return data() + size(); }
    std::span<T> span() const noexcept { return {data(), size()}; }

    /// Unchecked.
    T& operator[](std::size_t index) const noexcept { return data()[index]; }
    /// Negative positions count from the end. Throws std::out_of_range.
    T& at(std::ptrdiff_t index) const;

    /// A copy of some or all elements. Throws ValueError for a step of 0.
    std::vector<T> get(slice const& which = {}) const;
    /// Assigns to some elements, or to all. Throws ValueError unless there are as many.
    template <detail::elements_for<T> Range>
    void set(slice const& which, Range const& elements) const;
    void set(slice const& which, std::initializer_list<T> elements) const;
    template <detail::elements_for<T> Range>
    void assign(Range const& elements) const {
        set({}, elements);
    }
    void assign(std::initializer_list<T> elements) const { set({}, elements); }

    /// The text up to the first zero. Python: `.value`.
    std::string value() const
        requires std::is_same_v<T, char>;
    /// Puts a text at the beginning, and a zero behind it if there is room. Throws ValueError if it is too long.
    void value(std::string_view text) const
        requires std::is_same_v<T, char>;
    /// All characters. Python: `.raw`.
    std::string raw() const
        requires std::is_same_v<T, char>;
    /// Puts characters at the beginning. Throws ValueError if there are too many.
    void raw(std::string_view characters) const
        requires std::is_same_v<T, char>;

    /// The type and the size: int[5]
    std::string to_string() const;
    friend std::ostream& operator<<(std::ostream& stream, RawArray const& one) { return stream << one.to_string(); }

private:
    friend struct detail::handle_codec<RawArray>;
    template <class, class>
    friend class Array;
    using memory = detail::shared_object<detail::robust_lock>;
    explicit RawArray(memory object) noexcept : object_(std::move(object)) {}
    static memory allocate(std::size_t size);
    void check_length(std::size_t given) const;

    memory object_; // the lock is for an Array that wraps this one
};

/// A value in shared memory with a lock.
///
///     mp::Value<int> counter(0);
///     counter += 1;                                           // atomic
///     counter.with_lock([](int& n) { if (n < 10) ++n; });     // several steps
///     { std::scoped_lock guard(counter); … }                  // Python: with counter.get_lock(): …
///
/// L      the kind of lock: RLock or Lock, for which no more memory is needed; or any other handle with acquire and
///        release, such as Semaphore or Condition. Without a lock: RawValue.
///
/// Python: `multiprocessing.Value(typecode, *args, lock=True)`.
/// Differs    `counter += 1` and the other operators lock once, so they are atomic; in Python they are not. If a process
///            is killed while it holds the lock, the next access throws OwnerDiedError, once; the value is what it has left.
/// Example    examples/20_shared_counter.cpp
template <class T, class L = RLock>
class Value : public detail::lockable<Value<T, L>>, public detail::locked_operators<Value<T, L>, T> {
    static_assert(
        detail::lock_handle<L>, "multiprocessing: the lock of a Value needs acquire(bool, Timeout) and release()");

public:
    /// With a lock of its own. Without an argument the value is T(), so 0.
    explicit Value(T const& initial = T()) : Value(RawValue<T>(initial)) {}
    /// With a lock that protects other things as well.
    Value(T const& initial, L lock) : Value(RawValue<T>(initial), std::move(lock)) {}
    /// Adds a lock to a value. All that are made by the first one share theirs. Python: `sharedctypes.synchronized`.
    explicit Value(RawValue<T> raw);
    Value(RawValue<T> raw, L lock) : raw_(std::move(raw)), lock_(std::move(lock)) {}

    /// Gets or sets the value; locks meanwhile.
    T value() const {
        return with_lock([](T& value) -> T { return value; });
    }
    void value(T const& value) const {
        with_lock([&](T& old) { old = value; });
    }

    /// Returns f(T&), called with the lock held.
    template <class F>
    auto with_lock(F&& f) const;

    /// `point->x += 1`: locked until the end of the whole expression.
    auto operator->() const
        requires std::is_same_v<L, RLock>;

    /// The value itself; hold the lock while you use it.
    T& get_obj() const noexcept { return raw_.get_obj(); }
    L const& get_lock() const noexcept { return lock_; }

    /// The lock's own; lock, unlock, try_lock… as well.
    bool acquire(bool block = true, Timeout timeout = {}) const { return lock_.acquire(block, timeout); }
    void release() const { lock_.release(); }

    /// Python's repr: <Synchronized wrapper for int(5)>
    std::string to_string() const;
    friend std::ostream& operator<<(std::ostream& stream, Value const& one) { return stream << one.to_string(); }

private:
    friend struct detail::locked_codec<Value, RawValue<T>, L>;
    bool has_own_lock() const noexcept;

    RawValue<T> raw_;
    L lock_;
};

/// An array in shared memory with a lock. Each access by position or slice locks.
///
///     mp::Array<double> samples(1000);                        // zeros
///     samples[-1] = 2.5;  samples[0] += 1;                    // each atomic
///     { std::scoped_lock guard(samples); for (double& x : samples) x *= 2; }
///
/// It is contiguous: `begin`, `end`, `data` are plain pointers, and it converts to std::span<T>; hold the lock while you
/// use these, if others write.
///
/// L      the kind of lock, as for Value. Without a lock: RawArray.
///
/// Python: `multiprocessing.Array(typecode, size_or_initializer, *, lock=True)`.
/// Differs    as Value does. Iteration does not lock.
/// Example    examples/22_histogram.cpp
template <class T, class L = RLock>
class Array : public detail::lockable<Array<T, L>> {
    static_assert(
        detail::lock_handle<L>, "multiprocessing: the lock of an Array needs acquire(bool, Timeout) and release()");

public:
    using value_type = T;

    /// One element: converts to T; assignment and the operators of numbers lock.
    class element : public detail::locked_operators<element, T> {
    public:
        operator T() const {
            return with_lock([](T& value) -> T { return value; });
        }
        T operator=(T const& value) const {
            return with_lock([&](T& old) -> T { return old = value; });
        }
        T operator=(element const& other) const { return *this = static_cast<T>(other); }
        element(element const&) = default;

        template <class F>
        auto with_lock(F&& f) const;

    private:
        friend class Array;
        element(L const& lock, T& object) noexcept : lock_(lock), object_(object) {}
        L const& lock_;
        T& object_;
    };

    /// `size` zeros. Throws ValueError for a negative size, std::bad_alloc.
    explicit Array(std::ptrdiff_t size) : Array(RawArray<T>(size)) {}
    Array(std::ptrdiff_t size, L lock) : Array(RawArray<T>(size), std::move(lock)) {}
    /// A copy of the elements.
    Array(std::initializer_list<T> elements) : Array(RawArray<T>(elements)) {}
    Array(std::initializer_list<T> elements, L lock) : Array(RawArray<T>(elements), std::move(lock)) {}
    template <detail::elements_for<T> Range>
    explicit Array(Range const& elements) : Array(RawArray<T>(elements)) {}
    template <detail::elements_for<T> Range>
    Array(Range const& elements, L lock) : Array(RawArray<T>(elements), std::move(lock)) {}
    /// The characters of a text, without a zero at its end.
    explicit Array(std::string_view text)
        requires std::is_same_v<T, char>
        : Array(RawArray<T>(text)) {}
    Array(std::string_view text, L lock)
        requires std::is_same_v<T, char>
        : Array(RawArray<T>(text), std::move(lock)) {}
    /// Adds a lock to an array. All that are made by the first one share theirs. Python: `sharedctypes.synchronized`.
    explicit Array(RawArray<T> raw);
    Array(RawArray<T> raw, L lock) : raw_(std::move(raw)), lock_(std::move(lock)) {}

    std::size_t size() const noexcept { return raw_.size(); }
    bool empty() const noexcept { return raw_.empty(); }
    T* data() const noexcept { return raw_.data(); }
    T* begin() const noexcept { return raw_.begin(); }
    T* end() const noexcept { return raw_.end(); }
    std::span<T> span() const noexcept { return raw_.span(); }

    /// Negative positions count from the end. Throws std::out_of_range.
    element operator[](std::ptrdiff_t index) const { return {lock_, raw_.at(index)}; }
    element at(std::ptrdiff_t index) const { return (*this)[index]; }

    /// A copy of some or all elements. Throws ValueError for a step of 0.
    std::vector<T> get(slice const& which = {}) const;
    /// Assigns to some elements, or to all. Throws ValueError unless there are as many.
    template <detail::elements_for<T> Range>
    void set(slice const& which, Range const& elements) const;
    void set(slice const& which, std::initializer_list<T> elements) const;
    template <detail::elements_for<T> Range>
    void assign(Range const& elements) const {
        set({}, elements);
    }
    void assign(std::initializer_list<T> elements) const { set({}, elements); }

    /// As those of RawArray<char>; each locks. Python: `.value`, `.raw`.
    std::string value() const
        requires std::is_same_v<T, char>;
    void value(std::string_view text) const
        requires std::is_same_v<T, char>;
    std::string raw() const
        requires std::is_same_v<T, char>;
    void raw(std::string_view characters) const
        requires std::is_same_v<T, char>;

    /// Returns f(std::span<T>), called with the lock held.
    template <class F>
    auto with_lock(F&& f) const;

    /// The array itself, without the lock.
    RawArray<T> const& get_obj() const noexcept { return raw_; }
    L const& get_lock() const noexcept { return lock_; }

    /// The lock's own; lock, unlock, try_lock… as well.
    bool acquire(bool block = true, Timeout timeout = {}) const { return lock_.acquire(block, timeout); }
    void release() const { lock_.release(); }

    /// Python's repr: <SynchronizedArray wrapper for int[5]>
    std::string to_string() const;
    friend std::ostream& operator<<(std::ostream& stream, Array const& one) { return stream << one.to_string(); }

private:
    friend struct detail::locked_codec<Array, RawArray<T>, L>;
    bool has_own_lock() const noexcept;

    RawArray<T> raw_;
    L lock_;
};

template <class Range>
RawArray(Range const&) -> RawArray<std::decay_t<decltype(*std::begin(std::declval<Range const&>()))>>;
template <class Range>
Array(Range const&) -> Array<std::decay_t<decltype(*std::begin(std::declval<Range const&>()))>>;
template <class T>
Array(RawArray<T>) -> Array<T>;

/// A new value, or array, without a lock and with the same contents.
///
/// Python: `multiprocessing.sharedctypes.copy(obj)`. Differs: takes what has a lock as well, and copies with it held.
template <class T>
RawValue<T> copy(RawValue<T> const& object) {
    return RawValue<T>(object.value());
}
template <class T>
RawArray<T> copy(RawArray<T> const& object) {
    return RawArray<T>(object.span());
}
template <class T, class L>
RawValue<T> copy(Value<T, L> const& object) {
    return RawValue<T>(object.value());
}
template <class T, class L>
RawArray<T> copy(Array<T, L> const& object) {
    return object.with_lock([](std::span<T> all) { return RawArray<T>(all); });
}

/// Adds a lock to a value or an array: its own, or a given one.
///
/// Python: `multiprocessing.sharedctypes.synchronized(obj, lock=None)`.
template <class T>
Value<T> synchronized(RawValue<T> const& object) {
    return Value<T>(object);
}
template <class T, class L>
Value<T, L> synchronized(RawValue<T> const& object, L lock) {
    return {object, std::move(lock)};
}
template <class T>
Array<T> synchronized(RawArray<T> const& object) {
    return Array<T>(object);
}
template <class T, class L>
Array<T, L> synchronized(RawArray<T> const& object, L lock) {
    return {object, std::move(lock)};
}

} // namespace multiprocessing::inline v0

#include <multiprocessing/detail/sharedctypes_impl.hpp>
