#pragma once

#include <multiprocessing/call_options.hpp>
#include <multiprocessing/detail/batch_io.hpp>
#include <multiprocessing/outcome.hpp>

#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

/// What follows from the types of a function and of its items: how items are kept, what comes back.
namespace multiprocessing::inline v0::detail {

/// What a call returns: all results, or the first failure; an outcome for each item; or the result of its only item.
enum class call_shape { all, outcomes, one };

template <class R, call_shape shape>
struct call_value_for : std::type_identity<std::vector<R>> {};
template <>
struct call_value_for<void, call_shape::all> : std::type_identity<void> {};
template <class R>
struct call_value_for<R, call_shape::outcomes> : std::type_identity<std::vector<Outcome<R>>> {};
template <class R>
struct call_value_for<R, call_shape::one> : std::type_identity<R> {};
template <class R, call_shape shape>
using call_value = typename call_value_for<R, shape>::type;

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

/// Kept: an item in shared memory. Caller: how it becomes a call of the function.
template <class Result, class Kept, class Caller>
struct call_traits {
    static_assert(
        !std::is_reference_v<Result>,
        "multiprocessing: the function returns a reference, which means nothing outside its process; return a value");
    static_assert(
        std::is_void_v<Result> || plain_result<Result> || travels<Result>,
        "multiprocessing: the result of the function cannot travel between processes; give its type serialize()");
    static_assert(
        plain_result<Kept> || travels<Kept>,
        "multiprocessing: the items cannot travel between processes; give their type serialize()");

    using result = std::remove_cv_t<Result>;
    using kept = Kept;
    using call = Caller;
    template <class OnError>
    static constexpr call_shape shape = std::is_same_v<OnError, collect_t> ? call_shape::outcomes : call_shape::all;
    template <class OnError>
    using value = call_value<result, shape<OnError>>;
};

template <class Signature>
struct map_traits_for : call_traits<
                            typename Signature::result,
                            std::tuple_element_t<0, typename Signature::kept>,
                            call_with_item<Signature>> {
    static_assert(
        Signature::arity == 1, "multiprocessing: map() calls its function with one argument; starmap() unpacks");
};
template <class F, class Items>
using map_traits = map_traits_for<signature_of<F, std::ranges::range_reference_t<Items>>>;

template <class Signature>
struct starmap_traits_for
    : call_traits<typename Signature::result, typename Signature::kept, call_with_tuple<Signature>> {};
template <class F, class Items>
using starmap_traits =
    starmap_traits_for<tuple_signature<F, std::remove_cvref_t<std::ranges::range_reference_t<Items>>>>;

template <class Signature, std::size_t count>
struct apply_traits_for : starmap_traits_for<Signature> {
    static_assert(Signature::arity == count, "multiprocessing: the function takes another number of arguments");

    template <class OnError>
    static constexpr call_shape shape = call_shape::one;
    template <class OnError>
    using value = typename starmap_traits_for<Signature>::result;
};
template <class F, class... Args>
using apply_traits = apply_traits_for<signature_of<F, Args...>, sizeof...(Args)>;
template <class F, class... Args>
using apply_value = typename apply_traits<F, Args...>::template value<raise_t>;

} // namespace multiprocessing::inline v0::detail
