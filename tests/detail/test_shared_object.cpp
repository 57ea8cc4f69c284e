// runs per start method
#include <multiprocessing/detail/shared_object.hpp>
#include <multiprocessing/process.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"

#include <atomic>
#include <thread>
#include <vector>

namespace mp = multiprocessing;
namespace detail = mp::detail;
using multiprocessing_test::Board;

namespace {

/// Lives in shared memory, so it may hold nothing that belongs to one process.
struct Watched {
    std::atomic<int> value{1};
    static inline std::atomic<std::int64_t>* destroyed = nullptr;

    ~Watched() {
        if (destroyed != nullptr) ++*destroyed;
    }
};

using Handle = detail::shared_object<Watched>;

/// Counts how often a Watched is destroyed in this process.
class Destructions {
public:
    Destructions() { Watched::destroyed = &count_; }
    ~Destructions() { Watched::destroyed = nullptr; }
    std::int64_t operator()() const { return count_; }

private:
    std::atomic<std::int64_t> count_{0};
};

std::vector<std::byte> saved(Handle const& handle) {
    detail::byte_buffer buffer;
    detail::output_archive archive(buffer);
    archive << handle;
    return {buffer.data(), buffer.data() + buffer.size()};
}

Handle loaded(std::vector<std::byte> const& bytes) {
    detail::input_archive archive({bytes.data(), bytes.size()});
    return archive.make<Handle>();
}

void add_ten(Handle handle) { handle->value += 10; }

void wait_then_read(Handle handle, Board board) {
    board.set(1);
    board.await(2);
    board.set(handle->value, 1);
}

} // namespace

TEST_CASE("handles share an object, the last one destroys it") {
    Destructions const destructions;
    {
        Handle const first = Handle::make();
        Handle second = first;
        CHECK(second == first);
        CHECK(second->value == 1);
        second->value = 7;
        CHECK(first->value == 7);
        CHECK(detail::arena::instance().contains(first.get(), sizeof(Watched)));
        second = {};
        CHECK_FALSE(second);
        CHECK(destructions() == 0);
    }
    CHECK(destructions() == 1);
}

TEST_CASE("an empty handle is nothing") {
    Handle const nothing;
    CHECK_FALSE(nothing);
    CHECK(nothing.get() == nullptr);
    CHECK(nothing == Handle());
    CHECK_FALSE(nothing == Handle::make());
}

TEST_CASE("an object may have bytes behind it") {
    auto const handle = Handle::make_with_extra(1000);
    std::fill_n(handle.extra(), 1000, std::byte{5});
    CHECK(handle->value == 1);
    CHECK(detail::arena::instance().contains(handle.extra(), 1000));
    CHECK_THROWS_AS(Handle::make_with_extra(detail::arena::instance().size()), std::bad_alloc);
    CHECK_THROWS_AS(Handle::make_with_extra(~std::size_t{0}), std::bad_alloc);
}

namespace {

struct Throwing {
    explicit Throwing(int number) { throw number; }
};

} // namespace

TEST_CASE("a constructor that throws makes no object") {
    detail::arena& memory = detail::arena::instance();
    CHECK_THROWS_AS(detail::shared_object<Throwing>::make(1), int);
    auto const next = memory.allocate(1);
    memory.deallocate(next, 1);
    CHECK_THROWS_AS(detail::shared_object<Throwing>::make(1), int);
    CHECK(memory.allocate(1) == next);
    memory.deallocate(next, 1);
}

TEST_CASE("a handle that travels is a handle on the same object") {
    Destructions const destructions;
    Handle handle = Handle::make();
    handle->value = 42;
    auto const bytes = saved(handle);
    Handle other = loaded(bytes);
    CHECK(other == handle);
    handle = {};
    CHECK(destructions() == 0);
    CHECK(other->value == 42);
    other = {};
    CHECK(destructions() == 1);
    CHECK_FALSE(loaded(saved(Handle())));
}

TEST_CASE("a damaged handle is refused") {
    auto bytes = saved(Handle::make());
    for (auto const wrong : {detail::arena_offset{7}, ~detail::arena_offset{0}, ~detail::arena_offset{63}}) {
        detail::byte_buffer buffer;
        detail::output_archive archive(buffer);
        archive << wrong << detail::arena::instance().identity();
        bytes.assign(buffer.data(), buffer.data() + buffer.size());
        CHECK_THROWS_WITH(loaded(bytes), "truncated or damaged message");
    }
    CHECK_THROWS(loaded({}));
}

TEST_CASE("a handle from another tree of processes is refused") {
    Handle const handle = Handle::make();
    auto bytes = saved(handle);
    CHECK(loaded(bytes) == handle);
    for (std::size_t i = sizeof(detail::arena_offset); i < bytes.size(); ++i) {
        auto foreign = bytes;
        foreign[i] ^= std::byte{1};
        CHECK_THROWS_WITH(loaded(foreign), Catch::Matchers::Contains("another tree of processes"));
    }
}

TEST_CASE("an empty handle is refused where there has to be an object") {
    detail::byte_buffer buffer;
    detail::output_archive(buffer) << Handle();
    detail::input_archive archive(buffer.bytes());
    CHECK_THROWS_AS(detail::make_present<Handle>(archive), mp::ValueError);
}

TEST_CASE("threads may make, copy and drop handles at the same time") {
    Destructions const destructions;
    Handle const common = Handle::make();
    auto const bytes = saved(common);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int round = 0; round < 500; ++round) {
                Handle const again = loaded(bytes);
                Handle const own = Handle::make();
                Handle const copy = own;
                again->value += copy->value;
            }
        });
    }
    for (auto& thread : threads) thread.join();
    CHECK(common->value == 2001);
    CHECK(destructions() == 2000);
}

TEST_CASE("a child that gets a handle sees the same object") {
    Handle const handle = Handle::make();
    mp::Process process(add_ten, handle);
    process.start();
    process.join();
    REQUIRE(process.exitcode() == 0);
    CHECK(handle->value == 11);
}

TEST_CASE("an object lives while a child has a handle on it") {
    Board const board = Board::make();
    Handle handle = Handle::make();
    handle->value = 5;
    mp::Process process(wait_then_read, handle, board);
    process.start();
    REQUIRE(board.await(1));
    handle = {};
    // Memory that was given back too early would be used again by these.
    std::vector<Handle> others;
    for (int i = 0; i < 50; ++i) others.push_back(Handle::make());
    board.set(2);
    process.join();
    REQUIRE(process.exitcode() == 0);
    CHECK(board.get(1) == 5);
}

TEST_CASE("a child that ended leaves nothing behind") {
    Destructions const destructions;
    Handle handle = Handle::make();
    mp::Process process(add_ten, handle);
    process.start();
    process.join();
    handle = {};
    CHECK(destructions() == 1); // here, since the child had let go
}

TEST_CASE("memory is given back, however many children come and go") {
    Handle const handle = Handle::make();
    auto const round = [&] {
        mp::Process process(add_ten, handle);
        process.start();
        process.join();
        REQUIRE(process.exitcode() == 0);
    };
    round();
    round();
    auto const committed = detail::arena::instance().committed();
    for (int i = 0; i < 10; ++i) round();
    CHECK(detail::arena::instance().committed() == committed);
}
