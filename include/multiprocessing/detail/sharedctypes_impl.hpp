#pragma once

#include <multiprocessing/detail/demangle.hpp>
#include <multiprocessing/sharedctypes.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>

/// The bodies of sharedctypes.hpp.
///
/// Values and arrays without and with a lock lie in the arena in the same form: behind a lock that those without do not
/// use. So one access to one or two cache lines locks and reads, and whoever adds a lock later finds the same one.
namespace multiprocessing::inline v0 {

namespace detail {

template <char code>
consteval auto type_of_code() {
    if constexpr (code == 'c') {
        return std::type_identity<char>();
    } else if constexpr (code == 'u') {
        return std::type_identity<wchar_t>();
    } else if constexpr (code == 'b') {
        return std::type_identity<signed char>();
    } else if constexpr (code == 'B') {
        return std::type_identity<unsigned char>();
    } else if constexpr (code == 'h') {
        return std::type_identity<short>();
    } else if constexpr (code == 'H') {
        return std::type_identity<unsigned short>();
    } else if constexpr (code == 'i') {
        return std::type_identity<int>();
    } else if constexpr (code == 'I') {
        return std::type_identity<unsigned int>();
    } else if constexpr (code == 'l') {
        return std::type_identity<long>();
    } else if constexpr (code == 'L') {
        return std::type_identity<unsigned long>();
    } else if constexpr (code == 'q') {
        return std::type_identity<long long>();
    } else if constexpr (code == 'Q') {
        return std::type_identity<unsigned long long>();
    } else if constexpr (code == 'f') {
        return std::type_identity<float>();
    } else if constexpr (code == 'd') {
        return std::type_identity<double>();
    } else {
        static_assert(code == 'c', "multiprocessing: no such typecode; Python has c u b B h H i I l L q Q f d");
    }
}

template <class T>
consteval void require_shareable() {
    static_assert(
        !is_address<T>,
        "multiprocessing: a pointer cannot be shared, because every process has other addresses; "
        "share the value itself, or a position in an Array");
    static_assert(
        std::is_trivially_copyable_v<T>,
        "multiprocessing: only trivially copyable types can be shared: numbers, enumerations, and structs and "
        "std::arrays of such. Text goes into an Array<char>");
    static_assert(alignof(T) <= arena_alignment, "multiprocessing: this type is aligned to more than a cache line");
}

/// The first address from `place` on with this alignment. Blocks of the arena are aligned alike in all processes.
inline std::byte* aligned_up(std::byte* place, std::size_t alignment) noexcept {
    auto const address = reinterpret_cast<std::uintptr_t>(place);
    return place + ((address + alignment - 1) / alignment * alignment - address);
}

/// The lock of a value or an array: the one in front of it, or, of another kind, a new one.
template <class L>
L lock_of(shared_object<robust_lock> const& memory) {
    if constexpr (std::is_same_v<L, Lock> || std::is_same_v<L, RLock>) {
        return lock_access::make<L>(memory);
    } else {
        return L();
    }
}

template <class L>
bool is_lock_of(shared_object<robust_lock> const& memory, L const& lock) noexcept {
    if constexpr (std::is_same_v<L, Lock> || std::is_same_v<L, RLock>) {
        return lock_access::object(lock) == memory;
    } else {
        return false;
    }
}

template <class T>
struct codec<RawValue<T>> : handle_codec<RawValue<T>> {};
template <class T>
struct codec<RawArray<T>> : handle_codec<RawArray<T>> {};

/// A value or an array with a lock travels with it, unless it is the one in front.
template <class Handle, class Raw, class L>
struct locked_codec {
    static constexpr bool saves = true;
    static constexpr bool loads = true;

