#pragma once

// How the benchmarks measure: both sides of a comparison in turns, in one process, in changing order, and the ratio of
// each pair; so that what else the machine does hits both. Linux.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bench {

using clock = std::chrono::steady_clock;

/// How long a call takes, in seconds.
template <class F>
double seconds(F&& call) {
    auto const begin = clock::now();
    call();
    return std::chrono::duration<double>(clock::now() - begin).count();
}

/// How long a call takes on average of several in a row.
template <class F>
double seconds_each(int times, F&& call) {
    return seconds([&] {
               for (int i = 0; i < times; ++i) call();
           }) /
           times;
}

inline double median(std::vector<double> values) {
    auto const middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

inline double least(std::vector<double> const& values) { return *std::min_element(values.begin(), values.end()); }

/// Keeps the compiler from leaving out the computation of a value.
template <class T>
void keep(T const& value) {
    asm volatile("" : : "g"(&value) : "memory");
}

/// The rounds of a comparison; MULTIPROCESSING_BENCHMARK_ROUNDS says how many.
inline int rounds() {
    char const* const text = std::getenv("MULTIPROCESSING_BENCHMARK_ROUNDS");
    return text != nullptr ? std::max(1, std::atoi(text)) : 21;
}

inline void print_head() { std::printf("%-58s %12s %12s %9s %9s\n", "", "ours, us", "other, us", "min/min", "median"); }

/// Measures two functions that return seconds and prints one line: the shortest time of each in microseconds, their
/// ratio other / ours, and the median of the ratios of all pairs. Above 1: the other takes longer.
template <class Ours, class Other>
void compare(char const* what, Ours&& ours, Other&& other) {
    std::vector<double> our_times, other_times, ratios;
    ours(); // both warm
    other();
    for (int round = 0; round < rounds(); ++round) {
        bool const swapped = round % 2 != 0;
        double const early = swapped ? other() : ours();
        double const late = swapped ? ours() : other();
        our_times.push_back(swapped ? late : early);
        other_times.push_back(swapped ? early : late);
        ratios.push_back(other_times.back() / our_times.back());
    }
    std::printf(
        "%-58s %12.2f %12.2f %9.2f %9.2f\n",
        what,
        least(our_times) * 1e6,
        least(other_times) * 1e6,
        least(other_times) / least(our_times),
        median(ratios));
    std::fflush(stdout);
}

/// A program in Python that lies beside this file and measures on demand: it reads a line, does what the line says, and
/// prints how many seconds that took. The interpreter is what the variable PYTHON says, else python3.
class python {
public:
    explicit python(std::string const& script) {
        std::string const here = __FILE__;
        std::string const path = here.substr(0, here.rfind('/') + 1) + script;
        char const* const chosen = std::getenv("PYTHON");
        char const* const interpreter = chosen != nullptr ? chosen : "python3";
        int to[2], from[2];
        if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
        process_ = fork();
        if (process_ == 0) {
            dup2(to[0], 0);
            dup2(from[1], 1);
            execlp(interpreter, interpreter, path.c_str(), static_cast<char*>(nullptr));
            _exit(127);
        }
        close(to[0]);
        close(from[1]);
        questions_ = fdopen(to[1], "w");
        answers_ = fdopen(from[0], "r");
        char line[256];
        if (std::fgets(line, sizeof line, answers_) == nullptr) throw std::runtime_error("no answer from " + path);
        version_ = std::string(line, std::string(line).find('\n'));
    }
    ~python() {
        std::fclose(questions_);
        std::fclose(answers_);
        waitpid(process_, nullptr, 0);
    }
    python(python const&) = delete;
    python& operator=(python const&) = delete;

    std::string const& version() const { return version_; }

    double operator()(char const* question) {
        std::fprintf(questions_, "%s\n", question);
        std::fflush(questions_);
        double answer = 0;
        if (std::fscanf(answers_, "%lf", &answer) != 1)
            throw std::runtime_error(std::string("no answer to ") + question);
        return answer;
    }

private:
    pid_t process_ = -1;
    std::FILE* questions_ = nullptr;
    std::FILE* answers_ = nullptr;
    std::string version_;
};

} // namespace bench
