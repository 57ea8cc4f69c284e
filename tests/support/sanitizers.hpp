#pragma once

namespace multiprocessing_test {

#if defined(__SANITIZE_THREAD__)
inline constexpr bool with_thread_sanitizer = true;
#elif defined(__has_feature)
#    if __has_feature(thread_sanitizer)
inline constexpr bool with_thread_sanitizer = true;
#    else
inline constexpr bool with_thread_sanitizer = false;
#    endif
#else
inline constexpr bool with_thread_sanitizer = false;
#endif

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool with_sanitizer = true;
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer)
inline constexpr bool with_sanitizer = true;
#    else
inline constexpr bool with_sanitizer = with_thread_sanitizer;
#    endif
#else
inline constexpr bool with_sanitizer = with_thread_sanitizer;
#endif

} // namespace multiprocessing_test
