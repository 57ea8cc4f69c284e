#include <multiprocessing/detail/byte_sink.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <cstring>
#include <limits>
#include <new>
#include <string>
#include <utility>

namespace mp = multiprocessing;
using mp::detail::byte_buffer;

namespace {

std::string text_of(mp::detail::byte_sink const& sink) {
    return std::string(reinterpret_cast<char const*>(sink.data()), sink.size());
}

} // namespace

TEST_CASE("a buffer keeps everything while it grows") {
    byte_buffer buffer;
    CHECK(buffer.size() == 0);
    CHECK(buffer.bytes().empty());

    std::string expected;
    for (int i = 0; i != 2000; ++i) {
        std::string const word = std::to_string(i);
        buffer.write(word.data(), word.size());
        expected += word;
    }
    CHECK(text_of(buffer) == expected);
    CHECK(buffer.bytes().size() == expected.size());
}

TEST_CASE("one piece can be larger than twice the buffer") {
    byte_buffer buffer;
    buffer.write("ab", 2);
    std::string const large(100'000, 'x');
    buffer.write(large.data(), large.size());
    CHECK(text_of(buffer) == "ab" + large);
}

TEST_CASE("writing nothing is allowed from nowhere") {
    byte_buffer buffer;
    buffer.write(nullptr, 0);
    CHECK(buffer.size() == 0);
}

TEST_CASE("reserve gives place that the caller fills") {
    byte_buffer buffer;
    buffer.write("a", 1);
    std::memcpy(buffer.reserve(3), "bcd", 3);
    buffer.write("e", 1);
    CHECK(text_of(buffer) == "abcde");
}

TEST_CASE("clear keeps the memory") {
    byte_buffer buffer;
    buffer.write("abc", 3);
    auto const* const memory = buffer.data();
    buffer.clear();
    CHECK(buffer.size() == 0);
    buffer.write("de", 2);
    CHECK(buffer.data() == memory);
    CHECK(text_of(buffer) == "de");
}

TEST_CASE("a size that no memory can have is bad_alloc and changes nothing") {
    byte_buffer buffer;
    buffer.write("abc", 3);
    CHECK_THROWS_AS(buffer.reserve(std::numeric_limits<std::size_t>::max()), std::bad_alloc);
    CHECK(text_of(buffer) == "abc");
}

TEST_CASE("moving hands the memory over") {
    byte_buffer first;
    first.write("abc", 3);
    byte_buffer second(std::move(first));
    CHECK(text_of(second) == "abc");
    byte_buffer third;
    third.write("xyz", 3);
    third = std::move(second);
    CHECK(text_of(third) == "abc");
}
