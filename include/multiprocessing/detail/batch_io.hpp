#pragma once

#include <multiprocessing/detail/batch_worker.hpp>
#include <multiprocessing/detail/callable.hpp>
#include <multiprocessing/detail/demangle.hpp>
#include <multiprocessing/util.hpp>

#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

/// How the items of a call get to the workers, how results get back, and the loop between the two.
///
/// Plain data lies in an array that the workers read from, or write to, in place; everything else goes through the
/// archive, each item by itself, so that a worker decodes only what it has claimed.
namespace multiprocessing::inline v0::detail {

// ---- inputs: how item i is kept, and read

/// Plain items, one behind the other. They may be the user's own, if these lie in shared memory already.
template <class T>
class array_input {
public:
    explicit array_input(batch const& work) noexcept : items_(arena::instance().at<T>(work.input) + work.first) {}
    T const& get(std::uint64_t i) const noexcept { return items_[i]; }

private:
    T const* items_;
};

/// Whole numbers that follow each other: only the first is kept.
template <class T>
class sequence_input {
public:
    explicit sequence_input(batch const& work) noexcept : first_(work.input_extra + work.first) {}
    T get(std::uint64_t i) const noexcept { return static_cast<T>(static_cast<std::make_unsigned_t<T>>(first_ + i)); }

private:
    std::uint64_t first_;
};

/// Serialised items: a table of positions, one more than there are items, and behind it the bytes.
template <class T>
class archived_input {
public:
    explicit archived_input(batch const& work) noexcept
        : begin_(arena::instance().at(work.input)), first_(work.first) {}
    T get(std::uint64_t i) const {
        auto const* const position = reinterpret_cast<std::uint64_t const*>(begin_) + first_ + i;
        input_archive archive({begin_ + position[0], static_cast<std::size_t>(position[1] - position[0])});
        archive.delivery_mode(delivery::many); // an item may be tried again
        return archive.make<T>();
    }

private:
    std::byte const* begin_;
    std::uint64_t first_;
};

// ---- outputs: how result i is kept

struct no_output {
    explicit no_output(batch&) noexcept {}
};

template <class R>
struct array_output {
    explicit array_output(batch& work) noexcept : results(arena::instance().at<R>(work.output) + work.first) {}
    void put(std::uint64_t i, R const& result) noexcept {
        std::memcpy(static_cast<void*>(results + i), std::addressof(result), sizeof(R));
    }
    R* results;
};

template <class R>
struct archived_output {
    explicit archived_output(batch& work) noexcept
        : sink(work), positions(arena::instance().at<std::atomic<arena_offset>>(work.output) + work.first) {}
    void put(std::uint64_t i, R const& result) {
        sink.begin_result();
        try {
            output_archive archive(sink);
            archive << result;
        } catch (std::bad_alloc const&) {
            sink.drop_result();
            throw;
        } catch (std::exception const& error) {
            sink.drop_result();
            throw MaybeEncodingError(error.what(), readable_name<R>());
        }
        positions[i].store(sink.end_result(), std::memory_order_release);
    }
    result_sink sink;
    std::atomic<arena_offset>* positions;
};

/// Plain results lie in an array. bool is one of them, although the archive does not copy it blindly.
template <class R>
inline constexpr bool plain_result = std::is_same_v<R, bool> || bitwise<R>;

template <class R>
struct output_for : std::type_identity<archived_output<R>> {};
template <>
struct output_for<void> : std::type_identity<no_output> {};
template <class R>
    requires plain_result<R>
struct output_for<R> : std::type_identity<array_output<R>> {};

// ---- how a callable gets to the workers

/// Serialised, or in the memory that workers inherit which were forked for the call.
template <class F>
struct travelling_callable {
    static F get(batch const& work) {
        input_archive archive({arena::instance().at(work.callable), static_cast<std::size_t>(work.callable_size)});
        archive.delivery_mode(delivery::many);
        return load_callable<F>(archive);
    }
};
template <class F>
struct inherited_callable {
    static F& get(batch const& work) noexcept {
        return *reinterpret_cast<F*>(static_cast<std::uintptr_t>(work.callable));
    }
};

// ---- calls: one item to one call

/// The item is the argument.
template <class Signature>
struct call_with_item {
    using P = typename Signature::template at<0>;

    template <class F, class Item>
    static decltype(auto) call(F& callable, Item&& item) {
        using kept = kept_argument<P>;
        if constexpr (
            std::is_same_v<kept, std::remove_cvref_t<P>> && std::is_lvalue_reference_v<Item> &&
            (!std::is_reference_v<P> || std::is_const_v<std::remove_reference_t<P>>)) {
            return std::invoke(callable, item); // read in place
        } else {
            kept own = std::forward<Item>(item); // may be changed: the input stays as it is, for another try
            return std::invoke(callable, parameter<P>::pass(own));
        }
    }
};

/// The item is a tuple of the arguments.
template <class Signature>
struct call_with_tuple {
    template <class F, class Item>
    static decltype(auto) call(F& callable, Item&& item) {
        typename Signature::kept own = std::forward<Item>(item);
        return Signature::call(callable, own);
    }
};

// ---- the loop

template <class Callable, class Input, class Call, class Result>
void work_on(batch& work, batch_worker& worker) {
    auto next = worker.next(work);
    if (!next) return;
    struct made {
        decltype(Callable::get(work)) callable;
    };
    std::optional<made> callable;
    std::exception_ptr broken; // if the callable cannot be made here: the outcome of every item
    try {
        callable.emplace(made{Callable::get(work)});
    } catch (...) {
        broken = std::current_exception();
    }
    Input const input(work);
    typename output_for<Result>::type output(work);
    for (; next; next = worker.next(work)) {
        for (std::uint64_t i = next->begin; i < next->end; ++i) {
            worker.begin(i);
            if (broken) {
                worker.fail(work, i, broken);
                continue;
            }
            try {
                if constexpr (std::is_void_v<Result>) {
                    Call::call(callable->callable, input.get(i));
                } else {
                    output.put(i, Call::call(callable->callable, input.get(i)));
                }
                worker.mark(i);
            } catch (SystemExit const&) {
                throw; // the worker ends, and that costs this item
            } catch (...) {
                worker.fail(work, i);
            }
        }
    }
}

} // namespace multiprocessing::inline v0::detail
