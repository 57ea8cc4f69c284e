#if !__has_include(<catch2/catch_all.hpp>)
#    define CATCH_CONFIG_RUNNER
#    define CATCH_CONFIG_NO_POSIX_SIGNALS // forked children are to die of signals without the framework
#endif
#include <multiprocessing/detail/process_state.hpp>
#include <multiprocessing/spawn.hpp>

#include "support/catch.hpp"
#include "support/leak_check.hpp"

#include <cstdlib>
#include <filesystem>
#include <string>

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
    multiprocessing::freeze_support();
    // What set_start_method does; its header would make every test wait for the whole library to compile.
    if (char const* method = std::getenv("MULTIPROCESSING_TEST_START_METHOD")) {
        multiprocessing::detail::process_state::instance().start_method = multiprocessing::start_method_from(method);
    }
    OwnTemporaryFolder const folder;
    int const failed = Catch::Session().run(argc, argv);
    return failed != 0 ? failed : multiprocessing_test::leaking_test_cases();
}
