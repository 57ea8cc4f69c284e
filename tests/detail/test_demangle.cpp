#include <multiprocessing/detail/demangle.hpp>

#include "support/catch.hpp"

#include <map>
#include <stdexcept>
#include <string>

namespace mp = multiprocessing;
using mp::detail::demangle;
using mp::detail::readable_name;

namespace shapes {
struct Circle {};
} // namespace shapes

namespace multiprocessing::inline v0::detail {
struct here {};
} // namespace multiprocessing::inline v0::detail

TEST_CASE("types have readable names") {
    CHECK(readable_name<int>() == "int");
    CHECK(readable_name<shapes::Circle>() == "shapes::Circle");
    CHECK(readable_name<std::out_of_range>() == "std::out_of_range");
    CHECK(readable_name<std::string>() == "std::string");
    CHECK(readable_name<mp::detail::here>() == "multiprocessing::detail::here");
}

TEST_CASE("strings inside other types are shortened too") {
    auto const name = readable_name<std::map<std::string, std::string>>();
    CHECK(name.rfind("std::map<std::string, std::string,", 0) == 0);
    CHECK(name.find("__cxx11") == std::string::npos);
}

TEST_CASE("what is no mangled name stays as it is") { CHECK(demangle("no type at all") == "no type at all"); }
