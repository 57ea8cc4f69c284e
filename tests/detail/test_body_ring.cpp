// not on windows
#include <multiprocessing/detail/body_ring.hpp>
#include <multiprocessing/detail/connection_state.hpp>
#include <multiprocessing/detail/shared_object.hpp>
#include <multiprocessing/platform/channel.hpp>

#include "platform/child_program.hpp"
#include "support/catch.hpp"
#include "support/forked.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

namespace mp = multiprocessing;
using namespace mp::detail;
using multiprocessing_test::Channel;
namespace platform = mp::platform;

namespace {

byte_vector pattern(std::size_t size, unsigned seed) {
    byte_vector bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7 + i / 251 + seed);
    return bytes;
}

byte_vector read_all(body_ring& ring, std::uint64_t position, std::size_t size) {
    body_ring::reader reader(ring, position, size);
    byte_vector bytes(size);
    std::size_t done = 0;
    while (done < size) {
        std::size_t const count = reader.read(std::span(bytes).subspan(done));
        if (count == 0) break;
        done += count;
    }
    bytes.resize(done);
    return bytes;
}

/// The ring, and a stream that stands for the one beside it.
struct Fixture {
    shared_object<pipe_rings> rings = shared_object<pipe_rings>::make();
    body_ring& ring = rings->ring[0];
    Channel channel;
};

} // namespace

TEST_CASE("bodies of every size arrive whole and in order, whatever the position") {
    Fixture f;
    std::vector<std::size_t> const sizes{1, 100'000, 262'144, 262'143, 3, 1'000'000, 262'145, 77, 3'000'001};
    std::thread writer([&] {
        for (std::size_t i = 0; i < sizes.size(); ++i) {
            f.ring.begin_writing();
            f.ring.write(pattern(sizes[i], static_cast<unsigned>(i)), f.channel.mine);
        }
    });
    std::uint64_t position = 0;
    std::size_t right = 0;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        // The header, which comes over the stream, would wait for the writer.
        while (f.ring.position() == position) platform::yield();
        if (read_all(f.ring, position, sizes[i]) == pattern(sizes[i], static_cast<unsigned>(i))) ++right;
        position += sizes[i];
    }
    writer.join();
    CHECK(right == sizes.size());
}

TEST_CASE("a ring that is switched off, and one without a reader") {
    Fixture f;
    REQUIRE(f.ring.begin_writing());
    f.channel.close_other();
    CHECK_FALSE(f.ring.write(pattern(1'000'000, 1), f.channel.mine)); // it does not fit, and nobody will read it
    f.ring.switch_off();
    CHECK_FALSE(f.ring.begin_writing());
}

TEST_CASE("positions that cannot be") {
    Fixture f;
    CHECK_THROWS_AS(body_ring::reader(f.ring, 0, 10), mp::OSError); // nothing was ever written
    REQUIRE(f.ring.begin_writing());
    f.ring.write(pattern(100, 1), f.channel.mine);
    CHECK_THROWS_AS(body_ring::reader(f.ring, 300'000, 10), mp::OSError);
    CHECK(read_all(f.ring, 0, 100).size() == 100);
    CHECK_THROWS_AS(body_ring::reader(f.ring, 99, 10), mp::OSError);
    CHECK(read_all(f.ring, 100, 10).empty()); // a header without a body: its writer has died
}

namespace {

[[noreturn]] void die() {
    std::error_code error;
    platform::kill_process(platform::current_process_id(), error);
    for (;;) platform::yield();
}

template <class Function>
void in_a_child_that_dies(Function function) {
    std::error_code error;
    auto child = platform::fork_process(error);
    if (child.pid == 0) {
        function();
        die();
    }
    platform::wait_process(child, platform::never);
}

} // namespace

TEST_CASE("a writer that is killed within a body") {
    Fixture f;
    REQUIRE(f.ring.begin_writing()); // makes the memory
    f.ring.write(pattern(10, 0), f.channel.mine);
    CHECK(read_all(f.ring, 0, 10).size() == 10);
    in_a_child_that_dies([&] { f.ring.begin_writing(); });
    CHECK_FALSE(f.ring.begin_writing());      // the next writer takes the stream
    CHECK(read_all(f.ring, 10, 100).empty()); // and the reader notices
}

TEST_CASE("a reader that is killed within a body does not keep the writer for ever") {
    Fixture f;
    REQUIRE(f.ring.begin_writing());
    f.ring.write(pattern(10, 0), f.channel.mine);
    in_a_child_that_dies([&] {
        body_ring::reader reader(f.ring, 0, 1'000'000);
        byte_vector place(5);
        reader.read(place);
    });
    REQUIRE(f.ring.begin_writing());
    CHECK(f.ring.write(pattern(1'000'000, 1), f.channel.mine)); // given up: as if a dead reader had received it
    CHECK_FALSE(f.ring.begin_writing());
}

TEST_CASE("what a dead reader has left is skipped by the next one") {
    Fixture f;
    for (unsigned i = 0; i < 2; ++i) {
        REQUIRE(f.ring.begin_writing());
        f.ring.write(pattern(1000, i), f.channel.mine);
    }
    in_a_child_that_dies([&] {
        body_ring::reader reader(f.ring, 0, 1000);
        byte_vector place(5);
        reader.read(place);
    });
    CHECK(read_all(f.ring, 1000, 1000) == pattern(1000, 1));
    f.ring.release();
    f.ring.release();
}
