#include <multiprocessing/platform/liveness.hpp>
#include <multiprocessing/platform/memory.hpp>
#include <multiprocessing/platform/poll.hpp>

#include "platform/child_program.hpp"

using namespace multiprocessing_test;

namespace {

struct Segment {
    platform::native_handle handle;

    Segment() {
        std::error_code error;
        handle = platform::create_segment(1 << 20, error);
        REQUIRE_FALSE(error);
    }
    ~Segment() { platform::close(handle); }
    Segment(Segment const&) = delete;
    Segment& operator=(Segment const&) = delete;
};

/// Takes a seat, says so, and stays until the other end is closed.
ChildProgram const sit("sit", [](Arguments const& given) {
    std::error_code error;
    platform::take_seat(handle_of(given.at(0)), given.at(1), platform::current_process_id(), error);
    if (error) return 1;
    auto const channel = handle_of(given.at(2));
    signal(channel);
    while (await(channel)) {
    }
    return 0;
});

/// Like sit, but with a forked child that lives on: it holds the end of a second channel.
ChildProgram const sit_and_fork("sit_and_fork", [](Arguments const& given) {
    std::error_code error;
    platform::take_seat(handle_of(given.at(0)), given.at(1), platform::current_process_id(), error);
    auto const mine = handle_of(given.at(2));
    auto const childs = handle_of(given.at(3));
    auto const child = platform::fork_process(error);
    if (error) return 1;
    if (child.pid == 0) {
        platform::close(mine);
        signal(childs);
        while (await(childs)) {
        }
        return 0;
    }
    platform::close(childs);
    signal(mine);
    while (await(mine)) {
    }
    return 0;
});

/// The youngest of three generations: lives as long as its parent, at most.
ChildProgram const follow("follow", [](Arguments const& given) {
    std::error_code error;
    platform::die_with(handle_of(given.at(0)), error);
    auto const channel = handle_of(given.at(1));
    signal(channel);
    while (await(channel)) {
    }
    return 0;
});

/// The one in between: starts `follow` and waits.
ChildProgram const lead("lead", [](Arguments const& given) {
    auto const channel = handle_of(given.at(0));
    std::error_code error;
    auto const lifeline = platform::make_channel(error);
    if (error) return 1;
    follow.start({number_of(lifeline.second), number_of(channel)}, {lifeline.second, channel}, error);
    if (error) return 2;
    platform::close(lifeline.second);
    platform::close(channel); // from now on the youngest alone has it
    while (await(lifeline.first)) {
    }
    return 0;
});

/// Its parent is gone before it says that it depends on it.
ChildProgram const follow_late("follow_late", [](Arguments const& given) {
    auto const channel = handle_of(given.at(1));
    signal(channel);
    await(channel);
    std::error_code error;
    platform::die_with(handle_of(given.at(0)), error);
    while (await(channel)) {
    }
    return 0;
});

struct Sitter {
    Channel channel;
    platform::child_process child;

    Sitter(Segment const& segment, std::size_t seat)
        : child(
              sit.start({number_of(segment.handle), seat, number_of(channel.other)}, {segment.handle, channel.other})) {
        channel.close_other();
        REQUIRE(await(channel.mine));
    }
};

void kill(platform::child_process const& child) {
    std::error_code error;
    platform::kill_process(child.pid, error);
    REQUIRE_FALSE(error);
}

} // namespace

TEST_CASE("a seat is taken as long as its process lives") {
    Segment segment;
    CHECK_FALSE(platform::seat_is_taken(segment.handle, 3, 1));
    Sitter sitter(segment, 3);
    CHECK(platform::seat_is_taken(segment.handle, 3, sitter.child.pid));
    CHECK_FALSE(platform::seat_is_taken(segment.handle, 4, sitter.child.pid)); // it lives, but sits elsewhere
    sitter.channel.close_mine();
    CHECK(status_of(sitter.child) == 0);
    CHECK_FALSE(platform::seat_is_taken(segment.handle, 3, sitter.child.pid));
}

TEST_CASE("a killed process has left its seat before anybody waits for it") {
    Segment segment;
    Sitter sitter(segment, 0);
    kill(sitter.child);
    CHECK_FALSE(await(sitter.channel.mine)); // it is gone, and a zombie on POSIX
    if (sitter.child.sentinel != platform::invalid_handle) {
        bool ready = false;
        std::error_code error;
        platform::poll({&sitter.child.sentinel, 1}, {&ready, 1}, platform::never, error);
    }
    CHECK_FALSE(platform::seat_is_taken(segment.handle, 0, sitter.child.pid));
    status_of(sitter.child);
}

TEST_CASE("a seat belongs to one process at a time") {
    Segment segment;
    auto const self = platform::current_process_id();
    Sitter sitter(segment, 2);
    std::error_code error;
    platform::take_seat(segment.handle, 2, self, error);
    CHECK(error);
    kill(sitter.child);
    status_of(sitter.child);
    platform::take_seat(segment.handle, 2, self, error);
    CHECK_FALSE(error);
    CHECK(platform::seat_is_taken(segment.handle, 2, self));

    Channel channel; // and now the other way round
    auto late = sit.start({number_of(segment.handle), 2, number_of(channel.other)}, {segment.handle, channel.other});
    CHECK(status_of(late) == 1);
}

TEST_CASE("thousands of seats") {
    Segment segment;
    Sitter sitter(segment, 4095);
    CHECK(platform::seat_is_taken(segment.handle, 4095, sitter.child.pid));
    sitter.channel.close_mine();
    CHECK(status_of(sitter.child) == 0);
}

TEST_CASE("a forked child does not inherit the seat") {
    if (!platform::has_fork) return;
    Segment segment;
    Channel channel;
    Channel of_fork;
    auto child = sit_and_fork.start(
        {number_of(segment.handle), 1, number_of(channel.other), number_of(of_fork.other)},
        {segment.handle, channel.other, of_fork.other});
    channel.close_other();
    of_fork.close_other();
    REQUIRE(await(channel.mine));
    REQUIRE(await(of_fork.mine)); // both run
    CHECK(platform::seat_is_taken(segment.handle, 1, child.pid));
    kill(child);
    status_of(child);
    CHECK_FALSE(platform::seat_is_taken(segment.handle, 1, child.pid));
    REQUIRE(signal(of_fork.mine)); // the forked child lives
    of_fork.close_mine();
}

TEST_CASE("children die with their parent, grandchildren too") {
    Channel channel;
    auto child = lead.start({number_of(channel.other)}, {channel.other});
    channel.close_other();
    REQUIRE(await(channel.mine)); // the grandchild runs
    kill(child);
    CHECK_FALSE(await(channel.mine)); // and is gone
    status_of(child);
}

TEST_CASE("who is late to depend on its parent dies at once") {
    if (!platform::has_fork) return; // Windows has dealt with it by then
    Channel channel;
    Channel lifeline;
    auto child =
        follow_late.start({number_of(lifeline.other), number_of(channel.other)}, {lifeline.other, channel.other});
    channel.close_other();
    lifeline.close_other();
    REQUIRE(await(channel.mine));
    lifeline.close_mine();
    REQUIRE(signal(channel.mine));
    CHECK(status_of(child) == -9);
}
