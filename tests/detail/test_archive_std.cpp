#include <multiprocessing/detail/archive.hpp>
#include <multiprocessing/detail/archive_std.hpp>

#include "support/catch.hpp"

#include <bitset>
#include <chrono>
#include <complex>
#include <limits>
#include <numeric>

namespace mp = multiprocessing;
using namespace mp::detail;

namespace {

template <class T>
T round_trip(T const& value) {
    byte_buffer buffer;
    save(buffer, value);
    return load<T>(buffer.bytes());
}

/// Has no content at all.
struct nothing {
    bool operator==(nothing const&) const = default;
    std::string not_sent;
    template <class Archive>
    void serialize(Archive&, unsigned) {}
};

struct no_default {
    int number;
    explicit no_default(int n) : number(n) {}
    bool operator==(no_default const&) const = default;
};

struct constant {
    int const number;
    bool operator==(constant const&) const = default;
};

} // namespace

TEST_CASE("strings") {
    CHECK(round_trip(std::string()) == "");
    CHECK(round_trip(std::string("with\0zero", 9)) == std::string("with\0zero", 9));
    CHECK(round_trip(std::wstring(L"wide")) == L"wide");
    CHECK(round_trip(std::u32string(U"a\u00e4")) == U"a\u00e4");
}

TEST_CASE("views are sent and arrive as what owns") {
    byte_buffer buffer;
    save(buffer, std::string_view("text"));
    CHECK(load<std::string>(buffer.bytes()) == "text");

    buffer.clear();
    std::vector<int> const numbers{1, 2, 3};
    save(buffer, std::span(numbers));
    CHECK(load<std::vector<int>>(buffer.bytes()) == numbers);

    buffer.clear();
    std::vector<std::string> const words{"one", "two"};
    save(buffer, std::span(words));
    CHECK(load<std::vector<std::string>>(buffer.bytes()) == words);
}

