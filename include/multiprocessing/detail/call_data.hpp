#pragma once

#include <multiprocessing/detail/batch_io.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <memory>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

/// The caller's side of a call: putting the items into shared memory, and taking the results out.
namespace multiprocessing::inline v0::detail {

template <class Range>
inline constexpr bool is_iota = false;
template <class T, class Bound>
inline constexpr bool is_iota<std::ranges::iota_view<T, Bound>> = true;

/// An element of the user's range as the workers shall get it.
template <class Kept, class Element>
Kept keep_item(Element&& element) {
    if constexpr (std::convertible_to<Element, Kept>) {
        return std::forward<Element>(element);
    } else if constexpr (requires { std::tuple_size<std::remove_cvref_t<Element>>::value; }) {
        return std::apply(
            [](auto&&... parts) { return Kept(std::forward<decltype(parts)>(parts)...); },
            std::forward<Element>(element));
    } else {
        return Kept(std::forward<Element>(element));
    }
}

/// The items of a call in shared memory.
struct placed_items {
    arena_block block;                             ///< nothing, if they are somebody else's
    std::vector<std::shared_ptr<void>> kept_alive; ///< what they refer to
    arena_offset position = 0;
    std::uint64_t count = 0;
    std::uint64_t extra = 0;

    void describe(batch& work) const noexcept {
        work.input = position;
        work.input_extra = extra;
    }
};

/// Puts them there.
template <class Kept, class Range>
class call_input : public placed_items {
    // bool is plain here as well: it is written and read as a bool.
    static constexpr bool plain = plain_result<Kept>;
    static constexpr bool counted = is_iota<Range> && std::integral<Kept> && !std::same_as<Kept, bool>;

public:
    /// How the workers read them.
    using reader = typename std::conditional_t<
        counted,
        std::type_identity<sequence_input<std::conditional_t<counted, Kept, int>>>,
        std::conditional_t<plain, std::type_identity<array_input<Kept>>, std::type_identity<archived_input<Kept>>>>::
        type;

    /// With `in_place`, plain items that lie in shared memory already are used where they are.
    template <class Items>
    call_input(Items&& items, bool in_place) {
        if constexpr (counted && std::ranges::sized_range<Items>) {
            count = static_cast<std::uint64_t>(std::ranges::size(items));
            if (count != 0) extra = static_cast<std::uint64_t>(static_cast<Kept>(*std::ranges::begin(items)));
        } else if constexpr (plain) {
            put_plain(std::forward<Items>(items), in_place);
        } else {
            put_archived(std::forward<Items>(items));
        }
    }

private:
    template <class Items>
    void put_plain(Items&& items, [[maybe_unused]] bool in_place) {
        if constexpr (std::ranges::contiguous_range<Items> && std::ranges::sized_range<Items>) {
            using element = std::remove_cv_t<std::ranges::range_value_t<Items>>;
            count = static_cast<std::uint64_t>(std::ranges::size(items));
            if constexpr (std::same_as<element, Kept>) {
                arena& memory = arena::instance();
                auto const* const data = std::ranges::data(items);
                std::size_t const size = static_cast<std::size_t>(count) * sizeof(Kept);
                if (in_place && memory.contains(data, size)) { // shared already: used where it is
                    position = memory.offset_of(data);
                    return;
                }
                allocate(size);
                if (size != 0) std::memcpy(static_cast<void*>(block.get()), data, size);
                return;
            }
        }
        if constexpr (std::ranges::sized_range<Items>) {
            count = static_cast<std::uint64_t>(std::ranges::size(items));
            allocate(static_cast<std::size_t>(count) * sizeof(Kept));
            auto* place = block.get<Kept>();
            for (auto&& item : items) std::construct_at(place++, keep_item<Kept>(std::forward<decltype(item)>(item)));
        } else {
            std::vector<Kept> all; // how many there are shows at the end
            for (auto&& item : items) all.push_back(keep_item<Kept>(std::forward<decltype(item)>(item)));
            count = all.size();
            allocate(all.size() * sizeof(Kept));
            std::uninitialized_copy(all.begin(), all.end(), block.get<Kept>());
        }
    }

