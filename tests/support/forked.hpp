#pragma once

#include <multiprocessing/platform/process.hpp>

#include "support/catch.hpp"

#include <cstdio>
#include <exception>
#include <optional>

/// Children made by nothing but fork, for tests of what lies below Process, and of what Process does in a process that
/// has been spoilt on purpose. Not on Windows.
namespace multiprocessing_test {

/// The end of a child that found something wrong; what it was stands on standard error.
inline constexpr int found_fault = 97;

/// Checks in a child, where the test framework cannot be used: ends it with `found_fault`.
#define CHILD_CHECK(...)                                                                                               \
    do {                                                                                                               \
        if (__VA_ARGS__) break;                                                                                        \
        std::fprintf(stderr, "%s:%d: in a child: not true: %s\n", __FILE__, __LINE__, #__VA_ARGS__);                   \
        multiprocessing::platform::exit_process(multiprocessing_test::found_fault);                                    \
    } while (false)

/// A forked copy of this process that runs a function and ends; what the function returns is its exit code.
class Forked {
public:
    template <class Function>
    explicit Forked(Function function) {
        std::fflush(nullptr);
        std::error_code error;
        child_ = multiprocessing::platform::fork_process(error);
        REQUIRE_FALSE(error);
        if (child_.pid != 0) return;
        int code = found_fault;
        try {
            code = function();
        } catch (std::exception const& exception) {
            std::fprintf(stderr, "in a child: %s\n", exception.what());
        }
        std::fflush(nullptr);
        multiprocessing::platform::exit_process(code);
    }
    Forked(Forked const&) = delete;
    Forked& operator=(Forked const&) = delete;
    ~Forked() {
        if (!status_) kill();
    }

    std::int64_t pid() const { return child_.pid; }

    /// Waits for its end; negative: the signal that ended it.
    int status() {
        if (!status_) status_ = multiprocessing::platform::wait_process(child_, multiprocessing::platform::never);
        return *status_;
    }

    void kill() {
        std::error_code error;
        multiprocessing::platform::kill_process(child_.pid, error);
        status();
    }

private:
    multiprocessing::platform::child_process child_;
    std::optional<int> status_;
};

/// What the function returned in a forked copy of this process.
template <class Function>
int in_child(Function function) {
    return Forked(function).status();
}

} // namespace multiprocessing_test
