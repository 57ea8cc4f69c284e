#include <multiprocessing/detail/exceptions.hpp>

#include "support/catch.hpp"

#include <any>
#include <exception>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <typeinfo>
#include <utility>
#include <variant>
#include <vector>

namespace mp = multiprocessing;
using namespace mp::detail;

namespace app {

struct quota_error : std::runtime_error {
    using std::runtime_error::runtime_error;
};
/// Registered, with a state of its own and a text that its constructor changes.
struct parse_error : std::runtime_error {
    parse_error() : std::runtime_error("parse error") {}
    explicit parse_error(int at) : std::runtime_error("parse error in line " + std::to_string(at)), line(at) {}
    int line = 0;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& line;
    }
};
/// Registered, rebuilt from its text.
struct tagged_error : std::logic_error {
    explicit tagged_error(std::string const& text) : std::logic_error("tagged: " + text) {}
};
/// Registered, no std::exception.
struct status {
    int code = 0;
};
/// Registered, cannot be saved.
struct unsaveable_error : std::runtime_error {
    unsaveable_error() : std::runtime_error("unsaveable") {}
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& line;
        throw std::runtime_error("no");
    }
    int line = 0;
};
template <class T>
struct generic_error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

bool const registered_before_main = (mp::register_exception<parse_error>(), true);

} // namespace app

namespace {

throw_site const site{"worker-1", 4711, 17};

template <class Exception>
std::exception_ptr thrown(Exception exception) {
    try {
        throw exception;
    } catch (...) {
        return std::current_exception();
    }
}

std::exception_ptr send(std::exception_ptr const& exception, throw_site const& where = site) {
    byte_buffer buffer;
    save_exception(buffer, exception, where);
    return load_exception(buffer.bytes());
}

/// What arrives when `exception` is thrown elsewhere, as E and as RemoteError.
template <class E>
std::pair<E, mp::RemoteError> arrived(std::exception_ptr const& exception) {
    try {
        std::rethrow_exception(send(exception));
    } catch (E const& e) {
        auto const* const remote = dynamic_cast<mp::RemoteError const*>(&e);
        REQUIRE(remote != nullptr);
        return {e, *remote};
    }
}

template <class E>
void check_same_type(E const& exception) {
    INFO(typeid(E).name());
    auto const pointer = send(thrown(exception));
    try {
        std::rethrow_exception(pointer);
    } catch (std::exception const& e) {
        CHECK(typeid(e) == typeid(remote<E>));
        CHECK(dynamic_cast<E const*>(&e) != nullptr);
        CHECK(std::string(e.what()) == exception.what());
        auto const& details = dynamic_cast<mp::RemoteError const&>(e);
        CHECK(details.type_name() == readable_name<E>());
        CHECK(details.message() == exception.what());
    }
}

} // namespace

TEST_CASE("exceptions of the standard library arrive as what they are") {
    check_same_type(std::logic_error("a"));
    check_same_type(std::invalid_argument("a"));
    check_same_type(std::domain_error("a"));
    check_same_type(std::length_error("a"));
    check_same_type(std::out_of_range("a"));
    check_same_type(std::runtime_error(""));
    check_same_type(std::range_error("a"));
    check_same_type(std::overflow_error("a"));
    check_same_type(std::underflow_error("a"));
    check_same_type(std::system_error(std::make_error_code(std::errc::no_space_on_device), "file"));
    check_same_type(std::bad_alloc());
    check_same_type(std::bad_array_new_length());
    check_same_type(std::bad_cast());
    check_same_type(std::bad_typeid());
    check_same_type(std::bad_exception());
    check_same_type(std::bad_function_call());
    check_same_type(std::bad_optional_access());
    check_same_type(std::bad_variant_access());
    check_same_type(std::bad_weak_ptr());
    check_same_type(std::exception());
}

