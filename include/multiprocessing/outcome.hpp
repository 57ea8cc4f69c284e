#pragma once

#include <exception>
#include <type_traits>
#include <utility>
#include <variant>

namespace multiprocessing::inline v0 {

/// What became of one item: the value that the function returned, or the exception in its place.
///
///     for (auto const& outcome : pool.map(parse, files, {.on_error = mp::collect})) {
///         if (outcome) use(*outcome);
///     }
///
/// Python has no such thing: the first exception hides all results. `Outcome<void>` says only whether there was one.
template <class T>
class [[nodiscard]] Outcome {
public:
    Outcome(T value) : what_(std::in_place_index<0>, std::move(value)) {}
    Outcome(std::exception_ptr error) : what_(std::in_place_index<1>, std::move(error)) {}

    bool has_value() const noexcept { return what_.index() == 0; }
    explicit operator bool() const noexcept { return has_value(); }

    /// The value; throws the exception if that is what there is.
    T& value() & { return check(), *std::get_if<0>(&what_); }
    T const& value() const& { return check(), *std::get_if<0>(&what_); }
    T&& value() && { return check(), std::move(*std::get_if<0>(&what_)); }

    /// The value of an outcome that has one.
    T& operator*() & noexcept { return *std::get_if<0>(&what_); }
    T const& operator*() const& noexcept { return *std::get_if<0>(&what_); }
    T&& operator*() && noexcept { return std::move(*std::get_if<0>(&what_)); }
    T* operator->() noexcept { return std::get_if<0>(&what_); }
    T const* operator->() const noexcept { return std::get_if<0>(&what_); }

    template <class U>
    T value_or(U&& otherwise) const& {
        return has_value() ? **this : static_cast<T>(std::forward<U>(otherwise));
    }

    /// The exception; null if there is a value.
    std::exception_ptr error() const noexcept { return has_value() ? nullptr : *std::get_if<1>(&what_); }

private:
    void check() const {
        if (!has_value()) std::rethrow_exception(*std::get_if<1>(&what_));
    }

    std::variant<T, std::exception_ptr> what_;
};

template <>
class [[nodiscard]] Outcome<void> {
public:
    Outcome() noexcept = default;
    Outcome(std::exception_ptr error) noexcept : error_(std::move(error)) {}

    bool has_value() const noexcept { return error_ == nullptr; }
    explicit operator bool() const noexcept { return has_value(); }
    void value() const {
        if (error_) std::rethrow_exception(error_);
    }
    std::exception_ptr error() const noexcept { return error_; }

private:
    std::exception_ptr error_;
};

} // namespace multiprocessing::inline v0
