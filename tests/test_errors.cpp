#include <multiprocessing/errors.hpp>

#include "support/catch.hpp"

#include <type_traits>

namespace mp = multiprocessing;

namespace {

template <class Error, class Base>
constexpr bool is_a = std::is_base_of_v<Base, Error> && std::is_convertible_v<Error*, Base*>;

} // namespace

TEST_CASE("Python's exceptions stand on the bases of std") {
    STATIC_REQUIRE(is_a<mp::ValueError, std::invalid_argument>);
    STATIC_REQUIRE(is_a<mp::TypeError, std::logic_error>);
    STATIC_REQUIRE(is_a<mp::AssertionError, std::logic_error>);
    STATIC_REQUIRE(is_a<mp::RuntimeError, std::runtime_error>);
    STATIC_REQUIRE(is_a<mp::NotImplementedError, mp::RuntimeError>);
    STATIC_REQUIRE(is_a<mp::OSError, std::system_error>);
    STATIC_REQUIRE(is_a<mp::EOFError, std::runtime_error>);
    STATIC_REQUIRE(is_a<mp::PicklingError, std::runtime_error>);
    STATIC_REQUIRE(is_a<mp::Empty, std::runtime_error>);
    STATIC_REQUIRE(is_a<mp::Full, std::runtime_error>);
    STATIC_REQUIRE(is_a<mp::BrokenBarrierError, mp::RuntimeError>);
    STATIC_REQUIRE(is_a<mp::MaybeEncodingError, std::runtime_error>);
}

TEST_CASE("errors of the library have a base of their own") {
    STATIC_REQUIRE(is_a<mp::ProcessError, std::runtime_error>);
    STATIC_REQUIRE(is_a<mp::TimeoutError, mp::ProcessError>);
    STATIC_REQUIRE(is_a<mp::BufferTooShort, mp::ProcessError>);
    STATIC_REQUIRE(is_a<mp::AuthenticationError, mp::ProcessError>);
    STATIC_REQUIRE(is_a<mp::OwnerDiedError, mp::ProcessError>);
    STATIC_REQUIRE(is_a<mp::futures::BrokenProcessPool, mp::ProcessError>);
    STATIC_REQUIRE(is_a<mp::WorkerDiedError, mp::futures::BrokenProcessPool>);
    // A result that does not come in time is no error of the system.
    STATIC_REQUIRE_FALSE(is_a<mp::TimeoutError, std::system_error>);
}

TEST_CASE("exceptions can be copied while they fly") {
    STATIC_REQUIRE(std::is_nothrow_copy_constructible_v<mp::BufferTooShort>);
    STATIC_REQUIRE(std::is_nothrow_copy_constructible_v<mp::WorkerDiedError>);
    STATIC_REQUIRE(std::is_nothrow_copy_constructible_v<mp::UnknownRemoteException>);
}

TEST_CASE("an OSError says what was tried and why it failed") {
    mp::OSError const error(std::make_error_code(std::errc::permission_denied), "opening the door");
    CHECK(std::string(error.what()).starts_with("opening the door"));
    CHECK(error.code() == std::errc::permission_denied);
}

TEST_CASE("BufferTooShort carries the whole message") {
    mp::BufferTooShort const error({std::byte{1}, std::byte{2}, std::byte{3}});
    REQUIRE(error.message().size() == 3);
    CHECK(error.message()[2] == std::byte{3});
}

TEST_CASE("MaybeEncodingError names the value and the reason") {
    mp::MaybeEncodingError const error("no way", "Thing");
    CHECK(error.exc() == "no way");
    CHECK(error.value() == "Thing");
    CHECK(std::string(error.what()) == "error sending result: 'Thing'. Reason: 'no way'");
}

TEST_CASE("WorkerDiedError says how the worker ended") {
    mp::WorkerDiedError const killed(77, -9, "SIGKILL", 12, 2);
    CHECK(std::string(killed.what()) == "worker process 77 was ended by SIGKILL while it ran item 12");
    CHECK(killed.pid() == 77);
    CHECK(killed.exitcode() == -9);
    CHECK(killed.signal_name() == "SIGKILL");
    CHECK(killed.task_index() == 12);
    CHECK(killed.attempt() == 2);

    mp::WorkerDiedError const left(5, 3, "", std::nullopt);
    CHECK(std::string(left.what()) == "worker process 5 exited with code 3 while it had work");
    CHECK(left.task_index() == std::nullopt);
    CHECK(left.attempt() == 1);
}

TEST_CASE("an unknown exception of another process tells what is known") {
    mp::RemoteError::Details details;
    details.type_name = "app::Special";
    details.message = "it broke";
    details.causes = {"std::runtime_error: before"};
    details.process_name = "Worker-3";
    details.pid = 99;
    details.task_index = 4;
    try {
        throw mp::UnknownRemoteException(details);
    } catch (std::exception& error) { // not ambiguous
        CHECK(std::string(error.what()) == "app::Special: it broke");
        auto const* const remote = dynamic_cast<mp::RemoteError*>(&error);
        REQUIRE(remote != nullptr);
        CHECK(remote->type_name() == "app::Special");
        CHECK(remote->message() == "it broke");
        CHECK(remote->causes().size() == 1);
        CHECK(remote->process_name() == "Worker-3");
        CHECK(remote->pid() == 99);
        CHECK(remote->task_index() == 4U);
    }
    details.message.clear();
    CHECK(std::string(mp::UnknownRemoteException(details).what()) == "app::Special");
}