TEST_CASE("exceptions of this library arrive as what they are") {
    check_same_type(mp::ValueError("a"));
    check_same_type(mp::TypeError("a"));
    check_same_type(mp::AssertionError("a"));
    check_same_type(mp::RuntimeError("a"));
    check_same_type(mp::NotImplementedError("a"));
    check_same_type(mp::OSError(std::make_error_code(std::errc::address_in_use), "bind"));
    check_same_type(mp::EOFError());
    check_same_type(mp::PicklingError("a"));
    check_same_type(mp::Empty());
    check_same_type(mp::Full());
    check_same_type(mp::BrokenBarrierError());
    check_same_type(mp::ProcessError("a"));
    check_same_type(mp::TimeoutError());
    check_same_type(mp::BufferTooShort({std::byte{1}}));
    check_same_type(mp::AuthenticationError("a"));
    check_same_type(mp::OwnerDiedError("a"));
    check_same_type(mp::MaybeEncodingError("reason", "value"));
    check_same_type(mp::futures::BrokenProcessPool("a"));
    check_same_type(mp::WorkerDiedError(1, -9, "SIGKILL", {}));
}

TEST_CASE("the error code arrives") {
    auto const [error, remote] =
        arrived<std::system_error>(thrown(std::system_error(5, std::generic_category(), "read")));
    CHECK(error.code() == std::error_code(5, std::generic_category()));
    CHECK(remote.message() == std::system_error(5, std::generic_category(), "read").what());
}

TEST_CASE("an error of the file system arrives as a system_error") {
    std::filesystem::filesystem_error const original("open", "a.txt", std::make_error_code(std::errc::is_a_directory));
    auto const [error, remote] = arrived<std::system_error>(thrown(original));
    CHECK(error.code() == original.code());
    CHECK(remote.type_name() == "std::filesystem::filesystem_error");
    CHECK(remote.message() == original.what());
}

TEST_CASE("where it was thrown is known") {
    auto const remote = arrived<std::out_of_range>(thrown(std::out_of_range("a"))).second;
    CHECK(remote.process_name() == "worker-1");
    CHECK(remote.pid() == 4711);
    CHECK(remote.task_index() == 17);
    CHECK(remote.causes().empty());
}

TEST_CASE("registered types arrive as themselves") {
    mp::register_exception<app::tagged_error>();
    mp::register_exception<app::tagged_error>();
    mp::register_exception<app::status>();

    CHECK(arrived<app::parse_error>(thrown(app::parse_error(7))).first.line == 7);
    check_same_type(app::parse_error(7));
    check_same_type(app::tagged_error("a"));
    try {
        std::rethrow_exception(send(thrown(app::status{5})));
    } catch (app::status const& status) {
        CHECK(status.code == 5);
    }
    try {
        std::rethrow_exception(send(thrown(app::status{5})));
    } catch (mp::RemoteError const& remote) {
        CHECK(remote.type_name() == "app::status");
    }
}

TEST_CASE("other types arrive as unknown, with their name") {
    auto const unknown = [](std::exception_ptr const& exception) {
        return arrived<mp::UnknownRemoteException>(exception).first;
    };
    CHECK(unknown(thrown(app::quota_error("full"))).type_name() == "app::quota_error");
    CHECK(std::string(unknown(thrown(app::quota_error("full"))).what()) == "app::quota_error: full");
    CHECK(unknown(thrown(std::bad_any_cast())).type_name() == "std::bad_any_cast");
    CHECK(std::string(unknown(thrown(42)).what()) == "int: 42");
    CHECK(unknown(thrown(4.5)).type_name() == "double");
    CHECK(std::string(unknown(thrown("text")).what()) == "char const*: text");
    CHECK(std::string(unknown(thrown(std::string("text"))).what()) == "std::string: text");
    CHECK(unknown(thrown(std::vector<int>())).type_name() == readable_name<std::vector<int>>());
    CHECK(unknown(std::exception_ptr()).type_name() == "no exception");
}

TEST_CASE("a state that cannot be saved or loaded makes a type unknown") {
    mp::register_exception<app::unsaveable_error>();
    auto const [error, remote] = arrived<mp::UnknownRemoteException>(thrown(app::unsaveable_error()));
    CHECK(remote.type_name() == "app::unsaveable_error");
    CHECK(remote.message() == "unsaveable");
}

