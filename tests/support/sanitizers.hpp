#pragma once

// Whether a sanitizer runs along, for the preprocessor and for the rest.
#if defined(__has_feature) // clang
#    if __has_feature(thread_sanitizer)
#        define MULTIPROCESSING_TEST_WITH_THREAD_SANITIZER 1
#    endif
#    if __has_feature(address_sanitizer)
#        define MULTIPROCESSING_TEST_WITH_SANITIZER 1
#    endif
#endif
#if defined(__SANITIZE_THREAD__) // g++
#    define MULTIPROCESSING_TEST_WITH_THREAD_SANITIZER 1
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(MULTIPROCESSING_TEST_WITH_THREAD_SANITIZER)
#    define MULTIPROCESSING_TEST_WITH_SANITIZER 1
#endif

namespace multiprocessing_test {

#if defined(MULTIPROCESSING_TEST_WITH_THREAD_SANITIZER)
inline constexpr bool with_thread_sanitizer = true;
#else
inline constexpr bool with_thread_sanitizer = false;
#endif

#if defined(MULTIPROCESSING_TEST_WITH_SANITIZER)
inline constexpr bool with_sanitizer = true;
#else
inline constexpr bool with_sanitizer = false;
#endif

} // namespace multiprocessing_test
