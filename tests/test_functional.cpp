#include <multiprocessing/functional.hpp>

#include "support/catch.hpp"

#include <memory>
#include <string>
#include <vector>

namespace mp = multiprocessing;
namespace detail = mp::detail;

namespace {

double scale(double factor, double value) { return factor * value; }
std::string join(std::string const& first, std::string const& second, int number) {
    return first + second + std::to_string(number);
}

template <class T>
T travelled(T const& value) {
    detail::byte_buffer buffer;
    {
        detail::output_archive archive(buffer);
        archive << value;
    }
    detail::input_archive archive({buffer.data(), buffer.size()});
    return archive.make<T>();
}

} // namespace

TEST_CASE("partial binds the first arguments") {
    auto const doubled = mp::partial(scale, 2.0);
    CHECK(doubled(21) == 42);
    CHECK(mp::partial(scale, 2.0, 3.0)() == 6);
    CHECK(mp::partial(join, "a", "b")(1) == "ab1");
    CHECK(mp::partial([](int a, int b) { return a - b; }, 10)(3) == 7);
}

TEST_CASE("partial keeps copies: text as std::string") {
    char text[] = "before";
    auto const bound = mp::partial(join, text);
    text[0] = 'x';
    CHECK(bound("-", 1) == "before-1");
}

TEST_CASE("partial of partial") {
    auto const inner = mp::partial(join, std::string("x"));
    auto const outer = mp::partial(inner, std::string("y"));
    CHECK(outer(3) == "xy3");
    CHECK(travelled(outer)(4) == "xy4");
}

TEST_CASE("a bound call travels with its arguments") {
    auto const bound = mp::partial(join, "left ", std::string("right "));
    CHECK(travelled(bound)(9) == "left right 9");
    STATIC_REQUIRE(detail::callable_travels<std::decay_t<decltype(bound)>>);
}

TEST_CASE("a bound call declares the parameters that are left") {
    using bound = decltype(mp::partial(join, "a"));
    using left = detail::declared<bound>::type;
    STATIC_REQUIRE(left::arity == 2);
    STATIC_REQUIRE(std::is_same_v<left::at<0>, std::string const&>);
    STATIC_REQUIRE(std::is_same_v<left::at<1>, int>);
    STATIC_REQUIRE(detail::declared<decltype(mp::partial(scale, 1, 2))>::type::arity == 0);
}

TEST_CASE("by_value lets a lambda travel with what it has captured") {
    int number = 3;
    ++number;
    struct Point {
        int x;
        double y;
    } const point{4, 0.5};
    auto const lambda = mp::by_value([number, point](int x) { return number * x + point.x + point.y; });
    CHECK(lambda(2) == 12.5);
    auto const other = travelled(lambda);
    CHECK(other(2) == 12.5);
    STATIC_REQUIRE(detail::callable_travels<std::decay_t<decltype(lambda)>>);
    STATIC_REQUIRE(detail::declared<decltype(mp::by_value([number](int x) { return number + x; }))>::type::arity == 1);
}

TEST_CASE("by_value may be loaded into an object that exists") {
    auto const make = [](int number) { return mp::by_value([number] { return number; }); };
    auto target = make(1);
    auto const source = make(2);
    detail::byte_buffer buffer;
    detail::output_archive archive(buffer);
    archive << source;
    detail::input_archive input({buffer.data(), buffer.size()});
    input >> target;
    CHECK(target() == 2);
}

TEST_CASE("by_value inside partial") {
    int number = 4;
    ++number;
    auto const bound = mp::partial(mp::by_value([number](int a, int b) { return number + a + b; }), 1);
    CHECK(travelled(bound)(2) == 8);
}
