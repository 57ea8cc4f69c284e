#include <multiprocessing/detail/archive.hpp>
#include <multiprocessing/detail/archive_filesystem.hpp>

#include "support/catch.hpp"

#include <filesystem>
#include <vector>

using namespace multiprocessing::detail;

TEST_CASE("paths travel") {
    std::vector<std::filesystem::path> const paths{"", "relative/file.txt", "/absolute"};
    byte_buffer buffer;
    save(buffer, paths);
    CHECK(load<std::vector<std::filesystem::path>>(buffer.bytes()) == paths);
}
