#include <multiprocessing/platform/memory.hpp>

#include "platform/child_program.hpp"

using namespace multiprocessing_test;

namespace {

constexpr std::size_t size = std::size_t{256} << 20;
constexpr std::size_t far_off = size - (std::size_t{1} << 20);

/// Changes what the parent has written, and commits and writes something itself.
ChildProgram const change("change", [](Arguments const& given) {
    std::error_code error;
    auto const segment = handle_of(given.at(0));
    std::byte* const memory = platform::map_segment(segment, size, error);
    if (error || memory == nullptr) return 1;
    if (memory[0] != std::byte{1}) return 2;
    memory[0] = std::byte{2};
    platform::commit_segment(segment, memory, far_off, 5000, error);
    if (error) return 3;
    memory[far_off + 4999] = std::byte{3};
    return 0;
});

struct Segment {
    platform::native_handle handle;
    std::byte* memory = nullptr;

    Segment() {
        std::error_code error;
        handle = platform::create_segment(size, error);
        REQUIRE_FALSE(error);
        memory = platform::map_segment(handle, size, error);
        REQUIRE_FALSE(error);
        REQUIRE(memory != nullptr);
    }
    ~Segment() {
        platform::unmap_segment(memory, size);
        platform::close(handle);
    }
    Segment(Segment const&) = delete;
    Segment& operator=(Segment const&) = delete;

    void commit(std::size_t offset, std::size_t length) {
        std::error_code error;
        platform::commit_segment(handle, memory, offset, length, error);
        REQUIRE_FALSE(error);
    }
};

} // namespace

TEST_CASE("a page is a power of two") {
    auto const page = platform::page_size();
    CHECK(page >= 4096);
    CHECK((page & (page - 1)) == 0);
}

TEST_CASE("two mappings of a segment show the same memory, which begins with zeros") {
    Segment segment;
    std::error_code error;
    std::byte* const again = platform::map_segment(segment.handle, size, error);
    REQUIRE(again != nullptr);
    CHECK(again != segment.memory);
    segment.commit(0, 10 * platform::page_size());
    CHECK(again[9 * platform::page_size()] == std::byte{0});
    segment.memory[9 * platform::page_size()] = std::byte{5};
    CHECK(again[9 * platform::page_size()] == std::byte{5});
    platform::unmap_segment(again, size);
}

TEST_CASE("a commit keeps what is there") {
    Segment segment;
    segment.commit(0, platform::page_size());
    segment.memory[7] = std::byte{7};
    segment.commit(0, 3 * platform::page_size());
    segment.commit(100, 10); // any range
    CHECK(segment.memory[7] == std::byte{7});
    segment.memory[3 * platform::page_size() - 1] = std::byte{8};
}

TEST_CASE("another process sees the memory, and what it commits is seen here") {
    Segment segment;
    segment.commit(0, 1);
    segment.memory[0] = std::byte{1};
    auto child = change.start({number_of(segment.handle)}, {segment.handle});
    REQUIRE(status_of(child) == 0);
    CHECK(segment.memory[0] == std::byte{2});
    CHECK(segment.memory[far_off + 4999] == std::byte{3}); // committed by the child alone
    segment.commit(far_off, 5000);
    CHECK(segment.memory[far_off + 4999] == std::byte{3});
}

TEST_CASE("memory that was given back can be committed again") {
    Segment segment;
    auto const page = platform::page_size();
    segment.commit(0, 4 * page);
    segment.memory[0] = std::byte{1};
    segment.memory[page] = std::byte{2};
    segment.memory[3 * page] = std::byte{4};
    platform::discard_segment(segment.handle, segment.memory, page / 2, 3 * page); // holds pages 1 and 2 as a whole
    segment.commit(0, 4 * page);
    CHECK(segment.memory[0] == std::byte{1});
    CHECK((segment.memory[page] == std::byte{0} || segment.memory[page] == std::byte{2})); // it may have done nothing
    CHECK(segment.memory[3 * page] == std::byte{4});
    segment.memory[2 * page] = std::byte{9};
}

TEST_CASE("what is no segment cannot be mapped") {
    std::error_code error;
    CHECK(platform::map_segment(platform::invalid_handle, size, error) == nullptr);
    CHECK(error);
}
