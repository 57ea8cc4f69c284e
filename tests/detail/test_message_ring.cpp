#include <multiprocessing/detail/message_ring.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <cstring>
#include <new>
#include <optional>

using namespace multiprocessing::detail;
using outcome = message_ring::outcome;

namespace {

/// A ring in a block of its own, of numbers.
class Numbers {
public:
    explicit Numbers(unsigned power, std::uint64_t limit = 0)
        : block_(message_ring::bytes(power, sizeof(int))), limit_(limit),
          ring(*::new(static_cast<void*>(block_.get())) message_ring(power, sizeof(int))) {}

    outcome put(int number) {
        return ring.try_put(limit_, self(), [&](message_slot& slot) noexcept {
            slot.set_inline(sizeof number);
            std::memcpy(slot.message(), &number, sizeof number);
        });
    }
    std::optional<int> get() {
        int number = 0;
        auto const read = [&](message_slot& slot) noexcept { std::memcpy(&number, slot.message(), sizeof number); };
        if (ring.try_get(self(), read) != outcome::done) return std::nullopt;
        return number;
    }
    static short_participant self() { return short_participant::self(); }

private:
    arena_block block_;
    std::uint64_t limit_;

public:
    message_ring& ring;
};

} // namespace

TEST_CASE("a short participant is alive or not as the process is") {
    CHECK(short_participant::self().is_alive());
    auto const whole = participant::self();
    auto const other = participant(whole.seat(), whole.generation() + 1); // sat there at another time
    auto const word = static_cast<std::uint32_t>(other.generation() << 12 | other.seat()) & 0x1fffffff;
    CHECK_FALSE(short_participant(word).is_alive());
    CHECK_FALSE(short_participant((whole.generation() << 12 | 4000) & 0x1fffffff).is_alive()); // an empty seat
}

TEST_CASE("the word of a slot keeps its three parts apart") {
    slot_word const word(0xfffffffe, slot_state::reading, 0x1fffffff);
    CHECK(word.state() == slot_state::reading);
    CHECK(word.owner().value() == 0x1fffffff);
    CHECK(word.ahead_of(0xfffffffe) == 0);
    CHECK(word.ahead_of(1) == -3); // rounds begin again
    CHECK(word.ahead_of(0xfffffffd) == 1);
}

TEST_CASE("a ring takes as many messages as it has slots, for many rounds") {
    Numbers numbers(2);
    for (int round = 0; round < 10; ++round) {
        for (int i = 0; i < 4; ++i) CHECK(numbers.put(10 * round + i) == outcome::done);
        CHECK(numbers.put(-1) == outcome::blocked);
        CHECK(numbers.ring.size() == 4);
        for (int i = 0; i < 4; ++i) CHECK(numbers.get() == 10 * round + i);
        CHECK_FALSE(numbers.get());
        CHECK(numbers.ring.size() == 0);
    }
}

TEST_CASE("a ring takes no more than its limit") {
    Numbers numbers(2, 3);
    for (int round = 0; round < 10; ++round) {
        for (int i = 0; i < 3; ++i) CHECK(numbers.put(i) == outcome::done);
        CHECK(numbers.put(-1) == outcome::blocked);
        CHECK(numbers.get() == 0);
        CHECK(numbers.put(3) == outcome::done);
        CHECK(numbers.put(-1) == outcome::blocked);
        for (int i = 1; i < 4; ++i) CHECK(numbers.get() == i);
    }
}

TEST_CASE("whether there is room for several messages") {
    Numbers numbers(3);
    CHECK(numbers.ring.has_room_for(8, 0));
    CHECK_FALSE(numbers.ring.has_room_for(6, 5));
    for (int i = 0; i < 8; ++i) numbers.put(i);
    CHECK_FALSE(numbers.ring.has_room_for(1, 0));
    numbers.get();
    numbers.get();
    CHECK(numbers.ring.has_room_for(2, 0));
    CHECK_FALSE(numbers.ring.has_room_for(3, 0));
}

TEST_CASE("a look says whether there is a message, and leaves it there") {
    Numbers numbers(1);
    for (int round = 0; round < 5; ++round) {
        CHECK(numbers.ring.look() == outcome::blocked);
        numbers.put(1);
        CHECK(numbers.ring.look() == outcome::done);
        CHECK(numbers.ring.look() == outcome::done);
        CHECK(numbers.get() == 1);
    }
    numbers.ring.try_put(0, Numbers::self(), [&](message_slot&) noexcept {
        CHECK(numbers.ring.look() == outcome::blocked);
        numbers.put(2);
        CHECK(numbers.ring.look() == outcome::blocked); // the first one comes first
    });
    CHECK(numbers.ring.look() == outcome::done);
    auto const read = [&](message_slot&) noexcept { CHECK(numbers.ring.look() == outcome::done); };
    CHECK(numbers.ring.try_get(Numbers::self(), read) == outcome::done);
    numbers.get();
    numbers.ring.try_end();
    CHECK(numbers.ring.look() == outcome::ended);
}

TEST_CASE("a ring ends where it is empty, and not before") {
    Numbers numbers(2);
    numbers.put(1);
    CHECK(numbers.ring.try_end() == outcome::done); // there is something to be read
    CHECK(numbers.get() == 1);
    CHECK(numbers.ring.try_end() == outcome::ended);
    CHECK(numbers.ring.try_end() == outcome::ended);
    CHECK(numbers.put(2) == outcome::ended);
    int none = 0;
    CHECK(numbers.ring.try_get(Numbers::self(), [&](message_slot&) noexcept { ++none; }) == outcome::ended);
    CHECK(none == 0);
}

TEST_CASE("nothing is repaired where everybody lives") {
    Numbers numbers(2);
    CHECK_FALSE(numbers.ring.repair_head());
    CHECK_FALSE(numbers.ring.repair_tail(Numbers::self()));
    numbers.put(1);
    bool repaired = false;
    auto const look = [&](message_slot&) noexcept {
        repaired = numbers.ring.repair_head() || numbers.ring.repair_tail(Numbers::self());
    };
    numbers.ring.try_put(0, Numbers::self(), look);
    CHECK_FALSE(repaired);
    CHECK(numbers.ring.size() == 2);
}

TEST_CASE("the place of a writer who died becomes a hole") {
    short_participant const dead((participant::self().generation() << 12 | 4000) & 0x1fffffff);
    Numbers numbers(2);
    // In the middle of writing everybody sees what a writer leaves who dies there. This one will go on, and write a
    // word that nobody expects; but the test is over then.
    bool repaired = false;
    numbers.ring.try_put(0, dead, [&](message_slot&) noexcept {
        CHECK_FALSE(numbers.get());
        repaired = numbers.ring.repair_head();
        CHECK(numbers.ring.size() == 0);
        CHECK(numbers.put(5) == outcome::done);
        CHECK(numbers.get() == 5);
    });
    CHECK(repaired);
}

TEST_CASE("the slot of a reader who died becomes free, and his block is given back once") {
    short_participant const dead((participant::self().generation() << 12 | 4000) & 0x1fffffff);
    Numbers numbers(1);
    numbers.put(1);
    numbers.put(2);
    bool repaired = false;
    numbers.ring.try_get(dead, [&](message_slot&) noexcept {
        CHECK(numbers.put(3) == outcome::blocked);
        repaired = numbers.ring.repair_tail(Numbers::self());
        CHECK_FALSE(numbers.ring.repair_tail(Numbers::self()));
        CHECK(numbers.put(3) == outcome::done);
        CHECK(numbers.get() == 2);
        CHECK(numbers.get() == 3);
    });
    CHECK(repaired);
}
