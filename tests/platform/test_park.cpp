#include <multiprocessing/platform/memory.hpp>
#include <multiprocessing/platform/park.hpp>

#include "platform/child_program.hpp"

#include <array>
#include <thread>

using namespace multiprocessing_test;

namespace {

using Word = std::atomic<std::uint32_t>;

constexpr std::size_t size = 1 << 20;
constexpr std::size_t words_at = 0;
constexpr std::size_t parking_at = 4096;

/// A segment with words to sleep on and the place where the system keeps the sleepers.
struct Place {
    platform::native_handle segment;
    std::byte* memory = nullptr;

    Place() {
        std::error_code error;
        segment = platform::create_segment(size, error);
        REQUIRE_FALSE(error);
        memory = platform::map_segment(segment, size, error);
        REQUIRE_FALSE(error);
        platform::commit_segment(segment, memory, 0, parking_at + platform::parking_bytes(), error);
        REQUIRE_FALSE(error);
        platform::open_parking(memory + parking_at, memory, true, error);
        REQUIRE_FALSE(error);
    }
    ~Place() {
        platform::unmap_segment(memory, size);
        platform::close(segment);
    }
    Place(Place const&) = delete;
    Place& operator=(Place const&) = delete;

    Word& word(std::size_t number) const { return reinterpret_cast<Word*>(memory + words_at)[number * 16]; }

    std::vector<platform::native_handle> handles(platform::native_handle channel) const {
        std::vector<platform::native_handle> all{segment, channel};
        for (auto const handle : platform::parking_handles()) all.push_back(handle);
        return all;
    }
};

/// A child joins instead.
std::byte* join(Arguments const& given) {
    std::error_code error;
    std::byte* const memory = platform::map_segment(handle_of(given.at(0)), size, error);
    if (memory == nullptr) return nullptr;
    platform::open_parking(memory + parking_at, memory, false, error);
    return error ? nullptr : memory;
}

Word& word_in(std::byte* memory, std::size_t number) { return reinterpret_cast<Word*>(memory + words_at)[number * 16]; }

void sleep_while(Word& word, std::uint32_t value) {
    while (word.load() == value) platform::park(word, value, platform::never);
}

void change(Word& word, std::uint32_t value, std::uint32_t count) {
    word.store(value);
    platform::unpark(word, count);
}

constexpr std::uint32_t rounds = 200;

/// Word 0 counts: even numbers are the child's turn to wait.
ChildProgram const ping_pong("ping_pong", [](Arguments const& given) {
    std::byte* const memory = join(given);
    if (memory == nullptr) return 1;
    Word& word = word_in(memory, 0);
    for (std::uint32_t round = 0; round < rounds; ++round) {
        sleep_while(word, 2 * round);
        change(word, 2 * round + 2, 1);
    }
    return 0;
});

/// Sleeps on word 1 until it is 1.
ChildProgram const sleeper("sleeper", [](Arguments const& given) {
    std::byte* const memory = join(given);
    if (memory == nullptr) return 1;
    signal(handle_of(given.at(1)));
    sleep_while(word_in(memory, 1), 0);
    return 0;
});

} // namespace

TEST_CASE("nobody sleeps if the word has changed, or the time is over") {
    Place const place;
    Word& word = place.word(2);
    word.store(5);
    platform::park(word, 4, platform::never); // returns at all
    platform::park(word, 5, platform::deadline::min());

    auto const begin = platform::clock::now();
    auto const until = begin + std::chrono::milliseconds(20);
    while (platform::clock::now() < until) platform::park(word, 5, until);
    platform::unpark(word, 1); // nobody is there
    platform::unpark(word, platform::everybody);
}

TEST_CASE("threads of one process") {
    Place const place;
    Word& word = place.word(3);
    word.store(0);
    std::array<std::thread, 4> threads;
    for (auto& thread : threads) thread = std::thread([&] { sleep_while(word, 0); });
    change(word, 1, platform::everybody);
    for (auto& thread : threads) thread.join();

    word.store(0);
    for (auto& thread : threads) thread = std::thread([&] { sleep_while(word, 0); });
    word.store(1);
    for (std::size_t i = 0; i < threads.size(); ++i) platform::unpark(word, 1); // as many as there can be sleepers
    for (auto& thread : threads) thread.join();
    CHECK(word.load() == 1);
}

