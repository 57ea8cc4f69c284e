// not on windows
#include <multiprocessing/detail/event_log.hpp>
#include <multiprocessing/process.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <vector>

namespace mp = multiprocessing;
using mp::detail::event_log;

namespace {

struct log_in_arena {
    log_in_arena() : memory(sizeof(event_log)), log(*::new(static_cast<void*>(memory.get())) event_log) {}

    mp::detail::arena_block memory;
    event_log& log;
};

std::vector<std::uint64_t> indices(event_log::reader& reader, event_log& log) {
    std::vector<std::uint64_t> all;
    reader.read(log, [&](mp::detail::item_event const& event) { all.push_back(event.index); });
    return all;
}

} // namespace

TEST_CASE("events are read once, in order, whenever one looks") {
    log_in_arena place;
    event_log::writer writer(place.log);
    event_log::reader reader;
    CHECK(indices(reader, place.log).empty());
    std::uint64_t written = 0;
    std::uint64_t read = 0;
    for (int portion : {1, 5, 120, 1, 127, 500, 0, 3}) {
        for (int i = 0; i < portion; ++i) writer.append({.index = written++});
        for (auto const index : indices(reader, place.log)) CHECK(index == read++);
        CHECK(read == written);
    }
    reader.end(place.log);
}

TEST_CASE("a log that was ended can be used on") {
    log_in_arena place;
    event_log::reader reader;
    for (std::uint64_t round = 0; round < 3; ++round) {
        event_log::writer writer(place.log);
        for (std::uint64_t i = 0; i < 300; ++i) writer.append({.index = i});
        CHECK(indices(reader, place.log).size() == 300);
        writer.append({});
        reader.end(place.log);
        CHECK(indices(reader, place.log).empty());
    }
}

TEST_CASE("what a process has appended can be read after its death") {
    log_in_arena place;
    auto const position = mp::detail::arena::instance().offset_of(&place.log);
    mp::Process process({.method = mp::StartMethod::fork}, [=] {
        event_log::writer writer(*mp::detail::arena::instance().at<event_log>(position));
        for (std::uint64_t i = 0; i < 200; ++i) writer.append({.index = i});
        mp::platform::exit_process(1);
    });
    process.start();
    process.join();
    event_log::reader reader;
    auto const all = indices(reader, place.log);
    REQUIRE(all.size() == 200);
    CHECK(all.back() == 199);
    reader.end(place.log);
}