TEST_CASE("vectors of bytes, of objects and of bits") {
    std::vector<double> large(10'000);
    std::iota(large.begin(), large.end(), 0.5);
    CHECK(round_trip(large) == large);
    CHECK(round_trip(std::vector<int>()).empty());
    std::vector<std::vector<std::string>> const nested{{"a", "b"}, {}, {"c"}};
    CHECK(round_trip(nested) == nested);
    for (std::size_t size : {0u, 1u, 7u, 8u, 9u, 100u}) {
        std::vector<bool> bits(size);
        for (std::size_t i = 0; i < size; i += 3) bits[i] = true;
        CHECK(round_trip(bits) == bits);
    }
    // A message can begin anywhere.
    byte_buffer buffer;
    save(buffer, 'x');
    save(buffer, large);
    CHECK(load<std::vector<double>>(buffer.bytes().subspan(1)) == large);
}

TEST_CASE("loading into a container replaces what was there") {
    byte_buffer buffer;
    output_archive out(buffer);
    out << std::vector<int>{1} << std::vector<std::string>{"a"} << std::map<int, int>{{1, 2}} << std::optional<int>();
    std::vector<int> numbers{7, 8, 9};
    std::vector<std::string> words{"x", "y"};
    std::map<int, int> map{{7, 7}};
    std::optional<int> optional(5);
    input_archive in(buffer.bytes());
    in >> numbers >> words >> map >> optional;
    CHECK(numbers == std::vector<int>{1});
    CHECK(words == std::vector<std::string>{"a"});
    CHECK(map == std::map<int, int>{{1, 2}});
    CHECK_FALSE(optional);
}

TEST_CASE("arrays, deques, lists") {
    CHECK(round_trip(std::array<int, 3>{1, 2, 3}) == std::array<int, 3>{1, 2, 3});
    CHECK(round_trip(std::array<std::string, 2>{"a", "b"}) == std::array<std::string, 2>{"a", "b"});
    CHECK(round_trip(std::deque<int>{1, 2}) == std::deque<int>{1, 2});
    CHECK(round_trip(std::list<std::string>{"a", "b"}) == std::list<std::string>{"a", "b"});
}

TEST_CASE("sets and maps, ordered and not, with equal keys and without") {
    CHECK(round_trip(std::set<int>{3, 1, 2}) == std::set<int>{1, 2, 3});
    CHECK(round_trip(std::multiset<int>{1, 1}).count(1) == 2);
    CHECK(round_trip(std::unordered_set<std::string>{"a", "b"}) == std::unordered_set<std::string>{"a", "b"});
    CHECK(round_trip(std::unordered_multiset<int>{1, 1}).count(1) == 2);
    std::map<std::string, std::vector<int>> const map{{"a", {1}}, {"b", {}}};
    CHECK(round_trip(map) == map);
    std::multimap<int, int> const multimap{{1, 1}, {1, 2}};
    CHECK(round_trip(multimap) == multimap);
    std::unordered_map<int, std::string> const unordered{{1, "a"}, {2, "b"}};
    CHECK(round_trip(unordered) == unordered);
    CHECK(round_trip(std::unordered_multimap<int, int>{{1, 1}, {1, 2}}).count(1) == 2);
}

TEST_CASE("pairs, tuples, optionals, variants") {
    CHECK(round_trip(std::pair(1, std::string("a"))) == std::pair(1, std::string("a")));
    CHECK(round_trip(std::tuple(1, std::string("a"), 2.5)) == std::tuple(1, std::string("a"), 2.5));
    CHECK(round_trip(std::tuple<>()) == std::tuple<>());
    CHECK(round_trip(std::optional<std::string>("a")) == "a");
    CHECK(round_trip(std::optional<std::string>()) == std::nullopt);
    using choice = std::variant<std::monostate, int, std::string, int>;
    CHECK(round_trip(choice()) == choice());
    CHECK(round_trip(choice("a")) == choice("a"));
    CHECK(round_trip(choice(std::in_place_index<3>, 5)).index() == 3);
}

TEST_CASE("arguments are sent by reference and arrive as values") {
    std::string name = "a";
    int const number = 1;
    byte_buffer buffer;
    save(buffer, std::tie(name, number));
    CHECK(load<std::tuple<std::string, int>>(buffer.bytes()) == std::tuple(name, number));
}

TEST_CASE("times, complex numbers, bits") {
    using namespace std::chrono_literals;
    CHECK(round_trip(1500ms) == 1500ms);
    auto const now = std::chrono::steady_clock::now();
    CHECK(round_trip(now) == now);
    CHECK(round_trip(std::complex(1.0, -2.0)) == std::complex(1.0, -2.0));
    CHECK(round_trip(std::bitset<70>(5)) == std::bitset<70>(5));
    CHECK(round_trip(std::byte{7}) == std::byte{7});
}

TEST_CASE("elements without a default constructor") {
    std::vector<no_default> const vector{no_default(1), no_default(2)};
    CHECK(round_trip(vector) == vector);
    std::map<int, no_default> const map{{1, no_default(2)}};
    CHECK(round_trip(map) == map);
    std::tuple<no_default, std::string> const tuple(no_default(1), "a");
    CHECK(round_trip(tuple) == tuple);
    std::variant<no_default, std::string> const variant(no_default(3));
    CHECK(round_trip(variant) == variant);
    CHECK(round_trip(std::optional(no_default(4)))->number == 4);
    CHECK(load<no_default>(std::as_bytes(std::span(&vector[1], 1))).number == 2);
}

TEST_CASE("elements that cannot be assigned") {
    std::vector<constant> const vector{{1}, {2}};
    CHECK(round_trip(vector) == vector);
    CHECK(round_trip(std::pair(constant{1}, constant{2})).second.number == 2);
}

TEST_CASE("elements without content") {
    CHECK(round_trip(std::vector<nothing>(1000)).size() == 1000);
    CHECK(round_trip(std::list<std::tuple<>>(5)).size() == 5);
    // ...and what follows is not touched
    std::pair const pair(std::vector<nothing>(3), 7);
    CHECK(round_trip(pair) == pair);
}

// ---- what must not be believed

TEST_CASE("a count that the message cannot hold is refused before memory is asked for") {
    byte_buffer buffer;
    save(buffer, std::numeric_limits<std::uint64_t>::max() / 2);
    save(buffer, 0);
    CHECK_THROWS_AS(load<std::string>(buffer.bytes()), mp::ValueError);
    CHECK_THROWS_AS(load<std::u32string>(buffer.bytes()), mp::ValueError);
    CHECK_THROWS_AS(load<std::vector<int>>(buffer.bytes()), mp::ValueError);
    CHECK_THROWS_AS(load<std::vector<bool>>(buffer.bytes()), mp::ValueError);
    CHECK_THROWS_AS(load<std::vector<std::string>>(buffer.bytes()), mp::ValueError);
    CHECK_THROWS_AS(load<std::vector<nothing>>(buffer.bytes()), mp::ValueError);
    CHECK_THROWS_AS((load<std::map<int, int>>(buffer.bytes())), mp::ValueError);
    CHECK_THROWS_AS(load<std::list<int>>(buffer.bytes()), mp::ValueError);
}

TEST_CASE("a count whose size in bytes overflows is refused") {
    byte_buffer buffer;
    save(buffer, std::uint64_t{1} << 62); // times four is zero
    CHECK_THROWS_AS(load<std::vector<int>>(buffer.bytes()), mp::ValueError);
    CHECK_THROWS_AS(load<std::u32string>(buffer.bytes()), mp::ValueError);
}

TEST_CASE("flags and indexes are checked") {
    byte_buffer buffer;
    save(buffer, std::uint32_t{2});
    save(buffer, 0);
    CHECK_THROWS_AS(load<std::optional<int>>(buffer.bytes()), mp::ValueError);
    CHECK_THROWS_AS((load<std::variant<int, float>>(buffer.bytes())), mp::ValueError);
}
