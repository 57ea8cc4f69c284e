#include <multiprocessing/detail/framing.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace mp = multiprocessing;
using namespace mp::detail;

namespace {

std::string header_of(std::uint64_t size) {
    frame_header const header(size);
    return std::string(reinterpret_cast<char const*>(header.bytes().data()), header.bytes().size());
}

/// A stream that gives at most `at_once` bytes at a time.
struct Stream {
    std::string bytes;
    std::size_t at_once = 1000000;
    std::size_t position = 0;

    std::size_t operator()(std::span<std::byte> place) {
        std::size_t const count = std::min({place.size(), at_once, bytes.size() - position});
        std::copy_n(reinterpret_cast<std::byte const*>(bytes.data()) + position, count, place.begin());
        position += count;
        return count;
    }
};

/// Receives one message and says what came: the text, or the error.
std::string receive(Stream& stream, std::size_t* largest_memory = nullptr) {
    std::vector<std::byte> message;
    try {
        std::uint64_t const size = read_frame_header(stream);
        read_frame(
            size,
            [&](std::size_t more) {
                std::size_t const before = message.size();
                message.resize(before + more);
                if (largest_memory != nullptr) *largest_memory = message.size();
                return std::span(message).subspan(before);
            },
            stream);
    } catch (mp::EOFError const&) {
        return "EOFError";
    } catch (mp::OSError const& error) {
        return error.code() == std::errc::message_size ? "bad length" : "end inside";
    }
    return std::string(reinterpret_cast<char const*>(message.data()), message.size());
}

std::string const extended("\xff\xff\xff\xff", 4);

} // namespace

TEST_CASE("headers are CPython's") {
    CHECK(header_of(0) == std::string(4, '\0'));
    CHECK(header_of(5) == std::string("\0\0\0\5", 4));
    CHECK(header_of(0x01020304) == "\1\2\3\4");
    CHECK(header_of(0x7fffffff) == "\x7f\xff\xff\xff");
    CHECK(header_of(0x80000000) == extended + std::string("\0\0\0\0\x80\0\0\0", 8));
    CHECK(header_of(0x0102030405060708) == extended + "\1\2\3\4\5\6\7\10");
}

TEST_CASE("messages arrive whole, however the stream is cut") {
    auto const at_once = GENERATE(std::size_t{1}, std::size_t{3}, std::size_t{1000});
    std::string const large(2'500'000, 'm');
    Stream stream{
        header_of(5) + "hello" + header_of(0) + extended + std::string("\0\0\0\0\0\0\0\2", 8) + "ab", at_once};
    CHECK(receive(stream) == "hello");
    CHECK(receive(stream).empty());
    CHECK(receive(stream) == "ab"); // the long form is allowed for short messages
    CHECK(receive(stream) == "EOFError");
    CHECK(receive(stream) == "EOFError");
    Stream long_stream{header_of(large.size()) + large, at_once * 1000};
    CHECK((receive(long_stream) == large));
}

TEST_CASE("an end at each byte of a message") {
    for (std::string const& frame : {header_of(3) + "abc", extended + std::string("\0\0\0\0\0\0\0\3", 8) + "abc"}) {
        for (std::size_t size = 0; size < frame.size(); ++size) {
            Stream stream{frame.substr(0, size)};
            CHECK(receive(stream) == (size == 0 ? "EOFError" : "end inside"));
        }
    }
}

TEST_CASE("negative sizes are refused") {
    for (char const* size : {"\x80\0\0\0", "\xff\xff\xff\xfe", "\xc0\1\2\3"}) {
        Stream stream{std::string(size, 4) + "abc"};
        CHECK(receive(stream) == "bad length");
    }
}

TEST_CASE("a size is not believed: memory grows with what arrives") {
    for (std::string const& header :
         {header_of(0x7fffffff), extended + std::string(8, '\xff'), header_of(1ull << 40)}) {
        std::size_t memory = 0;
        Stream stream{header + std::string(3'000'000, 'x')};
        CHECK(receive(stream, &memory) == "end inside");
        CHECK(memory <= 8'000'000);
    }
}

TEST_CASE("random bytes end in one of the known ways") {
    std::mt19937 random(20240229);
    for (int round = 0; round < 200; ++round) {
        std::string bytes(random() % 40, '\0');
        for (char& byte : bytes) byte = static_cast<char>(random() % 4 == 0 ? random() : random() % 3);
        Stream stream{bytes};
        std::size_t memory = 0;
        while (stream.position < bytes.size()) {
            std::size_t const before = stream.position;
            receive(stream, &memory);
            REQUIRE(stream.position > before);
        }
        CHECK(memory <= 2'000'000);
    }
}
