#pragma once

#include <multiprocessing/platform/clock.hpp>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

/// What tests of faults need on POSIX.
namespace multiprocessing_test {

/// Whether a process is gone: it does not exist, or is a zombie that waits for somebody to take its status.
inline bool is_gone(std::int64_t pid) {
    if (::kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH) return true;
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    std::getline(file, text); // unlike iterators, no exception if the process ends meanwhile
    auto const name_end = text.rfind(") ");
    return name_end != std::string::npos && text.compare(name_end + 2, 1, "Z") == 0;
}

/// Waits until something has come true. False: it has not after a very long time.
template <class Condition>
bool eventually(Condition condition) {
    auto const until = multiprocessing::platform::clock::now() + std::chrono::seconds(50);
    while (!condition()) {
        if (multiprocessing::platform::clock::now() > until) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

/// The descriptors that are open, found without opening any.
inline std::set<int> open_descriptors() {
    std::set<int> all;
    for (int descriptor = 0; descriptor < 1024; ++descriptor) {
        if (::fcntl(descriptor, F_GETFD) >= 0) all.insert(descriptor);
    }
    return all;
}

/// Has a signal do something (or SIG_IGN) as long as this object lives.
class SignalHandler {
public:
    SignalHandler(int number, void (*handler)(int)) : number_(number) {
        struct sigaction action {};
        action.sa_handler = handler; // without SA_RESTART: system calls are interrupted
        ::sigaction(number, &action, &before_);
    }
    ~SignalHandler() { ::sigaction(number_, &before_, nullptr); }
    SignalHandler(SignalHandler const&) = delete;
    SignalHandler& operator=(SignalHandler const&) = delete;

private:
    int number_;
    struct sigaction before_ {};
};

} // namespace multiprocessing_test
