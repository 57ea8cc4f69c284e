#include <multiprocessing/platform/poll.hpp>
#include <multiprocessing/platform/process.hpp>

#include "platform/child_program.hpp"

#include <csignal>
#include <cstdlib>

using namespace multiprocessing_test;

namespace {

ChildProgram const exit_with("exit_with", [](Arguments const& given) {
    std::atexit([] { platform::exit_process(99); }); // must not run
    return static_cast<int>(given.at(0));
});

/// Says that it runs, and stays until the other end is closed.
ChildProgram const stay("stay", [](Arguments const& given) {
    auto const channel = handle_of(given.at(0));
    signal(channel);
    while (await(channel)) {
    }
    return 3;
});

ChildProgram const stay_despite_interrupt("stay_despite_interrupt", [](Arguments const& given) {
    auto const channel = handle_of(given.at(0));
    platform::ignore_interrupts();
    signal(channel);
    return await(channel) ? 7 : 1;
});

ChildProgram const crash("crash", [](Arguments const&) {
    std::signal(SIGSEGV, SIG_DFL); // the sanitizers have a handler of their own
    std::uintptr_t volatile address = 64;
    return *reinterpret_cast<int volatile*>(address);
});

ChildProgram const read_standard_input("read_standard_input", [](Arguments const&) {
    platform::close_standard_input();
    return std::fgetc(stdin) == EOF ? 0 : 1;
});

struct Stayer {
    Channel channel;
    platform::child_process child = stay.start({number_of(channel.other)}, {channel.other});

    Stayer() {
        channel.close_other();
        REQUIRE(await(channel.mine));
    }
};

int forked = 0;

} // namespace

TEST_CASE("exit codes arrive, and exit_process runs no handlers") {
    for (int const code : {0, 1, 42, 255}) {
        auto child = exit_with.start({static_cast<Number>(code)});
        CHECK(status_of(child) == code);
        CHECK(child.sentinel == platform::invalid_handle);
    }
}

TEST_CASE("waiting ends with the deadline") {
    Stayer stayer;
    auto const begin = platform::clock::now();
    CHECK_FALSE(platform::wait_process(stayer.child, platform::deadline::min()));
    CHECK_FALSE(platform::wait_process(stayer.child, begin + std::chrono::milliseconds(30)));
    CHECK(platform::clock::now() - begin >= std::chrono::milliseconds(30));
    stayer.channel.close_mine();
    CHECK(status_of(stayer.child) == 3);
}

TEST_CASE("the sentinel tells the end") {
    Stayer stayer;
    if (stayer.child.sentinel != platform::invalid_handle) {
        bool ready = true;
        std::error_code error;
        CHECK(platform::poll({&stayer.child.sentinel, 1}, {&ready, 1}, platform::deadline::min(), error) == 0);
        CHECK_FALSE(ready);
        stayer.channel.close_mine();
        CHECK(platform::poll({&stayer.child.sentinel, 1}, {&ready, 1}, platform::never, error) == 1);
        CHECK(ready);
        CHECK_FALSE(error);
    }
    stayer.channel.close_mine();
    CHECK(platform::wait_process(stayer.child, platform::never) == 3);
}

TEST_CASE("a process can be ended") {
    std::error_code error;
    SECTION("terminate") {
        Stayer stayer;
        platform::terminate_process(stayer.child.pid, error);
        CHECK_FALSE(error);
        CHECK(status_of(stayer.child) == -15);
    }
    SECTION("kill") {
        Stayer stayer;
        platform::kill_process(stayer.child.pid, error);
        CHECK_FALSE(error);
        CHECK(status_of(stayer.child) == (platform::has_fork ? -9 : -15));
    }
    SECTION("interrupt") {
        Stayer stayer;
        platform::interrupt_process(stayer.child.pid, error);
        CHECK_FALSE(error);
        CHECK(status_of(stayer.child) == (platform::has_fork ? -2 : -15));
    }
    SECTION("one that has ended already") {
        auto child = exit_with.start({5});
        bool ready = false;
        if (child.sentinel != platform::invalid_handle) {
            CHECK(platform::poll({&child.sentinel, 1}, {&ready, 1}, platform::never, error) == 1);
            platform::terminate_process(child.pid, error);
            CHECK_FALSE(error);
            platform::kill_process(child.pid, error);
            CHECK_FALSE(error);
        }
        CHECK(status_of(child) == 5);
    }
}

TEST_CASE("a crash has the number of its signal") {
    auto child = crash.start({});
    CHECK(status_of(child) == -11);
}

TEST_CASE("an interrupt can be ignored") {
    if (!platform::has_fork) return; // Windows ends the process
    Channel channel;
    auto child = stay_despite_interrupt.start({number_of(channel.other)}, {channel.other});
    REQUIRE(await(channel.mine));
    std::error_code error;
    platform::interrupt_process(child.pid, error);
    CHECK_FALSE(error);
    REQUIRE(signal(channel.mine));
    CHECK(status_of(child) == 7);
}

TEST_CASE("standard input can be made empty") {
    auto child = read_standard_input.start({});
    CHECK(status_of(child) == 0);
}

#if defined(__has_feature)
#    if __has_feature(thread_sanitizer)
#        define __SANITIZE_THREAD__ 1
#    endif
#endif
#if !defined(__SANITIZE_THREAD__) // it makes vfork a fork, so that the failure of exec is not seen by the parent

TEST_CASE("a program that is not there cannot be started") {
    std::error_code error;
    auto const child = platform::start_program({platform::executable() + "-missing", {"X", "Y"}, {}}, error);
    CHECK(error);
    CHECK(child.pid == 0);
    CHECK(child.sentinel == platform::invalid_handle);
}

#endif

TEST_CASE("a fork returns twice, where there is fork") {
    platform::at_fork_in_child([] { forked = 8; });
    std::error_code error;
    auto child = platform::fork_process(error);
    if (!platform::has_fork) {
        CHECK(error == std::errc::not_supported);
        return;
    }
    if (child.pid == 0) platform::exit_process(forked);
    REQUIRE_FALSE(error);
    CHECK(status_of(child) == 8);
    CHECK(forked == 0);
}