    static void save(output_archive& archive, Handle const& handle) {
        bool const own = handle.has_own_lock();
        archive << handle.raw_ << own;
        if (!own) archive << handle.lock_;
    }
    static Handle make(input_archive& archive) {
        Raw raw = archive.make<Raw>();
        if (archive.make<bool>()) return Handle(std::move(raw));
        return Handle(std::move(raw), archive.make<L>());
    }
    static void load(input_archive& archive, Handle& handle) { handle = make(archive); }
};
template <class T, class L>
struct codec<Value<T, L>> : locked_codec<Value<T, L>, RawValue<T>, L> {};
template <class T, class L>
struct codec<Array<T, L>> : locked_codec<Array<T, L>, RawArray<T>, L> {};

/// What operator-> of a Value returns: holds the lock while it exists.
template <class T, class L>
class locked_pointer {
public:
    locked_pointer(L const& lock, T& object) : guard_(lock), object_(object) {}
    T* operator->() const noexcept { return &object_; }

private:
    std::scoped_lock<L const> guard_;
    T& object_;
};

/// A slice of an array of a known size.
struct selection {
    std::ptrdiff_t start;
    std::ptrdiff_t step;
    std::size_t count;
};

/// Python's slice.indices(size).
inline selection select(slice const& which, std::size_t size) {
    auto const n = static_cast<std::ptrdiff_t>(size);
    std::ptrdiff_t const step = which.step.value_or(1);
    if (step == 0) throw ValueError("slice step cannot be zero");
    auto const within = [&](std::ptrdiff_t position) {
        if (position < 0) position += n;
        return step > 0 ? std::clamp<std::ptrdiff_t>(position, 0, n) : std::clamp<std::ptrdiff_t>(position, -1, n - 1);
    };
    std::ptrdiff_t const start = which.start ? within(*which.start) : step > 0 ? 0 : n - 1;
    std::ptrdiff_t const stop = which.stop ? within(*which.stop) : step > 0 ? n : -1;
    std::ptrdiff_t const distance = step > 0 ? stop - start : start - stop;
    // The magnitude is computed unsigned: the smallest step has no positive counterpart.
    auto const stride = step > 0 ? static_cast<std::size_t>(step) : std::size_t{0} - static_cast<std::size_t>(step);
    return {start, step, distance <= 0 ? 0 : (static_cast<std::size_t>(distance) - 1) / stride + 1};
}

template <class Range>
std::size_t count_elements(Range const& range) {
    std::size_t count = 0;
    for (auto place = std::begin(range); place != std::end(range); ++place) ++count;
    return count;
}

} // namespace detail

// ---- RawValue

template <class T>
RawValue<T>::RawValue(T const& initial) {
    detail::require_shareable<T>();
    object_ = memory::make_with_extra(sizeof(T) + alignof(T));
    ::new (static_cast<void*>(get())) T(initial);
}

template <class T>
T* RawValue<T>::get() const noexcept {
    return std::launder(reinterpret_cast<T*>(detail::aligned_up(object_.extra(), alignof(T))));
}

template <class T>
std::string RawValue<T>::to_string() const {
    std::string const type = detail::readable_name<T>();
    if constexpr (std::is_floating_point_v<T>) {
        std::array<char, 64> digits;
        auto const end = std::to_chars(digits.data(), digits.data() + digits.size(), value());
        return type + "(" + std::string(digits.data(), end.ptr) + ")";
    } else if constexpr (std::is_integral_v<T>) {
        return type + "(" + std::to_string(value()) + ")";
    } else {
        return type;
    }
}

// ---- RawArray: the number of elements comes first, the elements begin with a cache line

template <class T>
typename RawArray<T>::memory RawArray<T>::allocate(std::size_t size) {
    detail::require_shareable<T>();
    constexpr std::size_t front = sizeof(std::size_t) + 2 * detail::arena_alignment;
    if (size > (std::numeric_limits<std::size_t>::max() - front) / sizeof(T)) throw std::bad_alloc();
    auto object = memory::make_with_extra(front + size * sizeof(T));
    std::memcpy(object.extra(), &size, sizeof size);
    return object;
}

template <class T>
std::size_t RawArray<T>::size() const noexcept {
    std::size_t size = 0;
    std::memcpy(&size, object_.extra(), sizeof size);
    return size;
}

template <class T>
T* RawArray<T>::data() const noexcept {
    return reinterpret_cast<T*>(detail::aligned_up(object_.extra() + sizeof(std::size_t), detail::arena_alignment));
}

template <class T>
RawArray<T>::RawArray(std::ptrdiff_t size) {
    if (size < 0) throw ValueError("the size of an array must not be negative, but is " + std::to_string(size));
    object_ = allocate(static_cast<std::size_t>(size));
    std::uninitialized_value_construct_n(data(), size);
}

template <class T>
RawArray<T>::RawArray(std::initializer_list<T> elements) : object_(allocate(elements.size())) {
    std::uninitialized_copy(elements.begin(), elements.end(), data());
}

template <class T>
template <detail::elements_for<T> Range>
RawArray<T>::RawArray(Range const& elements) : object_(allocate(detail::count_elements(elements))) {
    T* place = data();
    for (auto const& element : elements) ::new (static_cast<void*>(place++)) T(static_cast<T>(element));
}

template <class T>
RawArray<T>::RawArray(std::string_view text)
    requires std::is_same_v<T, char>
    : object_(allocate(text.size())) {
    std::uninitialized_copy(text.begin(), text.end(), data());
}

template <class T>
T& RawArray<T>::at(std::ptrdiff_t index) const {
    auto const n = static_cast<std::ptrdiff_t>(size());
    std::ptrdiff_t const position = index < 0 ? index + n : index;
    if (position < 0 || position >= n) {
        throw std::out_of_range(
            "array index " + std::to_string(index) + " out of range, the size is " + std::to_string(n));
    }
    return data()[position];
}

template <class T>
std::vector<T> RawArray<T>::get(slice const& which) const {
    auto const [start, step, count] = detail::select(which, size());
    std::vector<T> result;
    result.reserve(count);
    T const* const all = data();
    for (std::size_t i = 0; i < count; ++i) result.push_back(all[start + static_cast<std::ptrdiff_t>(i) * step]);
    return result;
}

template <class T>
template <detail::elements_for<T> Range>
void RawArray<T>::set(slice const& which, Range const& elements) const {
    auto const [start, step, count] = detail::select(which, size());
    std::size_t const given = detail::count_elements(elements);
    if (given != count) {
        throw ValueError(
            "can only assign a sequence of the same size: " + std::to_string(given) + " elements to " +
            std::to_string(count));
    }
    T* const all = data();
    std::ptrdiff_t position = start;
    for (auto const& element : elements) {
        all[position] = static_cast<T>(element);
        position += step;
    }
}

template <class T>
void RawArray<T>::set(slice const& which, std::initializer_list<T> elements) const {
    set<std::initializer_list<T>>(which, elements);
}

template <class T>
void RawArray<T>::check_length(std::size_t given) const {
    if (given <= size()) return;
    throw ValueError("text of " + std::to_string(given) + " characters for an array of " + std::to_string(size()));
}

template <class T>
std::string RawArray<T>::value() const
    requires std::is_same_v<T, char>
{
    return std::string(begin(), std::find(begin(), end(), '\0'));
}

template <class T>
void RawArray<T>::value(std::string_view text) const
    requires std::is_same_v<T, char>
{
    check_length(text.size());
    T* const behind = std::copy(text.begin(), text.end(), begin());
    if (behind != end()) *behind = '\0';
}

template <class T>
std::string RawArray<T>::raw() const
    requires std::is_same_v<T, char>
{
    return std::string(begin(), end());
}

template <class T>
void RawArray<T>::raw(std::string_view characters) const
    requires std::is_same_v<T, char>
{
    check_length(characters.size());
    std::copy(characters.begin(), characters.end(), begin());
}

template <class T>
std::string RawArray<T>::to_string() const {
    return detail::readable_name<T>() + "[" + std::to_string(size()) + "]";
}

// ---- Value

template <class T, class L>
Value<T, L>::Value(RawValue<T> raw) : raw_(std::move(raw)), lock_(detail::lock_of<L>(raw_.object_)) {}

template <class T, class L>
bool Value<T, L>::has_own_lock() const noexcept {
    return detail::is_lock_of(raw_.object_, lock_);
}

template <class T, class L>
template <class F>
auto Value<T, L>::with_lock(F&& f) const {
    std::scoped_lock const guard(*this);
    return std::forward<F>(f)(raw_.get_obj());
}

template <class T, class L>
auto Value<T, L>::operator->() const
    requires std::is_same_v<L, RLock>
{
    return detail::locked_pointer<T, L>(lock_, raw_.get_obj());
}

template <class T, class L>
std::string Value<T, L>::to_string() const {
    std::scoped_lock const guard(*this);
    return "<Synchronized wrapper for " + raw_.to_string() + ">";
}

// ---- Array

template <class T, class L>
Array<T, L>::Array(RawArray<T> raw) : raw_(std::move(raw)), lock_(detail::lock_of<L>(raw_.object_)) {}

template <class T, class L>
bool Array<T, L>::has_own_lock() const noexcept {
    return detail::is_lock_of(raw_.object_, lock_);
}

template <class T, class L>
template <class F>
auto Array<T, L>::element::with_lock(F&& f) const {
    lock_.acquire(true, Timeout());
    struct guard {
        L const& lock;
        ~guard() { lock.release(); }
    } const release_at_end{lock_};
    return std::forward<F>(f)(object_);
}

template <class T, class L>
template <class F>
auto Array<T, L>::with_lock(F&& f) const {
    std::scoped_lock const guard(*this);
    return std::forward<F>(f)(raw_.span());
}

template <class T, class L>
std::vector<T> Array<T, L>::get(slice const& which) const {
    std::scoped_lock const guard(*this);
    return raw_.get(which);
}

template <class T, class L>
template <detail::elements_for<T> Range>
void Array<T, L>::set(slice const& which, Range const& elements) const {
    std::scoped_lock const guard(*this);
    raw_.set(which, elements);
}

template <class T, class L>
void Array<T, L>::set(slice const& which, std::initializer_list<T> elements) const {
    std::scoped_lock const guard(*this);
    raw_.set(which, elements);
}

template <class T, class L>
std::string Array<T, L>::value() const
    requires std::is_same_v<T, char>
{
    std::scoped_lock const guard(*this);
    return raw_.value();
}

template <class T, class L>
void Array<T, L>::value(std::string_view text) const
    requires std::is_same_v<T, char>
{
    std::scoped_lock const guard(*this);
    raw_.value(text);
}

template <class T, class L>
std::string Array<T, L>::raw() const
    requires std::is_same_v<T, char>
{
    std::scoped_lock const guard(*this);
    return raw_.raw();
}

template <class T, class L>
void Array<T, L>::raw(std::string_view characters) const
    requires std::is_same_v<T, char>
{
    std::scoped_lock const guard(*this);
    raw_.raw(characters);
}

template <class T, class L>
std::string Array<T, L>::to_string() const {
    return "<SynchronizedArray wrapper for " + raw_.to_string() + ">";
}

} // namespace multiprocessing::inline v0
