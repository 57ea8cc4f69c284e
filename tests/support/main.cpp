#if !__has_include(<catch2/catch_all.hpp>)
#    define CATCH_CONFIG_RUNNER
#endif
#include "support/catch.hpp"
#include "support/leak_check.hpp"

#include <cstdlib>
#include <filesystem>
#include <string>

#if __has_include(<multiprocessing/spawn.hpp>)
#    include <multiprocessing/spawn.hpp>
#endif
#if __has_include(<multiprocessing/context.hpp>)
#    include <multiprocessing/context.hpp>
#endif

namespace {

/// A folder for temporary files that belongs to this process alone: what is left in it was left by us. Its name is short,
/// because the names of sockets are limited to a hundred characters. Windows programs keep the common one.
class OwnTemporaryFolder {
public:
    OwnTemporaryFolder() {
#if !defined(_WIN32)
        std::string name = (std::filesystem::temp_directory_path() / "mptest-XXXXXX").string();
        if (::mkdtemp(name.data()) != nullptr && ::setenv("TMPDIR", name.c_str(), 1) == 0) path_ = name;
#endif
    }
    ~OwnTemporaryFolder() {
        std::error_code ignored;
        if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
    }
    OwnTemporaryFolder(OwnTemporaryFolder const&) = delete;
    OwnTemporaryFolder& operator=(OwnTemporaryFolder const&) = delete;

private:
    std::filesystem::path path_;
};

} // namespace

int main(int argc, char** argv) {
#if __has_include(<multiprocessing/spawn.hpp>)
    multiprocessing::freeze_support();
#endif
#if __has_include(<multiprocessing/context.hpp>)
    if (char const* method = std::getenv("MULTIPROCESSING_TEST_START_METHOD"))
        multiprocessing::set_start_method(method);
#endif
    OwnTemporaryFolder const folder;
    int const failed = Catch::Session().run(argc, argv);
    return failed != 0 ? failed : multiprocessing_test::leaking_test_cases();
}
