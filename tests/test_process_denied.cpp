// not on windows
#include <multiprocessing/process.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"
#include "support/forked.hpp"
#include "support/hidden_case.hpp"

#include <chrono>
#include <cstdio>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#if defined(__linux__)
#    include <cerrno>
#    include <cstddef>

#    include <linux/audit.h>
#    include <linux/filter.h>
#    include <linux/seccomp.h>
#    include <sched.h>
#    include <sys/mount.h>
#    include <sys/prctl.h>
#    include <sys/syscall.h>
#endif

namespace mp = multiprocessing;
using multiprocessing_test::Board;
using namespace std::chrono_literals;

/// What a system that denies newer system calls, as some containers do, makes of processes.
namespace {

void leave(int code) { mp::exit(code); }

void wait_for_stop(Board board) {
    board.add(1, 0);
    board.await(1, 1);
}

} // namespace

TEST_CASE("processes start and end") {
    for (auto const method : {mp::StartMethod::fork, mp::StartMethod::spawn, mp::StartMethod::forkserver}) {
        for (int const code : {0, 7}) {
            mp::Process process({.method = method}, leave, code);
            process.start();
            process.join();
            REQUIRE(process.exitcode() == code);
        }
        Board const board = Board::make();
        mp::Process process({.method = method}, wait_for_stop, board);
        process.start();
        REQUIRE(board.await(1));
        process.join(20ms);
        REQUIRE(process.is_alive());
        auto const sentinel = process.sentinel();
        bool ready = true;
        std::error_code error;
        mp::platform::poll({&sentinel, 1}, {&ready, 1}, mp::platform::deadline::min(), error);
        REQUIRE_FALSE(ready);
        std::thread waiting([handle = process.handle()] { handle.join(); });
        process.terminate();
        mp::platform::poll({&sentinel, 1}, {&ready, 1}, mp::platform::never, error);
        REQUIRE(ready);
        process.join();
        waiting.join();
        REQUIRE(process.exitcode() == -15);
        REQUIRE(mp::active_children().empty());
    }
}

#if defined(__linux__)

namespace {

/// From now on these system calls fail, in this process and in all that it makes.
bool deny(std::vector<std::pair<long, int>> const& calls) {
    std::vector<sock_filter> code{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
    for (auto const& [number, failure] : calls) {
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(number), 0, 1));
        code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(failure)));
    }
    code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    sock_fprog const program{static_cast<unsigned short>(code.size()), code.data()};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/// Runs the case above in a program that may not make the calls.
int run_without(std::vector<std::pair<long, int>> const& calls) {
    return multiprocessing_test::in_child([&] {
        CHILD_CHECK(deny(calls));
        auto const ended = multiprocessing_test::run_hidden_case("processes start and end");
        if (ended.exitcode != 0) std::fprintf(stderr, "%s%s", ended.output.c_str(), ended.errors.c_str());
        return ended.exitcode;
    });
}

} // namespace

TEST_CASE("processes work without pidfd_open") {
    CHECK(run_without({{SYS_pidfd_open, ENOSYS}}) == 0);
    CHECK(run_without({{SYS_pidfd_open, EPERM}}) == 0);
}

TEST_CASE("processes work without memfd_create") { CHECK(run_without({{SYS_memfd_create, EPERM}}) == 0); }

TEST_CASE("processes work on an old kernel, without any of the newer calls") {
    CHECK(run_without({{SYS_pidfd_open, ENOSYS}, {SYS_memfd_create, ENOSYS}, {SYS_close_range, ENOSYS}}) == 0);
}

namespace {

/// Runs the first case in a program that sees another /dev/shm; 0: it passed, empty: this user may not mount anything.
std::optional<int>
run_with_dev_shm(unsigned long flags, char const* options, std::vector<std::pair<long, int>> denied) {
    constexpr int not_permitted = 98;
    int const code = multiprocessing_test::in_child([&] {
        if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return not_permitted;
        if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return not_permitted;
        if (::mount("none", "/dev/shm", "tmpfs", flags, options) != 0) return not_permitted;
        CHILD_CHECK(denied.empty() || deny(denied));
        auto const ended = multiprocessing_test::run_hidden_case("processes start and end");
        if (ended.exitcode != 0) std::fprintf(stderr, "%s%s", ended.output.c_str(), ended.errors.c_str());
        return ended.exitcode;
    });
    return code == not_permitted ? std::nullopt : std::optional(code);
}

} // namespace

TEST_CASE("processes work where /dev/shm is tiny, or cannot be used") {
    auto const tiny = run_with_dev_shm(0, "size=4k", {});
    auto const unusable = run_with_dev_shm(MS_RDONLY, "size=4k", {{SYS_memfd_create, EPERM}});
    if (!tiny || !unusable) {
        WARN("NOT TESTED: this user may not mount a file system");
        return;
    }
    CHECK(*tiny == 0);
    CHECK(*unusable == 0);
}

#endif
