#pragma once

#include <multiprocessing/platform/clock.hpp>

#include <chrono>
#include <optional>

namespace multiprocessing::inline v0 {

/// How long a call may wait. Empty: for ever; zero or negative: it tries once. Bare numbers do not compile.
///
/// Python: `timeout=None` or seconds.
/// Example    queue.get(true, 500ms);  process.join();  result.get(std::nullopt);
class Timeout {
public:
    constexpr Timeout() noexcept = default;
    constexpr Timeout(std::nullopt_t) noexcept {}
    template <class Rep, class Period>
    constexpr Timeout(std::chrono::duration<Rep, Period> const& duration) noexcept : duration_(saturated(duration)) {}
    template <class Rep, class Period>
    constexpr Timeout(std::optional<std::chrono::duration<Rep, Period>> const& duration) noexcept {
        if (duration) duration_ = saturated(*duration);
    }

    /// Whether it waits for ever.
    constexpr bool is_infinite() const noexcept { return !duration_; }

    /// How long, if not for ever.
    constexpr std::optional<platform::clock::duration> duration() const noexcept { return duration_; }

    /// The moment at which a wait that begins now has to end.
    platform::deadline deadline() const noexcept {
        if (!duration_) return platform::never;
        if (duration_->count() <= 0) return platform::deadline::min(); // one try; no need to ask the clock
        auto const now = platform::clock::now();
        return *duration_ >= platform::never - now ? platform::never : now + *duration_;
    }

private:
    using unit = platform::clock::duration;

    template <class Rep, class Period>
    static constexpr unit saturated(std::chrono::duration<Rep, Period> const& duration) noexcept {
        using wide = std::chrono::duration<double, unit::period>;
        if (wide(duration) >= wide(unit::max())) return unit::max();
        if (wide(duration) <= wide(unit::min())) return unit::min();
        return std::chrono::ceil<unit>(duration);
    }

    std::optional<unit> duration_;
};

} // namespace multiprocessing::inline v0
