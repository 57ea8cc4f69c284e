#pragma once

#include <multiprocessing/version.hpp>

/// Which operating system this is. The only place that asks the compiler; everything above
/// `platform/` asks for capabilities (`platform::has_fork`) instead.
#if defined(_WIN32)
#    define MULTIPROCESSING_WINDOWS 1
#elif defined(__APPLE__)
#    define MULTIPROCESSING_POSIX 1
#    define MULTIPROCESSING_MACOS 1
#else
#    define MULTIPROCESSING_POSIX 1
#    define MULTIPROCESSING_LINUX 1
#endif

/// State that must exist once per process although several shared libraries include this header.
#if defined(_WIN32)
#    define MULTIPROCESSING_ONE_PER_PROCESS
#else
#    define MULTIPROCESSING_ONE_PER_PROCESS [[gnu::visibility("default")]]
#endif

/// Whether the thread sanitizer runs along. It knows one process only: what this one learns from another one, which had it
/// from a thread of this one, it takes for a race.
#if defined(__SANITIZE_THREAD__)
#    define MULTIPROCESSING_THREAD_SANITIZER 1
#elif defined(__has_feature)
#    if __has_feature(thread_sanitizer)
#        define MULTIPROCESSING_THREAD_SANITIZER 1
#    endif
#endif
