#include <multiprocessing/detail/callable.hpp>

#include "support/catch.hpp"

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace detail = multiprocessing::detail;

namespace {

int add(int a, int b) { return a + b; }
std::string greet(std::string const& name) { return "hello " + name; }
std::size_t length(std::string_view text) { return text.size(); }
std::size_t c_length(char const* text) { return std::string(text).size(); }
double sum(std::span<double const> values) {
    double result = 0;
    for (double const value : values) result += value;
    return result;
}
void grow(std::vector<int>& values) { values.push_back(1); }
std::size_t take(std::unique_ptr<int> owned) { return owned ? 1 : 0; }
int quiet(int number) noexcept { return number; }

struct Functor {
    int operator()(int number) const { return number + 1; }
};

struct Scale {
    int factor = 1;
    int operator()(int number) const { return factor * number; }
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& factor;
    }
};

template <class F>
F travelled(F const& callable) {
    detail::byte_buffer buffer;
    {
        detail::output_archive archive(buffer);
        detail::save_callable(archive, callable);
    }
    detail::input_archive archive({buffer.data(), buffer.size()});
    return detail::load_callable<F>(archive);
}

template <class F>
std::size_t bytes_of(F const& callable) {
    detail::byte_buffer buffer;
    detail::output_archive archive(buffer);
    detail::save_callable(archive, callable);
    return buffer.size();
}

/// Keeps the arguments as a Process does, then calls.
template <class F, class... Args>
auto kept_and_called(F callable, Args&&... args) {
    using signature = detail::signature_of<F, Args...>;
    typename signature::kept kept(std::forward<Args>(args)...);
    return signature::call(callable, kept);
}

} // namespace

TEST_CASE("kinds of callables") {
    int captured = 0;
    auto const plain = [](int number) { return number; };
    auto const by_value = [captured] { return captured; };
    auto const by_reference = [&captured] { return captured; };
    STATIC_REQUIRE(detail::is_code<int (*)(int, int)>);
    STATIC_REQUIRE(detail::is_code<decltype(plain)>);
    STATIC_REQUIRE(detail::is_code<Functor>);
    STATIC_REQUIRE_FALSE(detail::is_code<Scale>);
    STATIC_REQUIRE(detail::has_state<Scale>);
    STATIC_REQUIRE(detail::callable_travels<Scale>);
    STATIC_REQUIRE_FALSE(detail::callable_travels<decltype(by_value)>);
    STATIC_REQUIRE_FALSE(detail::callable_travels<decltype(by_reference)>);
    CHECK(by_value() == by_reference());
}

TEST_CASE("a function, a lambda and an empty function object travel without their state") {
    CHECK(travelled(&add)(1, 2) == 3);
    auto const lambda = [](int number) { return number * 10; };
    CHECK(travelled(lambda)(5) == 50);
    CHECK(bytes_of(lambda) == 0);
    CHECK(travelled(Functor())(1) == 2);
    CHECK(bytes_of(Functor()) == 0);
}

TEST_CASE("a function object with serialize travels with its state") { CHECK(travelled(Scale{7})(6) == 42); }

TEST_CASE("a function pointer of another program is refused") {
    detail::byte_buffer buffer;
    detail::output_archive archive(buffer);
    auto place = detail::place_of_code(reinterpret_cast<void const*>(&add));
    place.module ^= 1;
    archive << place;
    detail::input_archive input({buffer.data(), buffer.size()});
    CHECK_THROWS_AS(detail::load_callable<int (*)(int, int)>(input), multiprocessing::PicklingError);
}

TEST_CASE("arguments become what the parameters say") {
    CHECK(kept_and_called(&add, short{1}, 2L) == 3);
    CHECK(kept_and_called(&greet, "bob") == "hello bob");
    CHECK(kept_and_called(&quiet, 'a') == 97);
    STATIC_REQUIRE(std::is_same_v<detail::signature_of<decltype(&greet), char const*>::kept, std::tuple<std::string>>);
    STATIC_REQUIRE(std::is_same_v<detail::signature_of<decltype(&add), short, long>::kept, std::tuple<int, int>>);
}

TEST_CASE("views become owners") {
    STATIC_REQUIRE(std::is_same_v<detail::kept_argument<std::string_view>, std::string>);
    STATIC_REQUIRE(std::is_same_v<detail::kept_argument<std::string_view const&>, std::string>);
    STATIC_REQUIRE(std::is_same_v<detail::kept_argument<char const*>, std::string>);
    STATIC_REQUIRE(std::is_same_v<detail::kept_argument<std::span<double const>>, std::vector<double>>);
    CHECK(kept_and_called(&length, "four") == 4);
    CHECK(kept_and_called(&c_length, std::string("seven!!")) == 7);
    CHECK(kept_and_called(&sum, std::vector<double>{1, 2, 3}) == 6);
}

TEST_CASE("a parameter may be a reference, or be moved into") {
    std::vector<int> mine{1, 2};
    kept_and_called(&grow, mine);
    CHECK(mine.size() == 2); // the target had a copy
    CHECK(kept_and_called(&take, std::make_unique<int>(1)) == 1);
}

TEST_CASE("a generic lambda takes arguments as they are, and text as std::string") {
    auto const generic = [](auto const& value) { return sizeof(value); };
    STATIC_REQUIRE_FALSE(detail::declares_parameters<decltype(generic)>);
    STATIC_REQUIRE(std::is_same_v<detail::guessed_parameter<char const(&)[4]>, std::string>);
    STATIC_REQUIRE(std::is_same_v<detail::guessed_parameter<double const&>, double>);
    CHECK(kept_and_called(generic, "abc") == sizeof(std::string));
    CHECK(kept_and_called(generic, 1.5) == sizeof(double));
}

TEST_CASE("parameters of all kinds of callables are known") {
    auto mutable_lambda = [count = 0](int step) mutable { return count += step; };
    STATIC_REQUIRE(detail::declared<decltype(&quiet)>::type::arity == 1);
    STATIC_REQUIRE(detail::declared<decltype(mutable_lambda)>::type::arity == 1);
    STATIC_REQUIRE(detail::declared<Functor>::type::arity == 1);
    STATIC_REQUIRE(std::is_same_v<detail::declared<Functor>::type::result, int>);
    STATIC_REQUIRE(std::is_same_v<detail::declared<decltype(&greet)>::type::at<0>, std::string const&>);
    CHECK(mutable_lambda(2) == 2);
}
