#pragma once

#include <multiprocessing/detail/callable.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <new>
#include <tuple>
#include <type_traits>
#include <utility>

namespace multiprocessing::inline v0 {

namespace detail {

template <class F, class... Bound>
class partial_call;
template <class F>
class copied_call;

} // namespace detail

/// Binds the first arguments of a callable. The result travels to any process, and so do the arguments.
///
/// Python: `functools.partial(func, *args)`.
///
/// func   a function, a lambda without captures, or a function object that travels
/// args   kept by value; each must be able to travel
/// Returns  an object that calls func(args..., more...) when it is called with more...
/// Example    pool.map(mp::partial(scale, 2.5), values)
template <class F, class... Args>
auto partial(F&& func, Args&&... args) {
    using callable = std::decay_t<F>;
    static_assert(
        detail::callable_travels<callable>,
        "multiprocessing: the function given to partial() cannot travel to "
        "another process; use a function, a lambda without captures, or "
        "a function object with serialize()");
    static_assert(
        (detail::travels<detail::guessed_parameter<Args>> && ...),
        "multiprocessing: an argument given to partial() cannot travel to another process");
    return detail::partial_call<callable, detail::guessed_parameter<Args>...>(
        std::forward<F>(func), detail::guessed_parameter<Args>(std::forward<Args>(args))...);
}

/// Lets a lambda travel with copies of the bytes it has captured. You vouch that none of them is a pointer or a reference.
///
/// func   a trivially copyable lambda or function object
/// Differs    Python cannot send lambdas at all.
/// Example    int n = 3; pool.map(mp::by_value([n](int x) { return n * x; }), items)
template <class F>
auto by_value(F func) {
    static_assert(
        std::is_trivially_copyable_v<F>,
        "multiprocessing: by_value() needs a lambda whose captures are "
        "trivially copyable (numbers, plain structs); use partial() or a "
        "function object with serialize() for others");
    return detail::copied_call<F>(std::move(func));
}

// ---- implementation

namespace detail {

template <class F, class... Bound>
class partial_call {
public:
    partial_call(F callable, Bound... bound) : callable_(std::move(callable)), bound_(std::move(bound)...) {}

    template <class... More>
    decltype(auto) operator()(More&&... more) const {
        return std::apply(
            [&](auto const&... first) -> decltype(auto) {
                return std::invoke(callable_, first..., std::forward<More>(more)...);
            },
            bound_);
    }

private:
    friend struct codec<partial_call>;
    F callable_;
    std::tuple<Bound...> bound_;
};

template <class F>
class copied_call {
public:
    explicit copied_call(F callable) : callable_(std::move(callable)) {}

    template <class... Args>
    decltype(auto) operator()(Args&&... args) const {
        return std::invoke(callable_, std::forward<Args>(args)...);
    }

private:
    friend struct codec<copied_call>;
    F callable_;
};

template <class F, class... Bound>
struct codec<partial_call<F, Bound...>> {
    static constexpr bool saves = true;
    static constexpr bool loads = true;

    static void save(output_archive& archive, partial_call<F, Bound...> const& call) {
        save_callable(archive, call.callable_);
        archive << call.bound_;
    }
    static partial_call<F, Bound...> make(input_archive& archive) {
        F callable = load_callable<F>(archive);
        return std::apply(
            [&](auto&&... bound) { return partial_call<F, Bound...>(std::move(callable), std::move(bound)...); },
            archive.make<std::tuple<Bound...>>());
    }
    static void load(input_archive& archive, partial_call<F, Bound...>& call) { call = make(archive); }
};

template <class F>
struct codec<copied_call<F>> {
    static constexpr bool saves = true;
    static constexpr bool loads = true;

    static void save(output_archive& archive, copied_call<F> const& call) {
        archive.save_binary(std::addressof(call.callable_), sizeof(F));
    }
    static copied_call<F> make(input_archive& archive) {
        alignas(F) std::byte bytes[sizeof(F)]; // an F begins to live in it with its bytes
        archive.load_binary(bytes, sizeof bytes);
        return copied_call<F>(*std::launder(reinterpret_cast<F*>(bytes)));
    }
    static void load(input_archive& archive, copied_call<F>& call) {
        std::destroy_at(&call);
        std::construct_at(&call, make(archive)); // lambdas cannot be assigned
    }
};

template <class Signature, std::size_t count>
struct without_first : std::type_identity<Signature> {};
template <class R, class First, class... Rest, std::size_t count>
    requires(count > 0)
struct without_first<signature<R, First, Rest...>, count> : without_first<signature<R, Rest...>, count - 1> {};

/// A bound call declares the parameters that are left.
template <class F, class... Bound>
    requires declares_parameters<F>
struct declared<partial_call<F, Bound...>> : without_first<typename declared<F>::type, sizeof...(Bound)> {};
template <class F>
    requires declares_parameters<F>
struct declared<copied_call<F>> : declared<F> {};

} // namespace detail
} // namespace multiprocessing::inline v0
