#pragma once

#include <multiprocessing/platform/channel.hpp>
#include <multiprocessing/platform/process.hpp>
#include <multiprocessing/platform/self.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

/// What the tests of platform/ share. They are written against the contracts: the same files run on every system.
namespace multiprocessing_test {

namespace platform = multiprocessing::platform;

/// Handles and addresses travel to a child as numbers.
using Number = std::uint64_t;
using Arguments = std::vector<Number>;

inline Number number_of(platform::native_handle handle) {
#if defined(MULTIPROCESSING_WINDOWS)
    return reinterpret_cast<std::uintptr_t>(handle);
#else
    return static_cast<Number>(handle);
#endif
}

inline platform::native_handle handle_of(Number number) {
#if defined(MULTIPROCESSING_WINDOWS)
    return reinterpret_cast<platform::native_handle>(static_cast<std::uintptr_t>(number));
#else
    return static_cast<platform::native_handle>(number);
#endif
}

/// The part of a test that runs in another process, which executes the test program anew. Defined at namespace scope:
///
///     ChildProgram const echo("echo", [](Arguments const& given) { ...; return exit_code; });
///
/// In the child the constructor of that object runs the function and ends the process; main is never reached. Functions
/// see what stands above them in the file.
class ChildProgram {
public:
    using Function = int (*)(Arguments const&);

    ChildProgram(char const* name, Function function) : name_(name) {
        char const* const wanted = std::getenv(variable);
        if (wanted == nullptr) return;
        std::string const text = wanted;
        std::size_t at = text.find(',');
        if (text.substr(0, at) != name_) return;
        platform::take_environment(variable);
        Arguments arguments;
        while (at != std::string::npos) {
            arguments.push_back(std::strtoull(text.c_str() + at + 1, nullptr, 16));
            at = text.find(',', at + 1);
        }
        platform::exit_process(function(arguments));
    }

    /// Starts it. The child inherits these handles and no others.
    platform::child_process start(
        Arguments const& arguments,
        std::vector<platform::native_handle> const& inherited,
        std::error_code& error) const {
        std::string text = name_;
        for (Number const number : arguments) {
            char buffer[32];
            std::snprintf(buffer, sizeof buffer, ",%llx", static_cast<unsigned long long>(number));
            text += buffer;
        }
        return platform::start_program({platform::executable(), {variable, text}, inherited}, error);
    }

    platform::child_process
    start(Arguments const& arguments, std::vector<platform::native_handle> const& inherited = {}) const {
        std::error_code error;
        auto const child = start(arguments, inherited, error);
        REQUIRE(error.message() == std::error_code().message());
        REQUIRE(child.pid != 0);
        return child;
    }

private:
    static constexpr char variable[] = "MULTIPROCESSING_TEST_CHILD";

    std::string name_;
};

/// Waits for the end of a child.
inline platform::exit_status status_of(platform::child_process& child) {
    auto const status = platform::wait_process(child, platform::never);
    REQUIRE(status.has_value());
    return *status;
}

/// Two connected ends, closed in the end. One of them is mostly given to a child.
struct Channel {
    platform::native_handle mine;
    platform::native_handle other;

    Channel() {
        std::error_code error;
        std::tie(mine, other) = platform::make_channel(error);
        REQUIRE_FALSE(error);
    }
    ~Channel() {
        close_mine();
        close_other();
    }
    Channel(Channel const&) = delete;
    Channel& operator=(Channel const&) = delete;

    void close_mine() { platform::close(std::exchange(mine, platform::invalid_handle)); }
    void close_other() { platform::close(std::exchange(other, platform::invalid_handle)); }
};

/// Writes one byte: "go on". False if the other end is gone.
inline bool signal(platform::native_handle channel) {
    std::byte const one{1};
    std::error_code error;
    platform::write_all(channel, {&one, 1}, error);
    return !error;
}

/// Waits for one byte. False at the end of the stream: the other process has ended.
inline bool await(platform::native_handle channel) {
    std::byte one{};
    std::error_code error;
    return platform::read_all(channel, {&one, 1}, error);
}

} // namespace multiprocessing_test
