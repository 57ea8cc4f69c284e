#include <multiprocessing/platform/module.hpp>

#include "platform/child_program.hpp"

#include <memory>

using namespace multiprocessing_test;

namespace {

extern int const constant;
int const constant = 4711;

int function() { return 42; }

ChildProgram const find("find", [](Arguments const& given) {
    platform::module_place const place{given.at(0), given.at(1)};
    void const* const found = platform::resolve(place);
    if (found != &constant) return 1;
    auto const own = platform::locate(&constant);
    return own.module == place.module && own.offset == place.offset ? 0 : 2;
});

} // namespace

TEST_CASE("a place in the program is found again") {
    auto const place = platform::locate(&constant);
    CHECK(place.module != 0);
    CHECK(platform::resolve(place) == &constant);

    auto const* const code = reinterpret_cast<void const*>(&function);
    auto const code_place = platform::locate(code);
    CHECK(code_place.module == place.module);
    CHECK(code_place.offset != place.offset);
    CHECK(platform::resolve(code_place) == code);
}

TEST_CASE("a place in a library is found again") {
    // A function of the system: wherever it lies, its place leads back to it.
    auto const* const code = reinterpret_cast<void const*>(&std::puts);
    auto const place = platform::locate(code);
    REQUIRE(place.module != 0);
    CHECK(platform::resolve(place) == code);
}

TEST_CASE("what lies in no module has no place") {
    int local = 0;
    CHECK(platform::locate(&local).module == 0);
    auto const heap = std::make_unique<int>(0);
    CHECK(platform::locate(heap.get()).module == 0);
    CHECK(platform::locate(nullptr).module == 0);
}

TEST_CASE("a place of another program leads nowhere") {
    auto const place = platform::locate(&constant);
    CHECK(platform::resolve({place.module + 1, place.offset}) == nullptr);
    CHECK(platform::resolve({0, place.offset}) == nullptr);
    CHECK(platform::resolve({place.module, std::uint64_t{1} << 40}) == nullptr);
    CHECK(platform::resolve({place.module, ~std::uint64_t{0}}) == nullptr);
}

TEST_CASE("another process of the program finds the place, wherever it was loaded") {
    auto const place = platform::locate(&constant);
    auto child = find.start({place.module, place.offset});
    CHECK(status_of(child) == 0);
}
