// runs per start method
#include <multiprocessing/process.hpp>
#include <multiprocessing/shared_memory.hpp>

#include "support/catch.hpp"
#include "support/sanitizers.hpp"

#if defined(MULTIPROCESSING_POSIX)
#    include "support/forked.hpp"
#endif

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <string>
#include <thread>

namespace mp = multiprocessing;

namespace {

std::error_code code_of(auto&& action) {
    try {
        action();
    } catch (mp::OSError const& error) {
        return error.code();
    }
    return {};
}

void write_by_name(std::string const& name) { mp::SharedMemory::attach(name).buf()[1] = std::byte{42}; }
void write_to(mp::SharedMemory block) { block.buf()[2] = std::byte{43}; }
#if !defined(_WIN32)
void leave_behind(std::string const& name) { mp::SharedMemory::create(10, name); }
#endif

} // namespace

TEST_CASE("a named block is seen by everybody who attaches") {
    auto const name = mp::SharedMemory::new_name();
    auto mine = mp::SharedMemory::create(512, name);
    CHECK(mine.name() == name);
    CHECK(mine.size() >= 512);
    CHECK(mine.buf().size() == mine.size());
    CHECK(std::all_of(mine.buf().begin(), mine.buf().end(), [](std::byte b) { return b == std::byte{0}; }));
    CHECK(mine.to_string() == "SharedMemory('" + name + "', size=" + std::to_string(mine.size()) + ")");
    mine.buf()[0] = std::byte{7};
    auto theirs = mp::SharedMemory::attach(name);
    CHECK(theirs.size() == mine.size());
    CHECK(theirs.buf()[0] == std::byte{7});
    theirs.buf()[511] = std::byte{8};
    CHECK(mine.buf()[511] == std::byte{8});
    CHECK(code_of([&] { mp::SharedMemory::create(10, name); }) == std::errc::file_exists);
    theirs.close();
    theirs.close();
    CHECK(theirs.buf().empty());
    CHECK(mine.buf()[0] == std::byte{7});
    auto const copy = mine;
    mine.close();
    CHECK(copy.buf()[0] == std::byte{7});
    copy.unlink();
}

#if !defined(_WIN32) // there a name ends with the last handle
TEST_CASE("a name is removed once") {
    auto const name = mp::SharedMemory::new_name();
    auto const block = mp::SharedMemory::create(64, name, {.reserve = false});
    block.unlink();
    CHECK(code_of([&] { block.unlink(); }) == std::errc::no_such_file_or_directory);
    CHECK(code_of([&] { mp::SharedMemory::unlink(name); }) == std::errc::no_such_file_or_directory);
    CHECK(code_of([&] { mp::SharedMemory::attach(name); }) == std::errc::no_such_file_or_directory);
    block.buf()[63] = std::byte{1}; // who has it keeps it
    auto const again = mp::SharedMemory::create(64, name);
    CHECK(again.buf()[63] == std::byte{0});
    again.unlink();
}

TEST_CASE("a block whose creator ends normally leaves no name") {
    auto const name = mp::SharedMemory::new_name();
    mp::Process process(leave_behind, name);
    process.start();
    process.join();
    REQUIRE(process.exitcode() == 0);
    CHECK(code_of([&] { mp::SharedMemory::attach(name); }) == std::errc::no_such_file_or_directory);
}

TEST_CASE("a block that does not fit is an error, and leaves no name") {
    auto const name = mp::SharedMemory::new_name();
    CHECK(code_of([&] { mp::SharedMemory::create(std::int64_t{1} << 50, name); }) != std::error_code());
    CHECK(code_of([&] { mp::SharedMemory::attach(name); }) == std::errc::no_such_file_or_directory);
}
#endif

TEST_CASE("wrong arguments are refused") {
    CHECK_THROWS_AS(mp::SharedMemory::create(0), mp::ValueError);
    CHECK_THROWS_AS(mp::SharedMemory::create(-1, "name"), mp::ValueError);
    CHECK_THROWS_AS(mp::SharedMemory::create(1, std::string("a\0b", 3)), mp::ValueError);
    CHECK_THROWS_AS(mp::SharedMemory::attach(std::string("a\0b", 3)), mp::ValueError);
    CHECK_THROWS_AS(mp::SharedMemory::unlink(std::string("a\0b", 3)), mp::ValueError);
    CHECK_THROWS_AS(mp::SharedMemory::attach(""), mp::ValueError);
    CHECK_THROWS_AS(mp::SharedMemory::create(std::int64_t{1} << 60), std::bad_alloc);
#if !defined(_WIN32)
    CHECK(code_of([] { mp::SharedMemory::create(1, "a/b"); }) == std::errc::invalid_argument);
#endif
}

TEST_CASE("names that are made up differ") {
    auto const one = mp::SharedMemory::new_name();
    CHECK(one.starts_with(mp::platform::made_up_prefix));
    CHECK(one.size() <= 14);
    CHECK(one != mp::SharedMemory::new_name());
}

TEST_CASE("children see named blocks, and blocks without a name") {
    auto const name = mp::SharedMemory::new_name();
    auto const named = mp::SharedMemory::create(16, name);
    auto const anonymous = mp::SharedMemory::create(16);
    CHECK(anonymous.name().empty());
    mp::Process by_name(write_by_name, name);
    mp::Process by_object(write_to, named);
    mp::Process without(write_to, anonymous);
    for (auto* const process : {&by_name, &by_object, &without}) process->start();
    for (auto* const process : {&by_name, &by_object, &without}) {
        process->join();
        CHECK(process->exitcode() == 0);
    }
    CHECK(named.buf()[1] == std::byte{42});
    CHECK(named.buf()[2] == std::byte{43});
    CHECK(anonymous.buf()[2] == std::byte{43});
    anonymous.unlink(); // nothing to do
    named.unlink();
}

TEST_CASE("a block that was used before begins with zeros") {
    for (int i = 0; i < 2; ++i) {
        auto const block = mp::SharedMemory::create(100);
        CHECK(std::all_of(block.buf().begin(), block.buf().end(), [](std::byte b) { return b == std::byte{0}; }));
        std::fill(block.buf().begin(), block.buf().end(), std::byte{0xff});
    }
}

#if !defined(_WIN32)
TEST_CASE("a message with the name of a block that is gone says so") {
    auto const name = mp::SharedMemory::new_name();
    mp::detail::byte_buffer message;
    {
        auto const block = mp::SharedMemory::create(10, name);
        mp::detail::save(message, block);
        auto const loaded = mp::detail::load<mp::SharedMemory>({message.data(), message.size()});
        block.buf()[3] = std::byte{5};
        CHECK(loaded.buf()[3] == std::byte{5});
        block.unlink();
    }
    CHECK(code_of([&] {
              mp::detail::load<mp::SharedMemory>({message.data(), message.size()});
          }) == std::errc::no_such_file_or_directory);
}
#endif

#if defined(MULTIPROCESSING_POSIX)

TEST_CASE("a child can use blocks, although another thread was making some when it was forked") {
    auto const use_one = [] {
        auto block = mp::SharedMemory::create(10, mp::SharedMemory::new_name());
        block.close();
        block.unlink();
    };
    std::atomic<bool> stop{false};
    std::thread other([&] {
        while (!stop.load()) use_one();
    });
    int wrong = 0;
    int const count = multiprocessing_test::with_sanitizer ? 50 : 600;
    for (int i = 0; i < count; ++i) {
        wrong += multiprocessing_test::in_child([&] {
            use_one();
            return 0;
        });
    }
    stop.store(true);
    other.join();
    CHECK(wrong == 0);
}

#endif
