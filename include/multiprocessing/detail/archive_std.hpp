#pragma once

#include <multiprocessing/detail/archive_core.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

/// How the types of the standard library travel. What is trivially copyable (chrono, complex, bitset, byte…) needs
/// nothing here.
namespace multiprocessing::inline v0::detail {

// ---- strings and sequences

template <class Char, class Traits>
struct codec<std::basic_string_view<Char, Traits>> {
    static constexpr bool saves = true, loads = false;
    static void save(output_archive& archive, std::basic_string_view<Char, Traits> text) {
        archive.save_size(text.size());
        archive.save_binary(text.data(), text.size() * sizeof(Char));
    }
};

template <class Char, class Traits, class Allocator>
struct codec<std::basic_string<Char, Traits, Allocator>> {
    static constexpr bool saves = true, loads = true;
    static void save(output_archive& archive, std::basic_string<Char, Traits, Allocator> const& text) {
        archive.save_size(text.size());
        archive.save_binary(text.data(), text.size() * sizeof(Char));
    }
    static void load(input_archive& archive, std::basic_string<Char, Traits, Allocator>& text) {
        std::size_t const count = archive.load_size(sizeof(Char));
        if constexpr (sizeof(Char) == 1) { // no alignment to care for
            text.assign(reinterpret_cast<Char const*>(archive.take(count)), count);
        } else {
            text.resize(count);
            archive.load_binary(text.data(), count * sizeof(Char));
        }
    }
};

template <class T, std::size_t extent>
struct codec<std::span<T, extent>> {
    static constexpr bool saves = saveable<T>, loads = false;
    static void save(output_archive& archive, std::span<T, extent> elements) {
        if constexpr (bitwise<T>) {
            archive.save_size(elements.size());
            archive.save_binary(elements.data(), elements.size_bytes());
        } else {
            archive.save_elements(elements, elements.size());
        }
    }
};

template <class T, class Allocator>
struct codec<std::vector<T, Allocator>> {
    static constexpr bool saves = saveable<T>, loads = loadable<T>;
    static void save(output_archive& archive, std::vector<T, Allocator> const& vector) {
        codec<std::span<T const>>::save(archive, std::span<T const>(vector));
    }
    static void load(input_archive& archive, std::vector<T, Allocator>& vector) {
        if constexpr (bitwise<T> && std::is_copy_constructible_v<T> && std::is_copy_assignable_v<T>) {
            load_bytes(archive, vector);
        } else {
            vector.clear();
            std::size_t const count = archive.load_size();
            if constexpr (sizeof(T) <= largest_to_reserve) vector.reserve(count);
            archive.load_elements(count, [&] {
                if constexpr (std::is_default_constructible_v<T>)
                    archive.load(vector.emplace_back());
                else
                    vector.push_back(archive.make<T>());
            });
        }
    }

private:
    /// A count may claim one element per byte that is left, so it may cost this many times the message, not more.
    static constexpr std::size_t largest_to_reserve = 128;

