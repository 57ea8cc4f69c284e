#pragma once

#include <multiprocessing/config.hpp>

// Whether a sanitizer runs along, for the preprocessor and for the rest.
#if defined(MULTIPROCESSING_THREAD_SANITIZER) || defined(__SANITIZE_ADDRESS__)
#    define MULTIPROCESSING_TEST_WITH_SANITIZER 1
#elif defined(__has_feature) // clang
#    if __has_feature(address_sanitizer)
#        define MULTIPROCESSING_TEST_WITH_SANITIZER 1
#    endif
#endif

namespace multiprocessing_test {

#if defined(MULTIPROCESSING_THREAD_SANITIZER)
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
