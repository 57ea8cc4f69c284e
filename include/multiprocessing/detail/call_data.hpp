#pragma once

#include <multiprocessing/detail/batch_io.hpp>
#include <multiprocessing/detail/crew.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <cstring>
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

/// The signature for a call with the elements of a tuple.
template <class F, class Tuple, class Indices = std::make_index_sequence<std::tuple_size_v<Tuple>>>
struct tuple_signature_for;
template <class F, class Tuple, std::size_t... i>
struct tuple_signature_for<F, Tuple, std::index_sequence<i...>>
    : std::type_identity<signature_of<F, std::tuple_element_t<i, Tuple>...>> {
    static_assert(
        signature_of<F, std::tuple_element_t<i, Tuple>...>::arity == sizeof...(i),
        "multiprocessing: the function takes another number of arguments than the tuples have elements");
};
template <class F, class Tuple>
using tuple_signature = typename tuple_signature_for<F, Tuple>::type;

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
template <class Kept, class Range>
class call_input {
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

    template <class Items>
    explicit call_input(Items&& items) {
        if constexpr (counted && std::ranges::sized_range<Items>) {
            count_ = static_cast<std::uint64_t>(std::ranges::size(items));
            if (count_ != 0) extra_ = static_cast<std::uint64_t>(static_cast<Kept>(*std::ranges::begin(items)));
        } else if constexpr (plain) {
            put_plain(std::forward<Items>(items));
        } else {
            put_archived(std::forward<Items>(items));
        }
    }

    std::uint64_t count() const noexcept { return count_; }
    void describe(batch& work) const noexcept {
        work.input = position_;
        work.input_extra = extra_;
    }

private:
    template <class Items>
    void put_plain(Items&& items) {
        if constexpr (std::ranges::contiguous_range<Items> && std::ranges::sized_range<Items>) {
            using element = std::remove_cv_t<std::ranges::range_value_t<Items>>;
            count_ = static_cast<std::uint64_t>(std::ranges::size(items));
            if constexpr (std::same_as<element, Kept>) {
                arena& memory = arena::instance();
                auto const* const data = std::ranges::data(items);
                std::size_t const size = static_cast<std::size_t>(count_) * sizeof(Kept);
                if (memory.contains(data, size)) { // shared already: used where it is
                    position_ = memory.offset_of(data);
                    return;
                }
                allocate(size);
                if (size != 0) std::memcpy(static_cast<void*>(block_.get()), data, size);
                return;
            }
        }
        if constexpr (std::ranges::sized_range<Items>) {
            count_ = static_cast<std::uint64_t>(std::ranges::size(items));
            allocate(static_cast<std::size_t>(count_) * sizeof(Kept));
            auto* place = block_.get<Kept>();
            for (auto&& item : items) std::construct_at(place++, keep_item<Kept>(std::forward<decltype(item)>(item)));
        } else {
            std::vector<Kept> all; // how many there are shows at the end
            for (auto&& item : items) all.push_back(keep_item<Kept>(std::forward<decltype(item)>(item)));
            count_ = all.size();
            allocate(all.size() * sizeof(Kept));
            std::uninitialized_copy(all.begin(), all.end(), block_.get<Kept>());
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
        }
        count_ = positions.size() - 1;
        std::uint64_t const table = positions.size() * sizeof(std::uint64_t);
        for (auto& position : positions) position += table;
        allocate(static_cast<std::size_t>(table) + bytes.size());
        std::memcpy(block_.get(), positions.data(), static_cast<std::size_t>(table));
        if (bytes.size() != 0) std::memcpy(block_.get() + table, bytes.data(), bytes.size());
    }

    void allocate(std::size_t size) {
        block_ = arena_block(size);
        position_ = block_.offset();
    }

    arena_block block_;
    arena_offset position_ = 0;
    std::uint64_t count_ = 0;
    std::uint64_t extra_ = 0;
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
    ~call_output() { free_regions(); }
    call_output(call_output const&) = delete;
    call_output& operator=(call_output const&) = delete;

    void describe(batch& work) noexcept { work.output = block_.offset(); }

    /// The memory that a batch's workers have written into belongs to this call from now on.
    void adopt(arena_offset regions) { regions_.push_back(regions); }

    std::vector<R> collect() {
        if constexpr (plain_result<R>) {
            auto const* const results = block_.get<R>();
            return std::vector<R>(results, results + count_);
        } else {
            arena& memory = arena::instance();
            auto const* const positions = block_.get<std::atomic<arena_offset>>();
            std::vector<R> results;
            results.reserve(count_);
            for (std::size_t i = 0; i < count_; ++i) {
                arena_offset const position = positions[i].load(std::memory_order_acquire);
                std::uint64_t const size = *memory.at<std::uint64_t>(position);
                results.push_back(
                    load<R>(std::span(memory.at(position) + sizeof size, static_cast<std::size_t>(size))));
            }
            return results;
        }
    }

private:
    void free_regions() noexcept {
        arena& memory = arena::instance();
        for (arena_offset position : regions_) {
            while (position != 0) {
                auto const region = *memory.at<result_region>(position);
                memory.deallocate(position, static_cast<std::size_t>(region.size));
                position = region.next;
            }
        }
    }

    std::size_t count_;
    arena_block block_;
    std::vector<arena_offset> regions_;
};

template <>
class call_output<void> {
public:
    explicit call_output(std::uint64_t) noexcept {}
    void describe(batch&) noexcept {}
    void adopt(arena_offset) noexcept {}
    void collect() const noexcept {}
};

/// Has a batch worked on, waits for it, and throws the first failure.
template <class Output>
void perform(crew& workers, batch* work, Output& output) {
    crew_call call;
    try {
        call.batches.push_back(work);
    } catch (...) {
        batch::free(work);
        throw;
    }
    struct finally {
        crew& workers;
        crew_call& call;
        ~finally() { workers.release(call); }
    };
    std::vector<failed_item> failures;
    {
        finally const at_end{workers, call};
        workers.submit(call);
        workers.wait(call, platform::never);
        arena& memory = arena::instance();
        for (auto* const one : call.batches) {
            output.adopt(one->regions.exchange(0, std::memory_order_acquire));
            for (arena_offset at = one->failures.exchange(0, std::memory_order_acquire); at != 0;) {
                auto* const record = memory.at<failure_record>(at);
                at = record->next;
                failures.push_back(
                    {record->index,
                     record->when,
                     load_exception({record->bytes(), static_cast<std::size_t>(record->size)})});
                free_failure(record);
            }
        }
        failures.insert(failures.end(), call.lost.begin(), call.lost.end());
    }
    if (failures.empty()) return;
    auto const first = std::min_element(
        failures.begin(), failures.end(), [](auto const& a, auto const& b) { return a.when < b.when; });
    std::rethrow_exception(first->error);
}

} // namespace multiprocessing::inline v0::detail
