#include <multiprocessing/platform/handle.hpp>

#include "platform/child_program.hpp"

using namespace multiprocessing_test;

namespace {

ChildProgram const write_to("write_to", [](Arguments const& given) {
    signal(handle_of(given.at(0)));
    return 0;
});

} // namespace

TEST_CASE("an invalid handle can be closed") { platform::close(platform::invalid_handle); }

TEST_CASE("a duplicate is another handle of the same thing") {
    Channel channel;
    std::error_code error;
    auto const copy = platform::duplicate(channel.mine, error);
    REQUIRE_FALSE(error);
    CHECK(copy != channel.mine);
    channel.close_mine();
    REQUIRE(signal(copy));
    CHECK(await(channel.other));
    platform::close(copy);
    CHECK_FALSE(await(channel.other)); // nobody holds that end any more
}

TEST_CASE("what is no handle cannot be duplicated") {
    std::error_code error;
    CHECK(platform::duplicate(platform::invalid_handle, error) == platform::invalid_handle);
    CHECK(error == std::errc::bad_file_descriptor);
}

TEST_CASE("a child has the handles that it was given, and no others") {
    Channel given;
    Channel kept;
    std::error_code error;
    auto const copy = platform::duplicate(kept.other, error);
    auto child = write_to.start({number_of(given.other)}, {given.other});
    CHECK(await(given.mine));
    CHECK(status_of(child) == 0);

    child = write_to.start({number_of(kept.other)}, {given.other});
    status_of(child);
    kept.close_other();
    platform::close(copy);
    CHECK_FALSE(await(kept.mine)); // the end of the stream, and nothing was written

    // Given to that child only: a third one does not have it.
    child = write_to.start({number_of(given.other)});
    status_of(child);
    given.close_other();
    CHECK_FALSE(await(given.mine));
}
