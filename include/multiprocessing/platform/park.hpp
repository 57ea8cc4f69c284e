#pragma once

#include <multiprocessing/platform/clock.hpp>
#include <multiprocessing/platform/handle.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>

/// Sleeping on a word in shared memory until another process wakes the sleeper (a futex).
namespace multiprocessing::inline v0::platform {

/// Sleeps while `word` holds `expected`, until unpark, the deadline, or for no reason at all. The caller looks again.
inline void park(std::atomic<std::uint32_t>& word, std::uint32_t expected, deadline until) noexcept;

/// Wakes at most `count` of those that sleep on `word`.
inline void unpark(std::atomic<std::uint32_t>& word, std::uint32_t count) noexcept;

inline constexpr std::uint32_t everybody = 0x7fffffff;

/// Some systems need a place in shared memory to keep sleepers in: this many bytes (0 on Linux), aligned to 64.
/// The first process of a tree prepares them (`create`), every other one joins. All words that are parked on lie in
/// the same mapping as `place`, from `base` on.
inline std::size_t parking_bytes() noexcept;
inline void open_parking(std::byte* place, std::byte* base, bool create, std::error_code& error) noexcept;

/// The handles that a child must inherit to join.
inline std::span<native_handle const> parking_handles() noexcept;

} // namespace multiprocessing::inline v0::platform

#if defined(MULTIPROCESSING_WINDOWS)
#    include <multiprocessing/platform/windows/park.hpp>
#elif defined(MULTIPROCESSING_MACOS)
#    include <multiprocessing/platform/macos/park.hpp>
#else
#    include <multiprocessing/platform/linux/park.hpp>
#endif
