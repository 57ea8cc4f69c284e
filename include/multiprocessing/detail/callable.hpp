#pragma once

#include <multiprocessing/detail/archive.hpp>
#include <multiprocessing/detail/entry_point.hpp>

#include <cstddef>
#include <functional>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

/// What can be run in another process, and how its arguments are kept on the way.
namespace multiprocessing::inline v0::detail {

// ---- kinds of callables

template <class F>
inline constexpr bool is_function_pointer = std::is_pointer_v<F> && std::is_function_v<std::remove_pointer_t<F>>;

/// Functions, lambdas without captures, empty function objects: the type, or the address, says everything.
template <class F>
inline constexpr bool is_code =
    is_function_pointer<F> ||
    (std::is_empty_v<F> && (std::is_default_constructible_v<F> || std::is_trivially_copyable_v<F>));

/// Function objects whose state travels: they have `serialize`, or are made by `partial` or `by_value`.
template <class F>
inline constexpr bool has_state =
    !is_code<F> && std::is_class_v<F> && travels<F> && (user_serialize<output_archive, F> || has_codec<F>);

/// Such an F can be sent to a process that already runs. Everything else, such as a lambda with captures, can only be
/// inherited by a process that is forked now.
template <class F>
inline constexpr bool callable_travels = is_code<F> || has_state<F>;

template <class F>
void save_callable(output_archive& archive, F const& callable);
template <class F>
F load_callable(input_archive& archive);

inline constexpr char cannot_travel_text[] =
    "this callable holds state that cannot travel: use a function, a lambda without captures, a function object with "
    "serialize(), multiprocessing::partial(f, args...), or multiprocessing::by_value(lambda); or the start method "
    "fork, "
    "which takes any callable";

// ---- parameters

/// How an argument for a parameter of type P is kept, and handed over. Views become owners, since what they refer to
/// stays behind.
template <class P>
struct parameter {
    using kept = std::remove_cvref_t<P>;

    static decltype(auto) pass(kept& value) {
        if constexpr (std::is_lvalue_reference_v<P>) {
            return (value);
        } else {
            return std::move(value);
        }
    }
};
template <class P>
    requires std::is_same_v<std::remove_cvref_t<P>, std::string_view> ||
             std::is_same_v<std::remove_cvref_t<P>, char const*>
struct parameter<P> {
    using kept = std::string;

    static std::remove_cvref_t<P> pass(kept& value) {
        if constexpr (std::is_same_v<std::remove_cvref_t<P>, std::string_view>) {
            return value;
        } else {
            return value.c_str();
        }
    }
};
template <class P>
inline constexpr bool is_span = false;
template <class T>
inline constexpr bool is_span<std::span<T>> = true;
template <class P>
    requires is_span<std::remove_cvref_t<P>>
struct parameter<P> {
    using kept = std::vector<std::remove_cv_t<typename std::remove_cvref_t<P>::element_type>>;

    static std::remove_cvref_t<P> pass(kept& value) { return value; }
};
template <class P>
using kept_argument = typename parameter<P>::kept;

/// A list of parameter types, and what a callable returns for it.
template <class Result, class... Parameters>
struct signature {
    using result = Result;
    using kept = std::tuple<kept_argument<Parameters>...>;
    static constexpr std::size_t arity = sizeof...(Parameters);

    template <class F>
    static decltype(auto) call(F& callable, kept& arguments) {
        return [&]<std::size_t... i>(std::index_sequence<i...>) -> decltype(auto) {
            return std::invoke(callable, parameter<Parameters>::pass(std::get<i>(arguments))...);
        }(std::index_sequence_for<Parameters...>());
    }
    template <std::size_t i>
    using at = std::tuple_element_t<i, std::tuple<Parameters...>>;
};

/// The parameters as F declares them: functions, and function objects with exactly one operator().
template <class F>
struct declared {};
template <class R, class... P>
struct declared<R (*)(P...)> : std::type_identity<signature<R, P...>> {};
template <class R, class... P>
struct declared<R (*)(P...) noexcept> : std::type_identity<signature<R, P...>> {};
template <class R, class C, class... P>
struct declared<R (C::*)(P...)> : std::type_identity<signature<R, P...>> {};
template <class R, class C, class... P>
struct declared<R (C::*)(P...) const> : std::type_identity<signature<R, P...>> {};
template <class R, class C, class... P>
struct declared<R (C::*)(P...) noexcept> : std::type_identity<signature<R, P...>> {};
template <class R, class C, class... P>
struct declared<R (C::*)(P...) const noexcept> : std::type_identity<signature<R, P...>> {};
template <class F>
    requires requires { &F::operator(); }
struct declared<F> : declared<decltype(&F::operator())> {};

template <class F>
concept declares_parameters = requires { typename declared<F>::type; };

/// What an argument becomes for a callable that takes anything (generic lambdas, overloaded operators).
template <class A>
using guessed_parameter =
    std::conditional_t<std::is_convertible_v<std::decay_t<A>, char const*>, std::string, std::decay_t<A>>;

template <class F, class... Args>
struct signature_for {
    using type = signature<std::invoke_result_t<F&, guessed_parameter<Args>...>, guessed_parameter<Args>...>;
};
template <declares_parameters F, class... Args>
struct signature_for<F, Args...> : declared<F> {};

/// The signature by which F is called with these arguments.
template <class F, class... Args>
using signature_of = typename signature_for<F, Args...>::type;

// ---- implementation

template <class F>
void save_callable(output_archive& archive, F const& callable) {
    static_assert(callable_travels<F>);
    if constexpr (is_function_pointer<F>) {
        archive << place_of_code(reinterpret_cast<void const*>(callable));
    } else if constexpr (has_state<F>) {
        archive << callable;
    }
}

template <class F>
F load_callable(input_archive& archive) {
    static_assert(callable_travels<F>);
    if constexpr (is_function_pointer<F>) {
        return reinterpret_cast<F>(const_cast<void*>(code_at(archive.make<platform::module_place>())));
    } else if constexpr (has_state<F>) {
        return archive.make<F>();
    } else if constexpr (std::is_default_constructible_v<F>) {
        return F();
    } else {
        // Not bit_cast: g++ 12 forgets that a lambda whose captures it has optimised away can be copied as bytes.
        alignas(F) std::byte nothing[sizeof(F)] = {};
        return *std::launder(reinterpret_cast<F*>(nothing));
    }
}

} // namespace multiprocessing::inline v0::detail
