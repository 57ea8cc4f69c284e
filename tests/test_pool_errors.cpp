// runs per start method
#include <multiprocessing/pool.hpp>

#include "support/catch.hpp"

#include <atomic>
#include <cstddef>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace mp = multiprocessing;

namespace {

int throws_at_three(int x) {
    if (x == 3) throw std::out_of_range("three is too much");
    return x;
}

struct Unregistered : std::runtime_error {
    using std::runtime_error::runtime_error;
};
struct Registered : std::runtime_error {
    using std::runtime_error::runtime_error;
};
[[maybe_unused]] bool const registered = (mp::register_exception<Registered>(), true);

int throws_unregistered(int) { throw Unregistered("mine"); }
int throws_registered(int) { throw Registered("mine as well"); }
int throws_number(int) { throw 42; }
int throws_nested(int) {
    try {
        throw std::length_error("inside");
    } catch (...) {
        std::throw_with_nested(std::runtime_error("outside"));
    }
}

/// Cannot be written, or cannot be read back.
struct Stubborn {
    bool saves = true;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        if (Archive::is_saving::value && !saves) throw std::domain_error("does not like to travel");
        archive& saves;
    }
};
Stubborn make_stubborn(int) { return {false}; }
int take_stubborn(Stubborn const&) { return 1; }

/// Counts its calls, and fails at every tenth item.
struct Count {
    mp::detail::shared_object<std::atomic<int>> counter;
    void operator()(int x) const {
        counter->fetch_add(1);
        if (x % 10 == 0) throw std::runtime_error("ten");
    }
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& counter;
    }
};

/// Ends with an exception after two items.
class Broken {
public:
    class iterator {
    public:
        using value_type = int;
        using difference_type = std::ptrdiff_t;
        int operator*() const { return at_; }
        iterator& operator++() {
            if (++at_ == 2) throw std::underflow_error("the input broke");
            return *this;
        }
        void operator++(int) { ++*this; }
        bool operator==(std::default_sentinel_t) const { return false; }

    private:
        int at_ = 0;
    };
    iterator begin() const { return {}; }
    std::default_sentinel_t end() const { return {}; }
};

} // namespace

TEST_CASE("an exception arrives as its type, with what is known about its origin") {
    mp::Pool pool(2);
    try {
        pool.map(throws_at_three, {1, 2, 3, 4});
        FAIL("no exception");
    } catch (std::out_of_range const& error) {
        CHECK(std::string(error.what()) == "three is too much");
        auto const* const remote = dynamic_cast<mp::RemoteError const*>(&error);
        REQUIRE(remote != nullptr);
        CHECK(remote->type_name() == "std::out_of_range");
        CHECK(remote->process_name().starts_with("PoolWorker-"));
        CHECK(remote->task_index() == 2U);
        CHECK(remote->pid() != mp::current_process().pid());
    }
    CHECK_THROWS_AS(pool.apply(throws_at_three, 3), std::out_of_range);
    CHECK(pool.map(throws_at_three, {1, 2}) == std::vector<int>{1, 2});
}

TEST_CASE("exceptions of the user's types") {
    mp::Pool pool(1);
    CHECK_THROWS_AS(pool.apply(throws_registered, 1), Registered);
    try {
        pool.apply(throws_unregistered, 1);
        FAIL("no exception");
    } catch (mp::UnknownRemoteException const& error) {
        CHECK(error.type_name().find("Unregistered") != std::string::npos);
        CHECK(error.message() == "mine");
    }
    CHECK_THROWS_AS(pool.apply(throws_number, 1), mp::UnknownRemoteException);
    try {
        pool.apply(throws_nested, 1);
        FAIL("no exception");
    } catch (std::runtime_error const& error) {
        auto const& causes = dynamic_cast<mp::RemoteError const&>(error).causes();
        REQUIRE(causes.size() == 1);
        CHECK(causes[0].find("inside") != std::string::npos);
    }
}

TEST_CASE("all items run although one fails") {
    mp::Pool pool(2);
    auto const counter = mp::detail::shared_object<std::atomic<int>>::make(0);
    std::vector<int> items(100);
    for (int i = 0; i < 100; ++i) items[static_cast<std::size_t>(i)] = i;
    CHECK_THROWS_AS(pool.map(Count{counter}, items), std::runtime_error);
    CHECK(*counter == 100);
    CHECK_THROWS_AS(pool.map(Count{counter}, items, {.chunksize = 50}), std::runtime_error);
    CHECK(*counter == 200);
}

TEST_CASE("a result that cannot be written is an error of its item") {
    mp::Pool pool(1);
    try {
        pool.map(make_stubborn, {1});
        FAIL("no exception");
    } catch (mp::MaybeEncodingError const& error) {
        CHECK(error.exc() == "does not like to travel");
        CHECK(error.value().find("Stubborn") != std::string::npos);
    }
    CHECK(pool.map(take_stubborn, {Stubborn{}}) == std::vector<int>{1});
}

TEST_CASE("an item that cannot be written, and an input that breaks, throw in the caller") {
    mp::Pool pool(1);
    CHECK_THROWS_AS(pool.map(take_stubborn, {Stubborn{false}}), std::domain_error);
    CHECK_THROWS_AS(pool.map(throws_at_three, Broken()), std::underflow_error);
    CHECK_THROWS_AS(pool.map(throws_at_three, Broken()), std::underflow_error);
    CHECK(pool.map(throws_at_three, {1}) == std::vector<int>{1});
}