    /// In one copy if the bytes are aligned, otherwise through a block that is and stays in the first-level cache.
    /// Not by resize and memcpy: resize would fill the vector first.
    static void load_bytes(input_archive& archive, std::vector<T, Allocator>& vector) {
        std::size_t left = archive.load_size(sizeof(T));
        std::byte const* bytes = archive.take(left * sizeof(T));
        if (reinterpret_cast<std::uintptr_t>(bytes) % alignof(T) == 0) {
            auto const* const first = reinterpret_cast<T const*>(bytes);
            vector.assign(first, first + left);
            return;
        }
        vector.clear();
        vector.reserve(left);
        constexpr std::size_t at_once = std::max<std::size_t>(1, 4096 / sizeof(T));
        alignas(T) std::byte block[at_once * sizeof(T)];
        while (left != 0) {
            std::size_t const count = std::min(left, at_once);
            std::memcpy(block, bytes, count * sizeof(T));
            auto const* const first = reinterpret_cast<T const*>(block);
            vector.insert(vector.end(), first, first + count);
            bytes += count * sizeof(T);
            left -= count;
        }
    }
};

template <class Allocator>
struct codec<std::vector<bool, Allocator>> { // eight in a byte
    static constexpr bool saves = true, loads = true;
    static void save(output_archive& archive, std::vector<bool, Allocator> const& bits) {
        archive.save_size(bits.size());
        for (std::size_t i = 0; i < bits.size(); i += 8) {
            unsigned int byte = 0;
            for (std::size_t bit = 0; bit != std::min<std::size_t>(8, bits.size() - i); ++bit)
                byte |= (bits[i + bit] ? 1u : 0u) << bit;
            archive << static_cast<std::uint8_t>(byte);
        }
    }
    static void load(input_archive& archive, std::vector<bool, Allocator>& bits) {
        auto const count = archive.make<std::uint64_t>();
        if (count / 8 > archive.remaining()) throw_damaged_message();
        bits.assign(static_cast<std::size_t>(count), false);
        for (std::size_t i = 0; i < bits.size(); i += 8) {
            unsigned int const byte = archive.make<std::uint8_t>();
            for (std::size_t bit = 0; bit != std::min<std::size_t>(8, bits.size() - i); ++bit)
                bits[i + bit] = (byte >> bit & 1u) != 0;
        }
    }
};

template <class T, std::size_t n>
inline constexpr bool bitwise<std::array<T, n>> = bitwise<T>;

template <class T, std::size_t n>
struct codec<std::array<T, n>> {
    static constexpr bool saves = saveable<T>, loads = loadable<T>;
    static void save(output_archive& archive, std::array<T, n> const& array) {
        for (auto const& element : array) archive.save(element);
    }
    static void load(input_archive& archive, std::array<T, n>& array) {
        for (auto& element : array) archive.load(element);
    }
};

template <class Sequence>
struct sequence_codec {
    using element = typename Sequence::value_type;
    static constexpr bool saves = saveable<element>, loads = loadable<element>;
    static void save(output_archive& archive, Sequence const& sequence) {
        archive.save_elements(sequence, sequence.size());
    }
    static void load(input_archive& archive, Sequence& sequence) {
        sequence.clear();
        archive.load_elements(archive.load_size(), [&] {
            if constexpr (std::is_default_constructible_v<element>)
                archive.load(sequence.emplace_back());
            else
                sequence.push_back(archive.make<element>());
        });
    }
};
template <class T, class Allocator>
struct codec<std::deque<T, Allocator>> : sequence_codec<std::deque<T, Allocator>> {};
template <class T, class Allocator>
struct codec<std::list<T, Allocator>> : sequence_codec<std::list<T, Allocator>> {};

// ---- sets and maps

template <class Set>
struct set_codec {
    using key = typename Set::key_type;
    static constexpr bool saves = saveable<key>, loads = loadable<key>;
    static void save(output_archive& archive, Set const& set) { archive.save_elements(set, set.size()); }
    static void load(input_archive& archive, Set& set) {
        set.clear();
        archive.load_elements(archive.load_size(), [&] { set.insert(set.end(), archive.make<key>()); });
    }
};
template <class... T>
struct codec<std::set<T...>> : set_codec<std::set<T...>> {};
template <class... T>
struct codec<std::multiset<T...>> : set_codec<std::multiset<T...>> {};
template <class... T>
struct codec<std::unordered_set<T...>> : set_codec<std::unordered_set<T...>> {};
template <class... T>
struct codec<std::unordered_multiset<T...>> : set_codec<std::unordered_multiset<T...>> {};

template <class Map>
struct map_codec {
    using key = typename Map::key_type;
    using value = typename Map::mapped_type;
    static constexpr bool saves = saveable<key> && saveable<value>, loads = loadable<key> && loadable<value>;
    static void save(output_archive& archive, Map const& map) { archive.save_elements(map, map.size()); }
    static void load(input_archive& archive, Map& map) {
        map.clear();
        archive.load_elements(archive.load_size(), [&] {
            auto loaded_key = archive.make<key>();
            map.emplace_hint(map.end(), std::move(loaded_key), archive.make<value>());
        });
    }
};
template <class... T>
struct codec<std::map<T...>> : map_codec<std::map<T...>> {};
template <class... T>
struct codec<std::multimap<T...>> : map_codec<std::multimap<T...>> {};
template <class... T>
struct codec<std::unordered_map<T...>> : map_codec<std::unordered_map<T...>> {};
template <class... T>
struct codec<std::unordered_multimap<T...>> : map_codec<std::unordered_multimap<T...>> {};

// ---- several values, one of several, perhaps one

template <class First, class Second>
struct codec<std::pair<First, Second>> {
    static constexpr bool saves = saveable<First> && saveable<Second>, loads = loadable<First> && loadable<Second>;
    static void save(output_archive& archive, std::pair<First, Second> const& pair) {
        archive.save(pair.first);
        archive.save(pair.second);
    }
    static void load(input_archive& archive, std::pair<First, Second>& pair) {
        archive.load(pair.first);
        archive.load(pair.second);
    }
    static std::pair<First, Second> make(input_archive& archive) // braces: in this order
        requires loads
    {
        return std::pair<First, Second>{archive.make<First>(), archive.make<Second>()};
    }
};

/// References are saved as what they refer to, so that arguments need not be copied first.
template <class... T>
struct codec<std::tuple<T...>> {
    static constexpr bool saves = (saveable<T> && ...), loads = (loadable<T> && ...);
    static void save(output_archive& archive, std::tuple<T...> const& tuple) {
        std::apply([&](auto const&... element) { (archive.save(element), ...); }, tuple);
    }
    static void load(input_archive& archive, std::tuple<T...>& tuple) {
        std::apply([&](auto&... element) { (archive.load(element), ...); }, tuple);
    }
    static std::tuple<T...> make([[maybe_unused]] input_archive& archive)
        requires loads
    {
        return std::tuple<T...>{archive.make<T>()...};
    }
};

template <class T>
struct codec<std::optional<T>> {
    static constexpr bool saves = saveable<T>, loads = loadable<T>;
    static void save(output_archive& archive, std::optional<T> const& optional) {
        archive.save(optional.has_value());
        if (optional) archive.save(*optional);
    }
    static void load(input_archive& archive, std::optional<T>& optional) {
        optional.reset();
        if (archive.make<bool>()) optional.emplace(archive.make<T>());
    }
};

template <class... T>
struct codec<std::variant<T...>> {
    static constexpr bool saves = (saveable<T> && ...), loads = (loadable<T> && ...);
    static void save(output_archive& archive, std::variant<T...> const& variant) {
        if (variant.valueless_by_exception()) throw PicklingError("a variant without a value cannot travel");
        archive.save(static_cast<std::uint32_t>(variant.index()));
        std::visit([&](auto const& value) { archive.save(value); }, variant);
    }
    static void load(input_archive& archive, std::variant<T...>& variant) { variant = make(archive); }
    static std::variant<T...> make(input_archive& archive)
        requires loads
    {
        return make_alternative<0>(archive, archive.make<std::uint32_t>());
    }

private:
    template <std::size_t index>
    static std::variant<T...> make_alternative(input_archive& archive, std::uint32_t wanted) {
        if constexpr (index == sizeof...(T)) {
            throw_damaged_message();
        } else {
            if (index != wanted) return make_alternative<index + 1>(archive, wanted);
            using alternative = std::variant_alternative_t<index, std::variant<T...>>;
            return std::variant<T...>(std::in_place_index<index>, archive.make<alternative>());
        }
    }
};

} // namespace multiprocessing::inline v0::detail
