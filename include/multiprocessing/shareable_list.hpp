#pragma once

#include <multiprocessing/shared_memory.hpp>

#include <algorithm>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace multiprocessing::inline v0 {

/// A list of fixed length in shared memory whose items are numbers, texts, bytes, or nothing. The bytes are CPython's, so a
/// Python program can share it.
///
/// Python: `multiprocessing.shared_memory.ShareableList`. Differs: the room for a text is measured in bytes, so that texts of
/// other alphabets are not cut off; an index below -len is an error, not garbage. There is no lock: guard it with one.
///
/// Example    examples/24_shared_memory_python.cpp
class ShareableList {
public:
    using Bytes = std::vector<std::byte>;
    /// None, bool, int, float, str, bytes.
    using Item = std::variant<std::monostate, bool, std::int64_t, double, std::string, Bytes>;

    /// A new list. With a name others can attach to it; otherwise it is known to those it is handed to.
    /// Python: `ShareableList(sequence, name=None)`.
    /// Throws     as SharedMemory::create
    explicit ShareableList(std::vector<Item> const& items, std::string name = {}, SharedMemoryOptions options = {});
    ShareableList(std::initializer_list<Item> items, std::string name = {})
        : ShareableList(std::vector<Item>(items), std::move(name)) {}

    /// The list of this name. Python: `ShareableList(name=name)`.
    /// Throws     as SharedMemory::attach;  ValueError  the block is no list, or was written by Python 3.8
    static ShareableList attach(std::string name);

    /// No list.
    ShareableList() noexcept = default;

    std::size_t size() const noexcept { return count_; }

    /// Item i; negative: counted from the end. Throws std::out_of_range; ValueError if the memory has been damaged.
    Item get(std::ptrdiff_t i) const;
    Item operator[](std::ptrdiff_t i) const { return get(i); }
    /// The same as a T. Throws TypeError if it is something else.
    template <class T>
    T get(std::ptrdiff_t i) const;

    /// Replaces item i. Its type may change; a text or bytes has to fit into the place that the first item there was given.
    /// Throws     std::out_of_range;  ValueError  it does not fit: the old item is still there
    void set(std::ptrdiff_t i, Item const& item);

    /// How many items are equal to this one; the position of the first. index throws ValueError if there is none.
    std::size_t count(Item const& item) const;
    std::size_t index(Item const& item) const;

    /// The formats of all items as Python's struct writes them: "qd8s".
    std::string format() const;

    /// The memory of the list, which also has its name. Close and unlink it there.
    SharedMemory& shm() noexcept { return memory_; }
    SharedMemory const& shm() const noexcept { return memory_; }

    /// The items, one after the other, as they are when the iterator comes to them.
    class iterator {
    public:
        using value_type = Item;
        using difference_type = std::ptrdiff_t;
        using iterator_category = std::input_iterator_tag;
        using pointer = void;
        using reference = Item;

        iterator() noexcept = default;
        Item operator*() const { return list_->get(static_cast<std::ptrdiff_t>(at_)); }
        iterator& operator++() noexcept {
            ++at_;
            return *this;
        }
        iterator operator++(int) noexcept {
            auto const before = *this;
            ++at_;
            return before;
        }
        bool operator==(iterator const& other) const noexcept { return at_ == other.at_; }

    private:
        friend class ShareableList;
        iterator(ShareableList const* list, std::size_t at) noexcept : list_(list), at_(at) {}
        ShareableList const* list_ = nullptr;
        std::size_t at_ = 0;
    };
    iterator begin() const noexcept { return {this, 0}; }
    iterator end() const noexcept { return {this, count_}; }

    /// Python's repr: ShareableList([1, 'a'], name='…')
    std::string to_string() const;
    friend std::ostream& operator<<(std::ostream& stream, ShareableList const& list) {
        return stream << list.to_string();
    }

private:
    friend class boost::serialization::access;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& memory_;
        if constexpr (Archive::is_loading::value) {
            if (memory_.data() != nullptr) check();
        }
    }

    // The layout, in the byte order of the machine: the number of items; the offsets of their places, and of the end of the
    // last one; the places; for each item its format in 8 bytes; and its kind in one byte.
    static constexpr std::size_t word = 8;
    static std::size_t place_size(Item const& item) noexcept;
    static std::string format_of(Item const& item, std::size_t place);
    std::size_t places_begin() const noexcept { return (count_ + 2) * word; }
    std::int64_t number_at(std::size_t position) const noexcept;
    void set_number(std::size_t position, std::int64_t number) noexcept;
    std::size_t offset(std::size_t i) const;
    std::size_t formats_begin() const noexcept { return places_begin() + places_size_; }
    std::size_t kinds_begin() const noexcept { return formats_begin() + count_ * word; }
    std::string format(std::size_t i) const;
    std::size_t checked(std::ptrdiff_t i) const;
    void write(std::size_t i, Item const& item, std::string const& format);
    void check();
    [[noreturn]] static void throw_damaged() {
        throw ValueError("this shared memory holds no ShareableList, or a damaged one");
    }

    SharedMemory memory_;
    std::size_t count_ = 0;
    std::size_t places_size_ = 0;
};

