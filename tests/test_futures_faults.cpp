// runs per start method
// not on windows
#include <multiprocessing/futures.hpp>
#include <multiprocessing/pool.hpp>

#include "support/catch.hpp"

#include <csignal>
#include <cstddef>
#include <functional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include <sys/resource.h>

namespace mp = multiprocessing;
namespace futures = mp::futures;

// Whatever goes wrong on the way of a call, from the caller to the worker and back, the call ends, and the next one is done.
// CPython: test_deadlock.py.

namespace {

enum class Phase { save_task, load_task, run, save_result, load_result, none };
enum class Fault { error, exit, crash };

struct Planned {
    Phase phase = Phase::none;
    Fault fault = Fault::error;

    void happen_in(Phase now) const {
        if (now != phase) return;
        if (fault == Fault::error) throw std::domain_error("planned");
        if (fault == Fault::exit) throw mp::SystemExit(5); // what mp::exit(5) does in a child
        rlimit const none{0, 0};
        ::setrlimit(RLIMIT_CORE, &none);
        std::signal(SIGSEGV, SIG_DFL);
        std::raise(SIGSEGV);
    }
};

struct Task : Planned {
    std::string payload{};
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& phase& fault& payload;
        happen_in(Archive::is_saving::value ? Phase::save_task : Phase::load_task);
    }
};

struct Result : Planned {
    std::size_t size = 0;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& phase& fault& size;
        happen_in(Archive::is_saving::value ? Phase::save_result : Phase::load_result);
    }
};

Result work(Task const& task) {
    task.happen_in(Phase::run);
    return {{task.phase, task.fault}, task.payload.size()};
}

/// The name of what a call ends with.
std::string end_of(std::function<void()> const& call) {
    try {
        call();
        return "a result";
    } catch (mp::WorkerDiedError const& death) {
        return death.signal_name().empty() ? "exit code " + std::to_string(death.exitcode()) : death.signal_name();
    } catch (mp::MaybeEncodingError const&) {
        return "MaybeEncodingError";
    } catch (mp::SystemExit const& exit) {
        return "SystemExit " + std::to_string(exit.code());
    } catch (std::domain_error const& error) {
        return error.what();
    } catch (std::exception const& error) {
        return std::string("unexpected: ") + error.what();
    }
}

struct Row {
    Phase phase;
    Fault fault;
    char const* end;
};

// Errors and exits of what is done in the caller's process are thrown as they are; a crash there would end the program.
constexpr Row table[] = {
    {Phase::save_task, Fault::error, "planned"},
    {Phase::save_task, Fault::exit, "SystemExit 5"},
    {Phase::load_task, Fault::error, "planned"},
    {Phase::load_task, Fault::exit, "exit code 5"},
    {Phase::load_task, Fault::crash, "SIGSEGV"},
    {Phase::run, Fault::error, "planned"},
    {Phase::run, Fault::exit, "exit code 5"},
    {Phase::run, Fault::crash, "SIGSEGV"},
    {Phase::save_result, Fault::error, "MaybeEncodingError"},
    {Phase::save_result, Fault::exit, "exit code 5"},
    {Phase::save_result, Fault::crash, "SIGSEGV"},
    {Phase::load_result, Fault::error, "planned"},
    {Phase::load_result, Fault::exit, "SystemExit 5"},
};

Task task_of(Row const& row, std::size_t size) { return {{row.phase, row.fault}, std::string(size, 'x')}; }

void check_rows(std::function<Result(Task)> const& call) {
    for (std::size_t const size : {std::size_t{1}, std::size_t{5} << 20}) {
        for (Row const& row : table) {
            CAPTURE(static_cast<int>(row.phase), static_cast<int>(row.fault), size);
            CHECK(end_of([&] { call(task_of(row, size)); }) == row.end);
            CHECK(call(Task{{}, "fine"}).size == 4);
        }
    }
}

} // namespace

TEST_CASE("faults on the way of a call: Pool.map") {
    mp::Pool pool(2);
    check_rows([&](Task task) { return pool.map(work, std::vector<Task>{std::move(task)}).front(); });
}

TEST_CASE("faults on the way of a call: Pool.apply_async") {
    mp::Pool pool(2);
    check_rows([&](Task task) { return pool.apply_async(work, std::move(task)).get(); });
}

TEST_CASE("faults on the way of a call: Pool.imap") {
    mp::Pool pool(2);
    check_rows([&](Task task) {
        std::vector<Task> const tasks{std::move(task)};
        return *pool.imap(work, tasks).next();
    });
}

TEST_CASE("faults on the way of a call: ProcessPoolExecutor.submit") {
    futures::ProcessPoolExecutor executor(2);
    check_rows([&](Task task) { return executor.submit(work, std::move(task)).result(); });
}

TEST_CASE("faults on the way of a call: ProcessPoolExecutor.map") {
    futures::ProcessPoolExecutor executor(2);
    check_rows([&](Task task) {
        std::vector<Task> const tasks{std::move(task)};
        return *executor.map(work, {.chunksize = 2}, tasks).next();
    });
}

TEST_CASE("faults on the way of a call, after shutdown") {
    for (bool const wait : {true, false}) {
        for (Row const& row : table) {
            CAPTURE(static_cast<int>(row.phase), static_cast<int>(row.fault));
            futures::ProcessPoolExecutor executor(2);
            auto const bad = executor.submit(work, task_of(row, 1));
            auto const fine = executor.submit(work, Task{{}, "fine"});
            executor.shutdown(wait);
            CHECK(end_of([&] { bad.result(); }) == row.end);
            CHECK(fine.result().size == 4);
        }
    }
}
