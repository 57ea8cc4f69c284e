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