// ---- implementation

inline std::size_t ShareableList::place_size(Item const& item) noexcept {
    if (auto const* const text = std::get_if<std::string>(&item)) return word * (text->size() / word + 1);
    if (auto const* const bytes = std::get_if<Bytes>(&item)) return word * (bytes->size() / word + 1);
    return word;
}

inline std::string ShareableList::format_of(Item const& item, std::size_t place) {
    constexpr char const* fixed[] = {"xxxxxx?x", "xxxxxxx?", "q", "d"};
    return item.index() < 4 ? fixed[item.index()] : std::to_string(place) + 's';
}

inline std::int64_t ShareableList::number_at(std::size_t position) const noexcept {
    std::int64_t number = 0;
    std::memcpy(&number, memory_.data() + position, sizeof number);
    return number;
}

inline void ShareableList::set_number(std::size_t position, std::int64_t number) noexcept {
    std::memcpy(memory_.data() + position, &number, sizeof number);
}

inline ShareableList::ShareableList(std::vector<Item> const& items, std::string name, SharedMemoryOptions options)
    : count_(items.size()) {
    for (auto const& item : items) places_size_ += place_size(item);
    memory_ = SharedMemory::create(static_cast<std::int64_t>(kinds_begin() + count_), std::move(name), options);
    set_number(0, static_cast<std::int64_t>(count_));
    std::size_t at = 0;
    for (std::size_t i = 0; i < count_; ++i) {
        set_number((i + 1) * word, static_cast<std::int64_t>(at));
        at += place_size(items[i]);
    }
    set_number((count_ + 1) * word, static_cast<std::int64_t>(at));
    for (std::size_t i = 0; i < count_; ++i) write(i, items[i], format_of(items[i], place_size(items[i])));
}

inline ShareableList ShareableList::attach(std::string name) {
    ShareableList result;
    result.memory_ = SharedMemory::attach(std::move(name));
    result.check();
    return result;
}

inline void ShareableList::check() {
    std::size_t const size = memory_.size();
    if (size < 2 * word) throw_damaged();
    std::int64_t const count = number_at(0);
    // An item takes 8 bytes for its offset, for its format, for its place, and one for its kind.
    if (count < 0 || static_cast<std::uint64_t>(count) > (size - 2 * word) / (3 * word + 1)) throw_damaged();
    count_ = static_cast<std::size_t>(count);
    if (number_at(word) != 0) throw_damaged(); // Python 3.8 wrote sizes here
    std::int64_t before = 0;
    for (std::size_t i = 1; i <= count_; ++i) {
        std::int64_t const here = number_at((i + 1) * word);
        if (here < before + static_cast<std::int64_t>(word) || static_cast<std::uint64_t>(here) > size) throw_damaged();
        before = here;
    }
    places_size_ = static_cast<std::size_t>(before);
    if (kinds_begin() + count_ > size) throw_damaged();
}

/// Checked again at each use, since every process may write to it.
inline std::size_t ShareableList::offset(std::size_t i) const {
    std::int64_t const value = number_at((i + 1) * word);
    if (value < 0 || static_cast<std::uint64_t>(value) > places_size_) throw_damaged();
    return static_cast<std::size_t>(value);
}

inline std::string ShareableList::format(std::size_t i) const {
    char text[word + 1] = {};
    std::memcpy(text, memory_.data() + formats_begin() + i * word, word);
    return text;
}

inline std::size_t ShareableList::checked(std::ptrdiff_t i) const {
    auto const count = static_cast<std::ptrdiff_t>(count_);
    if (i < -count || i >= count) throw std::out_of_range("index out of range");
    return static_cast<std::size_t>(i < 0 ? i + count : i);
}

