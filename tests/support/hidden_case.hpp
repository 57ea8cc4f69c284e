#pragma once

#include <multiprocessing/platform/self.hpp>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#if !defined(_WIN32)
#    include <sys/wait.h>
#endif

/// A test that needs a program of its own, to see how it ends and what it prints, starts itself again with one of its
/// test cases: one with the tag [.], which does not run otherwise. Such a case may end the program by itself; if it does
/// not, the exit code says whether its REQUIREs were met, and the output what was wrong.
namespace multiprocessing_test {

struct Ended {
    int exitcode; // as the shell says it: 128 and more after a signal
    std::string output;
    std::string errors;
};

inline std::string contents_of(std::string const& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

/// How often one text contains another.
inline std::size_t count_of(std::string const& part, std::string const& text) {
    std::size_t count = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++count;
    return count;
}

/// Without what the test framework says before it begins.
inline std::string without_banner(std::string text) {
    for (std::string const line : {"Filters: ", "Randomness seeded to: "}) {
        if (auto const at = text.find(line); at != std::string::npos) text.erase(at, text.find('\n', at) - at + 1);
    }
    return text;
}

inline std::string temporary_file(std::string const& name) {
    char const* folder = std::getenv("TMPDIR");
    if (folder == nullptr) folder = std::getenv("TEMP");
    return std::string(folder != nullptr ? folder : ".") + "/hidden-" +
           std::to_string(multiprocessing::platform::current_process_id()) + '-' + name;
}

/// `redirections` come last and may replace those of output and errors; `before` is put in front of the program.
inline Ended
run_hidden_case(std::string const& name, std::string const& redirections = {}, std::string const& before = {}) {
    std::string const output = temporary_file("out");
    std::string const errors = temporary_file("err");
#if defined(_WIN32)
    std::string const command = "\"" + before + "\"" + multiprocessing::platform::executable() + "\" \"" + name +
                                "\" >\"" + output + "\" 2>\"" + errors + "\" " + redirections + "\"";
#else
    // The shell has another /proc/self/exe.
    std::string const program = "/proc/" + std::to_string(multiprocessing::platform::current_process_id()) + "/exe";
    std::string const command =
        before + "exec '" + program + "' '" + name + "' >'" + output + "' 2>'" + errors + "' " + redirections;
#endif
    std::fflush(nullptr);
    int code = std::system(command.c_str());
#if !defined(_WIN32)
    code = WIFEXITED(code) ? WEXITSTATUS(code) : 128 + WTERMSIG(code);
#endif
    Ended ended{code, without_banner(contents_of(output)), contents_of(errors)};
    std::remove(output.c_str());
    std::remove(errors.c_str());
    if (count_of("No test cases matched", ended.output) + count_of("No tests ran", ended.output) != 0)
        throw std::logic_error("there is no test case \"" + name + '"');
    return ended;
}

} // namespace multiprocessing_test
