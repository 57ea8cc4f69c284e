#include <multiprocessing/platform/file.hpp>

#include "support/catch.hpp"
#include "support/hidden_case.hpp"

#include <cstdio>
#include <string>

namespace platform = multiprocessing::platform;
using multiprocessing_test::contents_of;

TEST_CASE("a file is written at once, and replaces what was there") {
    std::string const path = multiprocessing_test::temporary_file("file");
    for (char const* const text : {"a long text", "short\n"}) {
        std::error_code error;
        std::FILE* const file = platform::create_file(path, error);
        REQUIRE(file != nullptr);
        CHECK_FALSE(error);
        std::fputs(text, file);
        CHECK(contents_of(path) == text);
        std::fclose(file);
    }
    std::remove(path.c_str());
}

TEST_CASE("a file that cannot be made is an error") {
    std::error_code error;
    CHECK(platform::create_file(multiprocessing_test::temporary_file("none") + "/file", error) == nullptr);
    CHECK(error == std::errc::no_such_file_or_directory);
}
