#include <multiprocessing/platform/self.hpp>

#include "platform/child_program.hpp"

#include <thread>

using namespace multiprocessing_test;

namespace {

char const name[] = "MULTIPROCESSING_TEST_VALUE";

// ChildProgram takes its own variable out as well, but this one is looked at by name.
ChildProgram const take("take", [](Arguments const& given) {
    if (platform::current_process_id() == static_cast<platform::process_id>(given.at(0))) return 1;
    if (std::getenv("MULTIPROCESSING_TEST_CHILD") != nullptr) return 2;
    if (platform::take_environment("MULTIPROCESSING_TEST_CHILD")) return 3;
    return 0;
});

// Started by hand, to see what becomes of a value.
struct ReturnValue {
    ReturnValue() {
        auto const value = platform::take_environment(name);
        if (!value) return;
        bool const gone = std::getenv(name) == nullptr && !platform::take_environment(name);
        platform::exit_process(
            !gone ? 1
            : *value == "gr\xc3\xbc\xc3\x9f"
                        "e = \xe2\x82\xac"
                ? 7
                : 2);
    }
} const return_value;

} // namespace

TEST_CASE("processes and threads have numbers") {
    CHECK(platform::current_process_id() > 0);
    CHECK(platform::current_process_id() == platform::current_process_id());
    std::uint64_t other = 0;
    std::thread([&] { other = platform::current_thread_id(); }).join();
    CHECK(other != 0);
    CHECK(other != platform::current_thread_id());
}

TEST_CASE("there are processors") {
    CHECK(platform::cpu_count() >= 1);
    CHECK(platform::process_cpu_count() >= 1);
}

TEST_CASE("the own program can be started, and a variable is taken once") {
    CHECK_FALSE(platform::executable().empty());
    auto child = take.start({static_cast<Number>(platform::current_process_id())});
    CHECK(status_of(child) == 0);
    CHECK_FALSE(platform::take_environment(name));
}

TEST_CASE("a value arrives as it was given, in UTF-8") {
    std::error_code error;
    auto child = platform::start_program(
        {platform::executable(),
         {name,
          "gr\xc3\xbc\xc3\x9f"
          "e = \xe2\x82\xac"},
         {}},
        error);
    REQUIRE_FALSE(error);
    CHECK(status_of(child) == 7);
}
