#pragma once

#include <concepts>
#include <type_traits>

namespace multiprocessing::inline v0::detail {

/// The operators of a number that lies in shared memory. Each locks, reads, changes and unlocks, so each is atomic.
/// Derived has `with_lock(f)`, which calls f with the number.
template <class Derived, class T>
class locked_operators {
public:
    /// These return the new value.
    T operator+=(T operand) const
        requires std::is_arithmetic_v<T>
    {
        return change([&](T number) { return number + operand; });
    }
    T operator-=(T operand) const
        requires std::is_arithmetic_v<T>
    {
        return change([&](T number) { return number - operand; });
    }
    T operator*=(T operand) const
        requires std::is_arithmetic_v<T>
    {
        return change([&](T number) { return number * operand; });
    }
    T operator/=(T operand) const
        requires std::is_arithmetic_v<T>
    {
        return change([&](T number) { return number / operand; });
    }
    T operator%=(T operand) const
        requires std::integral<T>
    {
        return change([&](T number) { return number % operand; });
    }
    T operator&=(T operand) const
        requires std::integral<T>
    {
        return change([&](T number) { return number & operand; });
    }
    T operator|=(T operand) const
        requires std::integral<T>
    {
        return change([&](T number) { return number | operand; });
    }
    T operator^=(T operand) const
        requires std::integral<T>
    {
        return change([&](T number) { return number ^ operand; });
    }
    T operator<<=(int bits) const
        requires std::integral<T>
    {
        return change([&](T number) { return number << bits; });
    }
    T operator>>=(int bits) const
        requires std::integral<T>
    {
        return change([&](T number) { return number >> bits; });
    }
    T operator++() const
        requires std::is_arithmetic_v<T>
    {
        return *this += T(1);
    }
    T operator--() const
        requires std::is_arithmetic_v<T>
    {
        return *this -= T(1);
    }

    /// These return the old value.
    T operator++(int) const
        requires std::is_arithmetic_v<T>
    {
        return fetch_add(T(1));
    }
    T operator--(int) const
        requires std::is_arithmetic_v<T>
    {
        return fetch_sub(T(1));
    }
    T fetch_add(T operand) const
        requires std::is_arithmetic_v<T>
    {
        return fetch_and_change([&](T number) { return number + operand; });
    }
    T fetch_sub(T operand) const
        requires std::is_arithmetic_v<T>
    {
        return fetch_and_change([&](T number) { return number - operand; });
    }
    T exchange(T value) const {
        return fetch_and_change([&](T const&) { return value; });
    }

protected:
    locked_operators() = default;

private:
    template <class F>
    T change(F f) const {
        return static_cast<Derived const&>(*this).with_lock(
            [&](T& number) { return number = static_cast<T>(f(number)); });
    }
    template <class F>
    T fetch_and_change(F f) const {
        return static_cast<Derived const&>(*this).with_lock([&](T& number) {
            T const before = number;
            number = static_cast<T>(f(number));
            return before;
        });
    }
};

} // namespace multiprocessing::inline v0::detail
