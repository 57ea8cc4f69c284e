#include <multiprocessing/detail/message.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <utility>
#include <vector>

using namespace multiprocessing::detail;

namespace {

/// A slot outside a ring.
class Slot {
public:
    Slot() : block_(sizeof(message_slot) + largest_inline_message) {
        slot = ::new (static_cast<void*>(block_.get())) message_slot(slot_word(0, slot_state::free));
    }

private:
    arena_block block_;

public:
    message_slot* slot;
};

} // namespace

TEST_CASE("what is plain needs no archive") {
    struct Small {
        std::byte bytes[256];
    };
    struct Large {
        std::byte bytes[257];
    };
    CHECK(is_plain_message<int>);
    CHECK(is_plain_message<Small>);
    CHECK_FALSE(is_plain_message<Large>);
    CHECK_FALSE(is_plain_message<std::string>);
    CHECK(inline_size_for<int> == sizeof(int));
    CHECK(inline_size_for<std::string> == largest_inline_message);
}

TEST_CASE("a small message lies in the slot, a larger one in a block, whatever the steps in which it grew") {
    for (std::size_t const size : {0U, 1U, 256U, 257U, 100'000U}) {
        std::string text;
        outgoing_message out;
        while (out.size() < size) {
            std::string const more(
                std::min<std::size_t>(100, size - out.size()), static_cast<char>('a' + out.size() % 7));
            out.write(more.data(), more.size());
            text += more;
        }
        Slot place;
        out.store(*place.slot);
        CHECK(place.slot->size() == size);
        CHECK(place.slot->is_in_block() == (size > 256));
        incoming_message first;
        first.take(*place.slot);
        incoming_message in = std::move(first);
        auto const bytes = in.bytes();
        CHECK(std::string(reinterpret_cast<char const*>(bytes.data()), bytes.size()) == text);
    }
}

TEST_CASE("a message in memory that is lent begins in front of a cache line") {
    outgoing_message lent(1000);
    CHECK((reinterpret_cast<std::uintptr_t>(lent.content()) + sizeof(std::uint64_t)) % 64 == 0);
    CHECK(lent.size() == 1000);
    outgoing_message moved = std::move(lent);
    Slot place;
    moved.store(*place.slot);
    CHECK(place.slot->is_in_block());
    place.slot->free_block();
}

TEST_CASE("messages give their blocks back") {
    auto& memory = arena::instance();
    std::size_t committed = 0;
    for (int i = 0; i < 100; ++i) {
        Slot place;
        outgoing_message out(1 << 20);
        if (i % 2 == 0) {
            out.store(*place.slot);
            incoming_message in;
            in.take(*place.slot);
            in = incoming_message();
        }
        if (i == 1) committed = memory.committed();
    }
    CHECK(memory.committed() == committed);
}