TEST_CASE("nested exceptions are told, and do not change the type") {
    auto const nest = [](auto const& inner, auto const& outer) {
        try {
            try {
                std::rethrow_exception(inner);
            } catch (...) {
                std::throw_with_nested(outer);
            }
        } catch (...) {
            return std::current_exception();
        }
    };
    auto const two = nest(thrown(42), std::out_of_range("middle"));
    auto const three = nest(two, mp::ValueError("outer"));
    auto const [error, remote] = arrived<mp::ValueError>(three);
    CHECK(std::string(error.what()) == "outer");
    CHECK(remote.type_name() == "multiprocessing::ValueError");
    CHECK(remote.causes() == std::vector<std::string>{"std::out_of_range: middle", "int: 42"});
    CHECK(
        describe_exception(three) ==
        "multiprocessing::ValueError: outer\n  caused by std::out_of_range: middle\n  caused by int: 42");

    // registered and unknown types
    CHECK(arrived<app::parse_error>(nest(two, app::parse_error(3))).first.line == 3);
    using generic = app::generic_error<std::vector<int>>;
    CHECK(arrived<mp::UnknownRemoteException>(nest(two, generic("x"))).first.type_name() == readable_name<generic>());

    // the depth is bounded
    std::exception_ptr deep = thrown(1);
    for (int i = 0; i != 100; ++i) deep = nest(deep, std::runtime_error("level"));
    CHECK(arrived<std::runtime_error>(deep).second.causes().size() == 32);

    // one that came from elsewhere brings its causes along
    auto const around = nest(send(three), std::runtime_error("around"));
    CHECK(
        arrived<std::runtime_error>(around).second.causes() ==
        std::vector<std::string>{"multiprocessing::ValueError: outer", "std::out_of_range: middle", "int: 42"});
}

TEST_CASE("an exception that passes a process on its way keeps type and origin") {
    throw_site const middle{"middle", 1, {}};
    auto const check_origin = [](mp::RemoteError const& remote) {
        CHECK(remote.process_name() == "worker-1");
        CHECK(remote.pid() == 4711);
        CHECK(remote.task_index() == 17);
    };
    try {
        std::rethrow_exception(send(send(thrown(std::out_of_range("a"))), middle));
    } catch (std::out_of_range const& e) {
        CHECK(std::string(e.what()) == "a");
        check_origin(dynamic_cast<mp::RemoteError const&>(e));
    }
    try {
        std::rethrow_exception(send(send(thrown(app::quota_error("full"))), middle));
    } catch (mp::UnknownRemoteException const& e) {
        CHECK(std::string(e.what()) == "app::quota_error: full");
        check_origin(e);
    }
}

TEST_CASE("reports name type, text and origin") {
    CHECK(describe_exception(thrown(std::out_of_range("a"))) == "std::out_of_range: a");
    CHECK(describe_exception(thrown(std::runtime_error(""))) == "std::runtime_error");
    CHECK(describe_exception(thrown(4.5)) == "double");
    CHECK(
        describe_exception(send(thrown(std::out_of_range("a")))) ==
        "std::out_of_range: a (in process worker-1, pid 4711, item 17)");
}

TEST_CASE("damaged bytes are a ValueError or some exception, nothing else") {
    byte_buffer buffer;
    save_exception(buffer, thrown(mp::WorkerDiedError(1, -9, "SIGKILL", {})), site);
    std::vector<std::byte> const bytes(buffer.bytes().begin(), buffer.bytes().end());
    for (std::size_t size = 0; size != bytes.size(); ++size)
        CHECK_THROWS_AS(load_exception(std::span(bytes).first(size)), mp::ValueError);
    for (std::size_t i = 0; i != 8 * bytes.size(); ++i) {
        auto damaged = bytes;
        damaged[i / 8] ^= std::byte(1u << i % 8);
        try {
            auto const loaded = load_exception(damaged);
            CHECK(loaded != nullptr);
        } catch (mp::ValueError const&) {
        }
    }
}
