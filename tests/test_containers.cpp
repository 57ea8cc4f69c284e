// runs per start method
#include <multiprocessing/containers.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/queues.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace mp = multiprocessing;

using Numbers = mp::shared::vector<int>;
using Lines = mp::shared::deque<std::string>;
using Stock = mp::shared::map<std::string, int>;
using Names = mp::shared::unordered_map<int, std::string>;
using Words = mp::shared::set<std::string>;

namespace {

std::string const long_text(100, 'x');

void run(mp::Process process) {
    process.start();
    process.join();
    REQUIRE(process.exitcode() == 0);
}

void change_all(Numbers numbers, Lines lines, Stock stock, Names names, Words words, mp::shared::string text) {
    numbers.push_back(4);
    lines.push_front("from a child");
    for (int i = 0; i < 1000; ++i) stock.update(std::to_string(i % 100), [](int& count) { ++count; });
    names.insert_or_assign(7, "seven");
    words.insert(long_text);
    text.append(long_text);
}

void count_up(Stock stock) {
    for (int i = 0; i < 500; ++i) stock.update("count", [](int& count) { ++count; });
}

void send_back(mp::Queue<Numbers> queue) {
    Numbers const mine{1, 2};
    queue.put(mine);
    mine.push_back(3);
}

} // namespace

TEST_CASE("a vector") {
    Numbers const numbers{1, 2, 3};
    auto const copy = numbers;
    CHECK(copy == numbers);
    CHECK_FALSE(copy == Numbers{1, 2, 3});
    copy.push_back(4);
    CHECK(numbers.size() == 4);
    CHECK(numbers.at(-1) == 4);
    CHECK(numbers.pop_back() == 4);
    numbers.set(-3, 10);
    numbers.insert(1, 20);
    numbers.insert(4, 30);
    CHECK(numbers.values() == std::vector{10, 20, 2, 3, 30});
    numbers.erase(-2);
    CHECK(numbers.values() == std::vector{10, 20, 2, 30});
    numbers.resize(6);
    CHECK(numbers.at(5) == 0);
    CHECK_THROWS_AS(numbers.at(6), std::out_of_range);
    CHECK_THROWS_AS(numbers.at(-7), std::out_of_range);
    CHECK_THROWS_AS(numbers.insert(7, 1), std::out_of_range);
    CHECK_THROWS_AS(numbers.set(std::numeric_limits<std::ptrdiff_t>::min(), 1), std::out_of_range);
    numbers.clear();
    CHECK(numbers.empty());
    CHECK_THROWS_AS(numbers.pop_back(), std::out_of_range);
    numbers.assign({5, 6});
    CHECK(numbers.values() == std::vector{5, 6});
    numbers.reset();
    CHECK(numbers.empty());
}

TEST_CASE("a deque of texts") {
    Lines const lines(std::vector<std::string>{"b", long_text});
    lines.push_front("a");
    lines.push_back("");
    CHECK(lines.values() == std::vector<std::string>{"a", "b", long_text, ""});
    lines.set(1, long_text + "b");
    CHECK(lines.pop_front() == "a");
    CHECK(lines.pop_front() == long_text + "b");
    CHECK(lines.pop_back().empty());
    CHECK(lines.pop_back() == long_text);
    CHECK_THROWS_AS(lines.pop_front(), std::out_of_range);
    for (int i = 0; i < 1000; ++i) lines.push_front(std::to_string(i));
    CHECK(lines.at(0) == "999");
}

