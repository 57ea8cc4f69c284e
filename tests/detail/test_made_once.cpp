#include <multiprocessing/detail/made_once.hpp>

#include "support/catch.hpp"

#include <atomic>
#include <latch>
#include <stdexcept>
#include <thread>
#include <vector>

#if defined(MULTIPROCESSING_POSIX)
#    include "support/forked.hpp"
#endif

using multiprocessing::detail::made_once;

TEST_CASE("an object is made on first use, once") {
    static constinit made_once<std::vector<int>> object;
    int made = 0;
    auto const make = [&made] {
        ++made;
        return std::vector{1, 2};
    };
    CHECK(made == 0);
    CHECK(object.get(make).size() == 2);
    object.get().push_back(3);
    CHECK(object.get(make).size() == 3);
    CHECK(made == 1);
}

TEST_CASE("what can't be moved can be made once") {
    struct Fixed {
        Fixed() = default;
        Fixed(Fixed const&) = delete;
        Fixed& operator=(Fixed const&) = delete;
        int number = 3;
    };
    static constinit made_once<Fixed> object;
    CHECK(object.get().number == 3);
    CHECK(&object.get() == &object.get());
}

TEST_CASE("threads that come at the same time get the same object, which one of them makes") {
    constexpr int rounds = 200, count = 4;
    static std::vector<made_once<int>> objects(rounds);
    std::atomic<int> made{0}, wrong{0};
    std::latch together(count);
    std::vector<std::thread> threads;
    for (int i = 0; i < count; ++i) {
        threads.emplace_back([&] {
            together.arrive_and_wait();
            for (int round = 0; round < rounds; ++round) {
                int const& number = objects[static_cast<std::size_t>(round)].get([&] {
                    ++made;
                    return round;
                });
                if (number != round) ++wrong;
            }
        });
    }
    for (auto& thread : threads) thread.join();
    CHECK(made == rounds);
    CHECK(wrong == 0);
}

TEST_CASE("an object whose making fails is made by the next one") {
    static constinit made_once<int> object;
    auto const fail = []() -> int { throw std::runtime_error("not today"); };
    CHECK_THROWS_AS(object.get(fail), std::runtime_error);
    CHECK_THROWS_AS(object.get(fail), std::runtime_error);
    CHECK(object.get([] { return 4; }) == 4);
    CHECK(object.get(fail) == 4);
}

#if defined(MULTIPROCESSING_POSIX)

TEST_CASE("a child that is forked while another thread makes an object makes its own") {
    static constinit made_once<int> object;
    std::latch at_it(1), forked(1);
    std::thread maker([&] {
        object.get([&] {
            at_it.count_down();
            forked.wait();
            return 1;
        });
    });
    at_it.wait();
    CHECK(multiprocessing_test::in_child([] {
              return object.get([] { return 2; }) + object.get([] { return 3; });
          }) == 4);
    forked.count_down();
    maker.join();
    CHECK(object.get([] { return 5; }) == 1);
    CHECK(multiprocessing_test::in_child([] { return object.get([] { return 6; }); }) == 1);
}

#endif