TEST_CASE("two processes take turns") {
    Place const place;
    Word& word = place.word(0);
    word.store(0);
    auto child = ping_pong.start({number_of(place.segment)}, place.handles(place.segment));
    for (std::uint32_t round = 0; round < rounds; ++round) {
        change(word, 2 * round + 1, 1);
        sleep_while(word, 2 * round + 1);
    }
    CHECK(status_of(child) == 0);
}

TEST_CASE("sleepers in several processes, one of which is killed") {
    Place const place;
    Word& word = place.word(1);
    word.store(0);
    Channel channel;
    std::array<platform::child_process, 3> children;
    for (auto& child : children) {
        child = sleeper.start({number_of(place.segment), number_of(channel.other)}, place.handles(channel.other));
        REQUIRE(await(channel.mine));
    }
    std::error_code error;
    platform::kill_process(children[0].pid, error);
    CHECK(status_of(children[0]) != 0);
    word.store(1);
    platform::unpark(word, 1); // each wakes one that lives, or finds none asleep
    platform::unpark(word, 1);
    CHECK(status_of(children[1]) == 0);
    CHECK(status_of(children[2]) == 0);
}

#if defined(MULTIPROCESSING_WINDOWS)

namespace {

namespace windows = platform::windows;

windows::parking_lot& lot() { return *windows::this_parking().lot; }

/// The slot in which somebody else than `dead` sleeps on the word, once somebody does.
std::size_t slot_of_sleeper(Word const& word, windows::identity dead = 0) {
    auto const key = windows::key_of(windows::this_parking(), word);
    for (;;) {
        for (std::size_t slot = 0; slot < windows::parking_slots; ++slot) {
            if (lot().owners[slot].load() != dead && lot().sleeping[slot].load() == key) return slot;
        }
        platform::yield();
    }
}

std::size_t taken_slots() {
    std::size_t taken = 0;
    for (auto const& owner : lot().owners) taken += owner.load() != 0 ? 1 : 0;
    return taken;
}

} // namespace

TEST_CASE("a killed sleeper does not use up the wake of another, and its slot is used again") {
    Place const place;
    Word& word = place.word(1);
    word.store(0);
    std::size_t const before = taken_slots();
    Channel channel;
    auto child = sleeper.start({number_of(place.segment), number_of(channel.other)}, place.handles(channel.other));
    auto const slot = slot_of_sleeper(word);
    std::error_code error;
    platform::kill_process(child.pid, error);
    status_of(child);
    REQUIRE(lot().owners[slot].load() != 0);

    std::thread living([&] { sleep_while(word, 0); });
    slot_of_sleeper(word, lot().owners[slot].load());
    lot().next_wake.store(static_cast<std::uint32_t>(slot)); // the dead one comes first
    change(word, 1, 1);
    living.join();
    CHECK(lot().owners[slot].load() == 0);
    CHECK(taken_slots() == before);
}

TEST_CASE("a waker that was killed before it signalled keeps nobody asleep") {
    Place const place;
    Word& word = place.word(4);
    word.store(0);
    std::thread living([&] { sleep_while(word, 0); });
    auto const slot = slot_of_sleeper(word);
    lot().sleeping[slot].fetch_or(windows::parking_lot::called); // and then it was killed
    change(word, 1, 1);
    living.join();
    CHECK(lot().sleeping[slot].load() == 0);
}

TEST_CASE("when all slots are taken sleepers look again, and slots of the dead come back") {
    Place const place;
    Word& word = place.word(1);
    word.store(0);
    Channel channel;
    auto child = sleeper.start({number_of(place.segment), number_of(channel.other)}, place.handles(channel.other));
    auto const dead = lot().owners[slot_of_sleeper(word)].load();
    std::error_code error;
    platform::kill_process(child.pid, error);
    status_of(child);
    for (auto& owner : lot().owners) {
        windows::identity nobody = 0;
        owner.compare_exchange_strong(nobody, dead);
    }
    REQUIRE(taken_slots() == windows::parking_slots);
    platform::park(word, 0, platform::never); // finds no place, but comes back
    CHECK(taken_slots() < windows::parking_slots);
    std::thread living([&] { sleep_while(word, 0); });
    auto const slot = slot_of_sleeper(word, dead);
    CHECK(slot < windows::parking_slots);
    change(word, 1, 1);
    living.join();
}

#endif
