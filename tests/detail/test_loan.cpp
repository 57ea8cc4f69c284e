#include <multiprocessing/queues.hpp>

#include "support/catch.hpp"

#include <limits>
#include <new>
#include <string>
#include <vector>

namespace mp = multiprocessing;

TEST_CASE("vectors of plain elements are lent, others are not") {
    CHECK(mp::detail::is_lendable<std::vector<double>>);
    CHECK_FALSE(mp::detail::is_lendable<std::vector<bool>>);
    CHECK_FALSE(mp::detail::is_lendable<std::vector<std::string>>);
    CHECK_FALSE(mp::detail::is_lendable<double>);
}

TEST_CASE("a loan and a view of nothing") {
    mp::Queue<std::vector<int>> queue;
    queue.put(queue.loan(0));
    CHECK(queue.get_view().span().empty());
    queue.put({});
    CHECK(queue.get_view().size() == 0);
}

TEST_CASE("more than there is cannot be lent") {
    mp::Queue<std::vector<int>> queue;
    CHECK_THROWS_AS(queue.loan(std::numeric_limits<std::size_t>::max()), std::bad_alloc);
    CHECK_THROWS_AS(queue.loan(std::numeric_limits<std::size_t>::max() / 8), std::bad_alloc);
}

TEST_CASE("a loan that is refused can be put later") {
    mp::Queue<std::vector<int>> queue(1);
    queue.put({1});
    auto loan = queue.loan(1);
    loan[0] = 2;
    CHECK_THROWS_AS(queue.put(std::move(loan), false), mp::Full);
    queue.get();
    queue.put(std::move(loan));
    CHECK(queue.get() == std::vector{2});
}
