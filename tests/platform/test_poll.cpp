#include <multiprocessing/platform/poll.hpp>

#include "platform/child_program.hpp"

#include <algorithm>
#include <memory>
#include <thread>

using namespace multiprocessing_test;

namespace {

struct Result {
    std::size_t count = 0;
    std::vector<std::size_t> ready;
    std::error_code error;
};

Result poll(std::vector<platform::native_handle> const& handles, platform::deadline until) {
    auto const ready = std::make_unique<bool[]>(handles.size() + 1);
    std::fill_n(ready.get(), handles.size(), true); // the ones that are not ready have to be cleared
    Result result;
    result.count = platform::poll(handles, {ready.get(), handles.size()}, until, result.error);
    for (std::size_t i = 0; i < handles.size(); ++i) {
        if (ready[i]) result.ready.push_back(i);
    }
    return result;
}

platform::deadline constexpr at_once = platform::deadline::min();

ChildProgram const wait_for_end("wait_for_end", [](Arguments const& given) {
    while (await(handle_of(given.at(0)))) {
    }
    return 0;
});

using Ready = std::vector<std::size_t>;

} // namespace

TEST_CASE("nothing is ready before something comes") {
    Channel one;
    Channel two;
    auto result = poll({one.mine, two.mine}, at_once);
    CHECK(result.count == 0);
    CHECK(result.ready.empty());
    CHECK_FALSE(result.error);

    auto const begin = platform::clock::now();
    result = poll({one.mine, two.mine}, begin + std::chrono::milliseconds(30));
    CHECK(result.count == 0);
    CHECK(result.ready.empty());
    CHECK(platform::clock::now() - begin >= std::chrono::milliseconds(30));

    REQUIRE(signal(two.other)); // a wait that was given up has taken nothing away
    result = poll({one.mine, two.mine}, platform::never);
    CHECK(result.count == 1);
    CHECK(result.ready == Ready{1});
    CHECK(await(two.mine));
    CHECK(poll({one.mine, two.mine}, at_once).count == 0);
}

TEST_CASE("without handles only time passes") {
    auto const begin = platform::clock::now();
    CHECK(poll({}, begin + std::chrono::milliseconds(10)).count == 0);
    CHECK(platform::clock::now() - begin >= std::chrono::milliseconds(10));
}

TEST_CASE("the end of a stream makes ready") {
    Channel one;
    Channel two;
    REQUIRE(signal(one.other));
    one.close_other();
    two.close_other();
    auto const result = poll({one.mine, two.mine}, platform::never);
    CHECK(result.count == 2);
    CHECK(result.ready == Ready{0, 1});
}

TEST_CASE("a sleeping poll is woken") {
    Channel one;
    Channel two;
    std::thread writer([&] { signal(two.other); });
    auto const result = poll({one.mine, two.mine}, platform::never);
    CHECK(result.ready == Ready{1});
    writer.join();
    std::thread closer([&] { one.close_other(); });
    CHECK(poll({one.mine}, platform::never).ready == Ready{0});
    closer.join();
}

TEST_CASE("a hundred handles") {
    std::vector<std::unique_ptr<Channel>> channels;
    std::vector<platform::native_handle> handles;
    for (int i = 0; i < 100; ++i) handles.push_back(channels.emplace_back(std::make_unique<Channel>())->mine);
    auto const quiet = poll(handles, platform::clock::now() + std::chrono::milliseconds(100));
    CHECK(quiet.count == 0);
    CHECK_FALSE(quiet.error);

    std::thread writer([&] { signal(channels[99]->other); });
    CHECK(poll(handles, platform::never).ready == Ready{99});
    writer.join();
    REQUIRE(signal(channels[3]->other));
    CHECK(poll(handles, at_once).ready == Ready{3, 99});
}

TEST_CASE("processes and channels together") {
    Channel channel;
    Channel quiet;
    auto child = wait_for_end.start({number_of(channel.other)}, {channel.other});
    channel.close_other();
    if (child.sentinel != platform::invalid_handle) {
        CHECK(poll({quiet.mine, child.sentinel}, at_once).count == 0);
        std::thread closer([&] { channel.close_mine(); });
        CHECK(poll({quiet.mine, child.sentinel}, platform::never).ready == Ready{1});
        closer.join();
    }
    channel.close_mine();
    CHECK(status_of(child) == 0);
}

TEST_CASE("what is closed is reported") {
    Channel channel;
    std::error_code error;
    auto const copy = platform::duplicate(channel.mine, error);
    platform::close(copy);
    CHECK(poll({channel.mine, copy}, at_once).error == std::errc::bad_file_descriptor);
}