    template <class Items>
    void put_archived(Items&& items) {
        byte_buffer bytes;
        std::vector<std::uint64_t> positions{0};
        for (auto&& item : items) {
            output_archive archive(bytes);
            archive.delivery_mode(delivery::many);
            if constexpr (std::same_as<std::remove_cvref_t<decltype(item)>, Kept>) {
                archive << item;
            } else {
                archive << keep_item<Kept>(std::forward<decltype(item)>(item));
            }
            positions.push_back(bytes.size());
            auto& referred = archive.kept_alive();
            kept_alive.insert(
                kept_alive.end(), std::move_iterator(referred.begin()), std::move_iterator(referred.end()));
        }
        count = positions.size() - 1;
        std::uint64_t const table = positions.size() * sizeof(std::uint64_t);
        for (auto& each : positions) each += table;
        allocate(static_cast<std::size_t>(table) + bytes.size());
        std::memcpy(block.get(), positions.data(), static_cast<std::size_t>(table));
        if (bytes.size() != 0) std::memcpy(block.get() + table, bytes.data(), bytes.size());
    }

    void allocate(std::size_t size) {
        block = arena_block(size);
        position = block.offset();
    }
};

/// Where the results of a call come to lie.
template <class R>
class call_output {
public:
    explicit call_output(std::uint64_t count) : count_(static_cast<std::size_t>(count)) {
        if constexpr (plain_result<R>) {
            block_ = arena_block(count_ * sizeof(R));
        } else {
            block_ = arena_block(count_ * sizeof(std::atomic<arena_offset>));
            for (std::size_t i = 0; i < count_; ++i)
                ::new (block_.get<std::atomic<arena_offset>>() + i) std::atomic<arena_offset>(0);
        }
    }
    ~call_output() { clear(); }
    call_output(call_output const&) = delete;
    call_output& operator=(call_output const&) = delete;

    void describe(batch& work) noexcept { work.output = block_.offset(); }

    /// The memory that workers have written results into belongs to this call from now on.
    void adopt(std::vector<arena_offset> regions) noexcept { regions_ = std::move(regions); }

    /// Result i.
    R get(std::size_t i) const {
        if constexpr (plain_result<R>) {
            return block_.get<R>()[i];
        } else {
            arena& memory = arena::instance();
            arena_offset const position = block_.get<std::atomic<arena_offset>>()[i].load(std::memory_order_acquire);
            std::uint64_t const size = *memory.at<std::uint64_t>(position);
            return load<R>(std::span(memory.at(position) + sizeof size, static_cast<std::size_t>(size)));
        }
    }

    std::vector<R> all() const {
        if constexpr (plain_result<R>) {
            auto const* const results = block_.get<R>();
            return std::vector<R>(results, results + count_);
        } else {
            std::vector<R> results;
            results.reserve(count_);
            for (std::size_t i = 0; i < count_; ++i) results.push_back(get(i));
            return results;
        }
    }

    /// Gives the memory back.
    void clear() noexcept {
        for (arena_offset const region : regions_) free_regions(region);
        regions_.clear();
        block_ = {};
    }
    /// In a forked child: what is here is not its own.
    void forget() noexcept {
        static_cast<void>(block_.release());
        regions_.clear();
    }

private:
    std::size_t count_;
    arena_block block_;
    std::vector<arena_offset> regions_;
};

template <>
class call_output<void> {
public:
    explicit call_output(std::uint64_t) noexcept {}
    void describe(batch&) noexcept {}
    void adopt(std::vector<arena_offset>) noexcept {}
    void get(std::size_t) const noexcept {}
    void all() const noexcept {}
    void clear() noexcept {}
    void forget() noexcept {}
};

} // namespace multiprocessing::inline v0::detail
