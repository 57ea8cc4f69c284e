#include <multiprocessing/detail/exception_state.hpp>

#include "support/catch.hpp"

#include <atomic>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace mp = multiprocessing;
using namespace mp::detail;

namespace {

struct only_int {
    explicit only_int(int) {}
    std::string text;
};
template <int>
struct numbered {};
struct with_number {
    int number = 0;
};

template <class E>
E copy_of(E const& exception) {
    byte_buffer buffer;
    output_archive out(buffer);
    REQUIRE(save_state(out, exception));
    input_archive in(buffer.bytes());
    return load_state<E>(in, exception.what());
}

static_assert(rebuildable<std::runtime_error> && rebuildable<std::bad_alloc> && rebuildable<with_number>);
static_assert(!rebuildable<only_int>);

} // namespace

TEST_CASE("the state of the library's own exceptions survives") {
    auto const died = copy_of(mp::WorkerDiedError(7, -9, "SIGKILL", 3, 2));
    CHECK(died.pid() == 7);
    CHECK(died.exitcode() == -9);
    CHECK(died.signal_name() == "SIGKILL");
    CHECK(died.task_index() == 3);
    CHECK(died.attempt() == 2);
    CHECK(copy_of(mp::BufferTooShort({std::byte{1}, std::byte{2}})).message().size() == 2);
    auto const encoding = copy_of(mp::MaybeEncodingError("reason", "type"));
    CHECK(encoding.exc() == "reason");
    CHECK(encoding.value() == "type");
    CHECK(
        copy_of(mp::OSError(5, std::generic_category(), "bind")).code() == std::error_code(5, std::generic_category()));
    CHECK(copy_of(std::system_error(6, std::system_category())).code() == std::error_code(6, std::system_category()));
    CHECK(std::string(copy_of(mp::ValueError("text")).what()) == "text");
}

TEST_CASE("a code of a foreign category cannot be built again") {
    struct : std::error_category {
        char const* name() const noexcept override { return "foreign"; }
        std::string message(int) const override { return "foreign"; }
    } const category;
    byte_buffer buffer;
    output_archive archive(buffer);
    CHECK_FALSE(save_state(archive, std::system_error(1, category)));
}

TEST_CASE("an arrived exception can be caught in both ways") {
    remote<std::out_of_range> const arrived(std::out_of_range("built"), {"std::out_of_range", "thrown", {}, "p", 1, 2});
    CHECK(std::string(arrived.what()) == "thrown");
    std::exception const& as_std = arrived;
    auto const* const as_remote = dynamic_cast<mp::RemoteError const*>(&as_std);
    REQUIRE(as_remote != nullptr);
    CHECK(as_remote->process_name() == "p");

    remote<with_number> const other({5}, {});
    CHECK(other.number == 5);
}

TEST_CASE("types are registered and searched by several threads at once") {
    std::vector<std::thread> threads;
    std::atomic<int> found = 0;
    for (int i = 0; i != 4; ++i)
        threads.emplace_back([&] {
            registered_exceptions::add(registered<numbered<0>>);
            registered_exceptions::add(registered<numbered<1>>);
            found += find_kind([](exception_kind const& kind) { return *kind.type == typeid(numbered<0>); }) != nullptr;
        });
    for (auto& thread : threads) thread.join();
    CHECK(found == 4);
}

TEST_CASE("known types are found by the name of their type, arrived or not") {
    auto const find = [](char const* name) {
        return find_kind([&](exception_kind const& kind) { return kind.is(name); });
    };
    CHECK(find(typeid(std::bad_alloc).name()) == &kind_without_state<std::bad_alloc>);
    CHECK(find(typeid(remote<mp::ValueError>).name()) == &kind_with_text<mp::ValueError>);
    CHECK(find(typeid(with_number).name()) == nullptr);
    registered_exceptions::add(registered<with_number>);
    registered_exceptions::add(registered<with_number>);
    CHECK(find(typeid(with_number).name()) == &kind_of<with_number>);
    CHECK(find(typeid(int).name()) == nullptr); // also: the list has an end
}