TEST_CASE("a map") {
    Stock const stock{{"pears", 2}, {"apples", 3}};
    CHECK(stock.keys() == std::vector<std::string>{"apples", "pears"});
    CHECK(stock.values() == std::vector{3, 2});
    CHECK_FALSE(stock.insert("pears", 9));
    CHECK_FALSE(stock.insert_or_assign("pears", 8));
    CHECK(stock.insert_or_assign(long_text, 1));
    CHECK(stock.at("pears") == 8);
    CHECK(stock.find("plums") == std::nullopt);
    CHECK(stock.find(long_text) == 1);
    CHECK(stock.get("plums", -1) == -1);
    CHECK_THROWS_AS(stock.at("plums"), std::out_of_range);
    stock.update("plums", [](int& count) { count += 5; });
    CHECK(stock.contains("plums"));
    CHECK(stock.erase("apples"));
    CHECK_FALSE(stock.erase("apples"));
    CHECK(stock.items() == std::vector<std::pair<std::string, int>>{{"pears", 8}, {"plums", 5}, {long_text, 1}});
}

TEST_CASE("an unordered map") {
    Names const names{{1, "one"}};
    for (int i = 0; i < 1000; ++i) names.insert_or_assign(i, std::to_string(i));
    CHECK(names.size() == 1000);
    CHECK(names.at(1) == "1");
    CHECK(names.find(1000) == std::nullopt);
    CHECK(names.get(-1, "none") == "none");
    names.update(5, [](std::string& text) { text += long_text; });
    CHECK(names.at(5) == "5" + long_text);
    for (int i = 1; i < 1000; ++i) REQUIRE(names.erase(i));
    CHECK(names.items() == std::vector<std::pair<int, std::string>>{{0, "0"}});
}

TEST_CASE("a set and a text") {
    Words const words{"b", "a", "b"};
    CHECK(words.values() == std::vector<std::string>{"a", "b"});
    CHECK_FALSE(words.insert("a"));
    CHECK(words.erase("a"));
    CHECK_FALSE(words.erase("a"));
    CHECK(words.contains("b"));

    mp::shared::string const text("short");
    text.append(long_text);
    CHECK(text.value() == "short" + long_text);
    CHECK(text.size() == 105);
    text.value("");
    CHECK(text.empty());
}

TEST_CASE("other processes see and change them") {
    Numbers const numbers{1, 2, 3};
    Lines const lines{"mine"};
    Stock const stock;
    Names const names;
    Words const words;
    mp::shared::string const text("begin ");
    run(mp::Process(change_all, numbers, lines, stock, names, words, text));
    CHECK(numbers.values() == std::vector{1, 2, 3, 4});
    CHECK(lines.values() == std::vector<std::string>{"from a child", "mine"});
    CHECK(stock.size() == 100);
    CHECK(stock.values() == std::vector(100, 10));
    CHECK(names.at(7) == "seven");
    CHECK(words.contains(long_text));
    CHECK(text.value() == "begin " + long_text);
}

TEST_CASE("they travel through queues, and outlive who made them") {
    mp::Queue<Numbers> queue;
    run(mp::Process(send_back, queue));
    auto const theirs = queue.get();
    CHECK(theirs.values() == std::vector{1, 2, 3});
}

TEST_CASE("no update is lost") {
    Stock const stock;
    mp::Process one(count_up, stock);
    mp::Process two(count_up, stock);
    one.start();
    two.start();
    count_up(stock);
    one.join();
    two.join();
    CHECK(stock.at("count") == 1500);
}

TEST_CASE("several steps under one lock, and an exception in the middle of them") {
    Numbers const numbers{3, 1, 2};
    int const last = numbers.with_lock([&](auto& all) {
        all.push_back(7);
        return numbers.at(-1); // the handle may be used in here
    });
    CHECK(last == 7);
    CHECK(numbers.read([](auto const& all) { return all.front(); }) == 3);
    CHECK_THROWS_AS(
        numbers.with_lock([](auto& all) {
            all.push_back(8);
            throw std::runtime_error("enough");
        }),
        std::runtime_error);
    CHECK(numbers.values() == std::vector{3, 1, 2, 7, 8});
    CHECK_THROWS_AS(numbers.reserve(std::numeric_limits<std::size_t>::max() / 8), std::exception);
    CHECK_THROWS_AS(numbers.reserve(std::size_t{1} << 50), std::bad_alloc);
    CHECK(numbers.size() == 5);
}
