#include "support/leak_check.hpp"

#if !__has_include(<catch2/catch_all.hpp>)
#    define CATCH_CONFIG_EXTERNAL_INTERFACES
#endif
#include "support/catch.hpp"
#include "support/hooks.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#if defined(__linux__)
#    include <unistd.h>
#endif

namespace multiprocessing_test {
namespace {

namespace fs = std::filesystem;
using Names = std::set<std::string>;

/// What a process can leave behind, as text that can be printed.
struct Possessions {
    Names children;
    Names descriptors;
    Names shared_memory;
    Names temporary_files;
};

/// Reads a directory that may change or vanish meanwhile.
template <class Visit>
void for_each_entry(fs::path const& directory, Visit visit) {
    std::error_code error;
    for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error))
        visit(*entry);
}

/// Files of ours have one of these beginnings, as in Python.
[[maybe_unused]] bool has_our_prefix(std::string const& name) {
    return name.starts_with("pymp-") || name.starts_with("multiprocessing") || name.starts_with("listener-");
}

Names temporary_files() {
    Names names;
#if !defined(_WIN32) // there other tests use the same folder at the same time
    std::error_code error;
    fs::path const directory = fs::temp_directory_path(error);
    for_each_entry(directory, [&](fs::directory_entry const& entry) {
        if (has_our_prefix(entry.path().filename().string())) names.insert(entry.path().string());
    });
#endif
    return names;
}

#if defined(__linux__)

/// What to print about a process.
std::string description_of(std::string const& pid) {
    std::ifstream file("/proc/" + pid + "/cmdline", std::ios::binary);
    std::string command;
    std::getline(file, command); // unlike iterators, no exception if the process ends meanwhile
    std::replace(command.begin(), command.end(), '\0', ' ');
    return pid + (command.empty() ? " (a zombie)" : " (" + command + ")");
}

Names children() {
    Names names;
    for_each_entry("/proc/self/task", [&](fs::directory_entry const& thread) {
        std::ifstream file(thread.path() / "children");
        for (std::string pid; file >> pid;) {
            if (!is_helper_process(std::stol(pid))) names.insert(pid);
        }
    });
    return names;
}

Names descriptors() {
    Names names;
    for_each_entry("/proc/self/fd", [&](fs::directory_entry const& entry) {
        std::error_code error;
        std::string const target = fs::read_symlink(entry.path(), error).string();
        bool const is_this_directory = target.starts_with("/proc/") && target.ends_with("/fd");
        std::string name = entry.path().filename().string();
        if (!error && !is_this_directory) names.insert(name.append(" -> ").append(target));
    });
    return names;
}

/// Whether another process has the file open or mapped: then it is that of a test that runs beside this one.
bool is_used_elsewhere(std::string const& path) {
    bool used = false;
    std::string const self = std::to_string(static_cast<long>(::getpid()));
    for_each_entry("/proc", [&](fs::directory_entry const& process) {
        std::string const pid = process.path().filename().string();
        if (used || pid == self || pid.find_first_not_of("0123456789") != std::string::npos) return;
        std::ifstream maps(process.path() / "maps");
        for (std::string line; !used && std::getline(maps, line);) used = line.ends_with(path);
        for_each_entry(process.path() / "fd", [&](fs::directory_entry const& entry) {
            std::error_code error;
            used = used || fs::read_symlink(entry.path(), error) == path;
        });
    });
    return used;
}

Names shared_memory() {
    Names names;
    for_each_entry("/dev/shm", [&](fs::directory_entry const& entry) { names.insert(entry.path().string()); });
    return names;
}

#else

std::string description_of(std::string const& pid) { return pid; }
Names children() { return {}; }
Names descriptors() { return {}; }
Names shared_memory() { return {}; }
bool is_used_elsewhere(std::string const&) { return false; }

#endif

Possessions possessions() { return {children(), descriptors(), shared_memory(), temporary_files()}; }

void report_new(std::vector<std::string>& report, std::string const& what, Names const& before, Names const& after) {
    for (std::string const& name : after) {
        if (!before.contains(name)) report.push_back(what + " " + name);
    }
}

/// What is there now and was not before, or the other way round for descriptors: nobody may close those of others.
std::vector<std::string> differences(Possessions const& before) {
    std::vector<std::string> report;
    Possessions now = possessions();
    std::erase_if(now.shared_memory, [&](std::string const& name) {
        return !before.shared_memory.contains(name) && is_used_elsewhere(name);
    });
    for (std::string const& pid : now.children) {
        if (!before.children.contains(pid)) report.push_back("child process " + description_of(pid));
    }
    report_new(report, "open descriptor", before.descriptors, now.descriptors);
    report_new(report, "closed a descriptor that it had not opened:", now.descriptors, before.descriptors);
    report_new(report, "shared memory", before.shared_memory, now.shared_memory);
    report_new(report, "temporary file", before.temporary_files, now.temporary_files);
    return report;
}

/// Other processes may need a moment to end and to clear away, so a difference counts only if it stays.
std::vector<std::string> lasting_differences(Possessions const& before) {
    std::vector<std::string> report = differences(before);
    for (int tries = 0; !report.empty() && tries < 100; ++tries) {
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
        report = differences(before);
    }
    return report;
}

int leaking = 0;

#if __has_include(<catch2/catch_all.hpp>)
using ListenerBase = Catch::EventListenerBase;
#else
using ListenerBase = Catch::TestEventListenerBase;
#endif

class LeakListener : public ListenerBase {
public:
    using ListenerBase::ListenerBase;

    void testRunStarting(Catch::TestRunInfo const&) override { warm_up(); }

    void testCaseStarting(Catch::TestCaseInfo const& info) override {
        let_go();
        name_ = info.name;
        before_ = possessions();
    }

    void testCaseEnded(Catch::TestCaseStats const&) override {
        let_go();
        std::vector<std::string> const report = lasting_differences(before_);
        if (report.empty()) return;
        ++leaking;
        std::fprintf(stderr, "\nLEAK: the test case \"%s\" left behind:\n", name_.c_str());
        for (std::string const& line : report) std::fprintf(stderr, "    %s\n", line.c_str());
    }

private:
    std::string name_;
    Possessions before_;
};

CATCH_REGISTER_LISTENER(LeakListener)

} // namespace

int leaking_test_cases() { return leaking; }

} // namespace multiprocessing_test
