// runs per start method
// not on windows
#include <multiprocessing/context.hpp>
#include <multiprocessing/functional.hpp>
#include <multiprocessing/pool.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iterator>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

namespace mp = multiprocessing;
using multiprocessing_test::Board;
using multiprocessing_test::up_to;
using namespace std::chrono_literals;

/// What CPython's tests of pools pin, and no other test here does.
namespace {

int square(int x) { return x * x; }
int same(int x) { return x; }
int fail() { throw std::out_of_range("key"); }
void wait_for_stop(Board board) {
    board.add();
    board.await_stop(1);
}
int wait_and_square(Board board, int x) {
    board.await_stop(0);
    return x * x;
}

/// Knows how many of its kind there are in this process.
struct Counted {
    int number = 0;

    Counted() noexcept { ++alive; }
    explicit Counted(int n) noexcept : number(n) { ++alive; }
    Counted(Counted const& other) noexcept : number(other.number) { ++alive; }
    Counted& operator=(Counted const&) noexcept = default;
    ~Counted() { --alive; }
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& number;
    }

    static inline std::atomic<int> alive = 0;
};
Counted pass_on(Counted const& object) { return object; }
int count_here() { return Counted::alive; }

/// 0, 1, … below `ends_at`, with an exception in the place of `fails_at`.
struct numbers {
    struct iterator {
        using value_type = int;
        using difference_type = std::ptrdiff_t;
        numbers* owner = nullptr;

        int operator*() const { return owner->next; }
        iterator& operator++() {
            if (++owner->next == owner->fails_at) throw std::domain_error("nothing more");
            return *this;
        }
        void operator++(int) { ++*this; }
        bool operator==(std::default_sentinel_t) const { return owner->next == owner->ends_at; }
    };
    iterator begin() {
        if (fails_at == 0) throw std::domain_error("nothing at all");
        return {this};
    }
    std::default_sentinel_t end() const { return {}; }

    int fails_at;
    int ends_at;
    int next = 0;
};

/// This process may open so many more descriptors.
class FewDescriptors {
public:
    explicit FewDescriptors(rlim_t more) {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        int const next = ::dup(0);
        ::close(next);
        rlimit const few{static_cast<rlim_t>(next) + more, before_.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &few);
    }
    ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
    FewDescriptors(FewDescriptors const&) = delete;
    FewDescriptors& operator=(FewDescriptors const&) = delete;

private:
    rlimit before_{};
};

} // namespace

TEST_CASE("an empty map with a chunksize does not wait") {
    mp::Pool pool(2);
    auto const result = pool.map_async(square, std::vector<int>(), {.chunksize = 1});
    CHECK(result.get(50s).empty());
    CHECK(pool.starmap_async(square, std::vector<std::tuple<int>>(), {.chunksize = 1}).get(50s).empty());
    CHECK(pool.imap(square, std::vector<int>(), 1).next() == std::nullopt);
    CHECK(pool.imap_unordered(square, std::vector<int>(), 1).next() == std::nullopt);
}

TEST_CASE("a result that does not come in time, and the pool ends with its task still running") {
    mp::Pool pool(3);
    auto const board = Board::make();
    auto const result = pool.apply_async(wait_for_stop, board);
    REQUIRE(board.await(1));
    CHECK_THROWS_AS(result.get(20ms), mp::TimeoutError);
    pool.terminate();
    pool.join();
    CHECK_THROWS_AS(result.get(), mp::ProcessError);
}

TEST_CASE("an input that throws at once, or within a chunk") {
    mp::Pool pool(2);
    for (int times = 0; times < 2; ++times) {
        numbers at_once{.fails_at = 0, .ends_at = 1};
        auto results = pool.imap(square, at_once, 1);
        CHECK_THROWS_AS(results.next(), std::domain_error);
        numbers again{.fails_at = 0, .ends_at = 1};
        auto unordered = pool.imap_unordered(square, again, 1);
        CHECK_THROWS_AS(unordered.next(), std::domain_error);
    }
    for (std::int64_t const chunksize : {1, 2, 4}) {
        numbers failing{.fails_at = 7, .ends_at = 20};
        auto results = pool.imap(square, failing, chunksize);
        for (int i = 0; i < 7; ++i) CHECK(results.next() == i * i); // Python loses those of the chunk
        CHECK_THROWS_AS(results.next(), std::domain_error);
        CHECK(results.next() == std::nullopt);

        numbers again{.fails_at = 7, .ends_at = 20};
        auto unordered = pool.imap_unordered(square, again, chunksize);
        std::set<int> expected{0, 1, 4, 9, 16, 25, 36};
        for (int i = 0; i < 7; ++i) CHECK(expected.erase(unordered.next().value()) == 1);
        CHECK_THROWS_AS(unordered.next(), std::domain_error);
    }
}

TEST_CASE("results in big chunks, in order and without") {
    mp::Pool pool(4);
    auto results = pool.imap(square, up_to(1000), 100);
    for (int i = 0; i < 1000; ++i) CHECK(results.next() == i * i);
    CHECK(results.next() == std::nullopt);
    std::multiset<int> got;
    for (int const each : pool.imap_unordered(square, up_to(1000), 100)) got.insert(each);
    auto const all = pool.map(square, up_to(1000));
    CHECK(got == std::multiset<int>(all.begin(), all.end()));
}

TEST_CASE("an error callback gets the exception that get throws") {
    mp::Pool pool(2);
    std::exception_ptr told;
    auto const result =
        pool.apply_async(fail, std::tuple(), {}, {.error_callback = [&](std::exception_ptr const& e) { told = e; }});
    CHECK_THROWS_AS(result.get(), std::out_of_range);
    REQUIRE(told != nullptr);
    CHECK_THROWS_AS(std::rethrow_exception(told), std::out_of_range);
}

TEST_CASE("items and results are released, in workers as well") {
    mp::Pool pool(1);
    {
        std::vector<Counted> const objects(10);
        CHECK(pool.map(pass_on, objects).size() == 10);
        auto result = pool.map_async(pass_on, objects);
        result.wait();
        auto results = pool.imap(pass_on, objects);
        CHECK(results.next().has_value()); // the others are left
        static_cast<void>(pool.apply_async(pass_on, objects[0]));
    }
    CHECK(pool.apply(count_here) == 0);
    CHECK(Counted::alive == 0);
}

TEST_CASE("workers are replaced also after close, until everything is done") {
    mp::Pool pool({.processes = 3, .maxtasksperchild = 1});
    auto const board = Board::make();
    std::vector<mp::AsyncResult<int>> results;
    for (int i = 0; i < 6; ++i) results.push_back(pool.apply_async(wait_and_square, board, i));
    pool.close();
    board.set(1);
    pool.join();
    for (int i = 0; i < 6; ++i) CHECK(results[static_cast<std::size_t>(i)].get() == i * i);
}

TEST_CASE("a pool that cannot start all its workers ends those that it has started") {
    {
        mp::Pool first(1); // so that everything is there that later ones share
        first.map(same, {1});
    }
    // The sanitizer of undefined behaviour needs descriptors itself when it sees a type for the first time.
    CHECK_THROWS_AS(mp::Pool({.processes = 1, .trace = "/no/such/folder/trace"}), mp::OSError);
    FewDescriptors const few(12);
    CHECK_THROWS_AS(mp::Pool(20), mp::OSError); // what is left is noticed at the end of the test
}