inline ShareableList::Item ShareableList::get(std::ptrdiff_t i) const {
    std::size_t const number = checked(i);
    std::size_t const begin = offset(number);
    std::size_t const end = offset(number + 1);
    if (end < begin + word) throw_damaged();
    auto const* const place = memory_.data() + places_begin() + begin;
    auto const kind = std::to_integer<int>(memory_.data()[kinds_begin() + number]);
    auto const code = format(number);
    if (kind == 3) return std::monostate();
    if (code == "xxxxxxx?") return std::to_integer<int>(place[word - 1]) != 0;
    if (code == "q") {
        std::int64_t value = 0;
        std::memcpy(&value, place, sizeof value);
        return value;
    }
    if (code == "d") {
        double value = 0;
        std::memcpy(&value, place, sizeof value);
        return value;
    }
    std::size_t length = 0;
    auto const parsed = std::from_chars(code.data(), code.data() + code.size(), length);
    if (parsed.ec != std::errc() || std::string_view(parsed.ptr) != "s" || length > end - begin) throw_damaged();
    while (length != 0 && place[length - 1] == std::byte{0}) --length; // Python does not keep zeros at the end either
    if (kind == 1) return std::string(reinterpret_cast<char const*>(place), length);
    if (kind == 2) return Bytes(place, place + length);
    throw_damaged();
}

template <class T>
T ShareableList::get(std::ptrdiff_t i) const {
    Item item = get(i);
    if constexpr (std::integral<T> && !std::same_as<T, bool>) {
        if (auto const* const value = std::get_if<std::int64_t>(&item)) {
            if (!std::in_range<T>(*value)) throw ValueError("the number does not fit into the type that was asked for");
            return static_cast<T>(*value);
        }
    } else if constexpr (std::floating_point<T>) {
        if (auto const* const value = std::get_if<double>(&item)) return static_cast<T>(*value);
    } else {
        if (auto* const value = std::get_if<T>(&item)) return std::move(*value);
    }
    throw TypeError("the item of the ShareableList has another type, its format is '" + format(checked(i)) + "'");
}

inline void ShareableList::set(std::ptrdiff_t i, Item const& item) {
    std::size_t const number = checked(i);
    std::size_t const begin = offset(number);
    std::size_t const end = offset(number + 1);
    if (end < begin + word) throw_damaged();
    std::size_t const room = end - begin;
    if (item.index() < 4) {
        write(number, item, format_of(item, room));
        return;
    }
    std::size_t const needed =
        std::holds_alternative<std::string>(item) ? std::get<std::string>(item).size() : std::get<Bytes>(item).size();
    if (needed > room) throw ValueError("bytes/str item exceeds available storage");
    write(number, item, format_of(item, room));
}

inline void ShareableList::write(std::size_t i, Item const& item, std::string const& code) {
    constexpr int kinds[] = {3, 0, 0, 0, 1, 2};
    std::byte* const place = memory_.data() + places_begin() + offset(i);
    std::memset(place, 0, offset(i + 1) - offset(i));
    auto const put = [&](void const* data, std::size_t size) {
        if (size != 0) std::memcpy(place, data, size);
    };
    if (auto const* const flag = std::get_if<bool>(&item)) place[word - 1] = static_cast<std::byte>(*flag);
    if (auto const* const number = std::get_if<std::int64_t>(&item)) put(number, sizeof *number);
    if (auto const* const number = std::get_if<double>(&item)) put(number, sizeof *number);
    if (auto const* const text = std::get_if<std::string>(&item)) put(text->data(), text->size());
    if (auto const* const bytes = std::get_if<Bytes>(&item)) put(bytes->data(), bytes->size());
    char padded[word] = {};
    code.copy(padded, word);
    std::memcpy(memory_.data() + formats_begin() + i * word, padded, word);
    memory_.data()[kinds_begin() + i] = static_cast<std::byte>(kinds[item.index()]);
}

inline std::size_t ShareableList::count(Item const& item) const {
    return static_cast<std::size_t>(std::count(begin(), end(), item));
}

inline std::size_t ShareableList::index(Item const& item) const {
    for (std::size_t i = 0; i < count_; ++i) {
        if (get(static_cast<std::ptrdiff_t>(i)) == item) return i;
    }
    throw ValueError("this item is not in the list");
}

inline std::string ShareableList::format() const {
    std::string all;
    for (std::size_t i = 0; i < count_; ++i) all += format(i);
    return all;
}

inline std::string ShareableList::to_string() const {
    struct printer {
        std::string operator()(std::monostate) const { return "None"; }
        std::string operator()(bool value) const { return value ? "True" : "False"; }
        std::string operator()(std::int64_t value) const { return std::to_string(value); }
        std::string operator()(double value) const {
            char text[32];
            auto const written = std::to_chars(text, text + sizeof text, value);
            return {text, written.ptr};
        }
        std::string operator()(std::string const& value) const { return '\'' + value + '\''; }
        std::string operator()(Bytes const& value) const { return "<" + std::to_string(value.size()) + " bytes>"; }
    };
    std::string text = "ShareableList([";
    for (std::size_t i = 0; i < count_; ++i) {
        if (i != 0) text += ", ";
        text += std::visit(printer(), get(static_cast<std::ptrdiff_t>(i)));
    }
    return text + "], name='" + memory_.name() + "')";
}

} // namespace multiprocessing::inline v0
