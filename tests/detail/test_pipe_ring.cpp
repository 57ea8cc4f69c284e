// not on windows
#include <multiprocessing/detail/pipe_ring.hpp>
#include <multiprocessing/detail/shared_object.hpp>

#include "support/catch.hpp"
#include "support/forked.hpp"

#include <cstddef>
#include <string>
#include <thread>
#include <vector>

namespace mp = multiprocessing;
using namespace mp::detail;
using multiprocessing_test::Forked;
using multiprocessing_test::in_child;
namespace platform = mp::platform;

namespace {

std::string pattern(std::size_t size, unsigned seed) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 7 + i / 251 + seed);
    return text;
}

void nobody_listens() {}
bool somebody_is_there() { return false; }

bool put(pipe_ring& ring, std::string const& message, std::uint8_t handles = 0) {
    pipe_ring::writer writer(ring);
    return writer.prepare(message.size()) &&
           writer.put(std::as_bytes(std::span(message)), handles, nobody_listens, somebody_is_there);
}

/// A record as it lies there.
struct Found {
    pipe_record record;
    std::uint64_t total = 0;
    std::string bytes;
};

/// Takes the next record, waiting for it.
Found take(pipe_ring& ring) {
    ring.lock_reading(platform::never);
    std::uint64_t const at = ring.taken();
    while (!ring.has_record(at)) platform::yield();
    Found found;
    ring.copy_out(at, std::as_writable_bytes(std::span(&found.record, 1)));
    std::uint64_t position = at + sizeof found.record;
    found.total = found.record.size;
    if (found.record.what == pipe_record::kind::first) {
        ring.copy_out(position, std::as_writable_bytes(std::span(&found.total, 1)));
        position += sizeof found.total;
    }
    found.bytes.resize(found.record.size);
    ring.copy_out(position, std::as_writable_bytes(std::span(found.bytes)));
    ring.take_until(position + pipe_ring::padded(found.record.size));
    ring.unlock_reading();
    return found;
}

} // namespace

TEST_CASE("messages of every size go through the ring, longer ones in pieces") {
    auto const ring = shared_object<pipe_ring>::make();
    std::vector<std::size_t> const sizes{
        0, 1, 8, 2048, 2049, 8192, 8193, 30'000, 131'056, 131'057, 1'048'576, 3'000'001, 5, 70'000};
    std::thread writer([&] {
        for (std::size_t i = 0; i < sizes.size(); ++i) put(*ring, pattern(sizes[i], static_cast<unsigned>(i)));
    });
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        Found found = take(*ring);
        std::string all = found.bytes;
        CHECK(found.total == sizes[i]);
        CHECK((found.record.what == pipe_record::kind::first) == (sizes[i] > found.bytes.size()));
        while (all.size() < sizes[i]) {
            found = take(*ring);
            REQUIRE(found.record.what == pipe_record::kind::next);
            all += found.bytes;
        }
        CHECK((all == pattern(sizes[i], static_cast<unsigned>(i))));
    }
    writer.join();
    CHECK(ring->is_empty());
}

TEST_CASE("a writer that finds no room waits, until somebody takes something or nobody is left") {
    auto const ring = shared_object<pipe_ring>::make();
    std::string const message = pattern(1000, 1);
    std::thread reader([&] {
        for (int i = 0; i < 1000; ++i) {
            if (take(*ring).bytes != message) return;
        }
    });
    for (int i = 0; i < 1000; ++i) REQUIRE(put(*ring, message));
    reader.join();
    CHECK(ring->is_empty());

    pipe_ring::writer writer(*ring);
    REQUIRE(writer.prepare(10));
    std::string const more = pattern(200'000, 1);
    CHECK_FALSE(writer.put(std::as_bytes(std::span(more)), 0, nobody_listens, [] { return true; }));
}

TEST_CASE("a ring that is switched off") {
    auto const ring = shared_object<pipe_ring>::make();
    CHECK_FALSE(ring->is_abandoned());
    put(*ring, "before");
    {
        pipe_ring::writer const writer(*ring);
        ring->switch_off();
        CHECK_FALSE(ring->is_abandoned()); // this one may still be going to write
    }
    CHECK(ring->is_abandoned());
    pipe_ring::writer writer(*ring);
    CHECK_FALSE(writer.prepare(1));
    CHECK(take(*ring).bytes == "before");
}

TEST_CASE("the bell rings once for each time that it is asked for") {
    auto const ring = shared_object<pipe_ring>::make();
    auto const rings = [&] {
        pipe_ring::writer writer(*ring);
        bool const asked = writer.is_asked();
        if (asked) writer.answered();
        return asked;
    };
    CHECK(rings()); // the first message always does
    CHECK(ring->is_answered());
    CHECK_FALSE(rings());
    ring->ask();
    CHECK_FALSE(ring->is_answered());
    CHECK(rings());
    CHECK_FALSE(rings());
}

TEST_CASE("what dead processes leave") {
    auto const ring = shared_object<pipe_ring>::make();
    std::string const large = pattern(400'000, 1);
    auto const die = [] {
        std::error_code error;
        platform::kill_process(platform::current_process_id(), error);
        platform::exit_process(1);
    };
    // A writer within its second piece.
    in_child([&] {
        pipe_ring::writer writer(*ring);
        writer.prepare(large.size());
        int pieces = 0;
        auto const notify = [&] {
            if (++pieces == 2) die();
        };
        writer.put(std::as_bytes(std::span(large)), 0, notify, somebody_is_there);
        return 0;
    });
    CHECK_FALSE(ring->has_writer());
    put(*ring, "next");
    CHECK(take(*ring).record.what == pipe_record::kind::first);
    CHECK(take(*ring).record.what == pipe_record::kind::next);
    // A reader with the lock.
    in_child([&] {
        ring->lock_reading(platform::never);
        die();
        return 0;
    });
    CHECK(take(*ring).bytes == "next");
    // A writer that had the lock and sent handles.
    in_child([&] {
        pipe_ring::writer writer(*ring);
        CHILD_CHECK(writer.number_handles() == 1);
        die();
        return 0;
    });
    CHECK_FALSE(ring->has_writer());
    {
        pipe_ring::writer writer(*ring);
        CHECK(writer.number_handles() == 2); // never again the number of one that died
        CHECK(ring->has_writer());
    }
    CHECK_FALSE(ring->has_writer());
    ring->release_memory(false);
    put(*ring, "again");
    CHECK(take(*ring).bytes == "again");
}
