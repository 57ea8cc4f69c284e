#pragma once

#include <multiprocessing/detail/participants.hpp>

#include "support/catch.hpp"
#include "support/sanitizers.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>

// The sanitizers make processes slow to start and step through, and their code is not ours.
#if defined(__linux__) && !defined(MULTIPROCESSING_TEST_WITH_SANITIZER)
#    define CAN_STEP 1
#    include <csignal>

#    include <sys/ptrace.h>
#    include <sys/wait.h>
#    include <unistd.h>
#endif

/// Kills processes at any instruction. CAN_STEP is defined where that is possible.
namespace multiprocessing_test {

/// How many processes a test kills. By hand: MULTIPROCESSING_TEST_KILLS=10000.
inline int kills(int usual) {
    char const* const text = std::getenv("MULTIPROCESSING_TEST_KILLS");
    if (text != nullptr) return std::atoi(text);
    return with_sanitizer ? std::min(usual, 12) : usual;
}

#if defined(CAN_STEP)

/// Runs the action in a child and kills that after so many machine instructions. Returns whether it was still at it.
inline bool kill_after(long instructions, std::function<void()> const& action) {
    std::fflush(nullptr);
    pid_t const child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        multiprocessing::detail::participant::self();
        ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        ::raise(SIGSTOP);
        action();
        ::raise(SIGSTOP);
        ::_exit(0);
    }
    int status = 0;
    bool at_it = true;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE((WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP)); // or tracing is forbidden here
    for (long i = 0; at_it && i < instructions; ++i) {
        REQUIRE(::ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) == 0);
        REQUIRE(::waitpid(child, &status, 0) == child);
        at_it = WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP;
    }
    ::kill(child, SIGKILL);
    while (::waitpid(child, &status, 0) == child && !WIFSIGNALED(status)) {
    }
    return at_it;
}

/// Makes an object and kills a process at many different instructions of the same action; `check` looks at what is left.
template <class Make, class Action, class Check>
void kill_everywhere(int usual, Make const& make, Action const& action, Check const& check) {
    // The first run tells how long the action is.
    long length = 0;
    {
        auto object = make();
        long reached = 1;
        while (kill_after(reached, [&] { action(object); })) {
            reached *= 2;
            object = make();
        }
        long from = reached / 2;
        while (reached - from > 32) {
            object = make();
            long const middle = (from + reached) / 2;
            (kill_after(middle, [&] { action(object); }) ? from : reached) = middle;
        }
        length = reached;
    }
    long const count = std::min<long>(length, kills(usual));
    for (long i = 0; i < count; ++i) {
        auto object = make();
        CAPTURE(length, i, count);
        kill_after(i * length / count, [&] { action(object); });
        check(object);
    }
}

#endif

} // namespace multiprocessing_test
