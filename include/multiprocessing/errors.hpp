#pragma once

#include <multiprocessing/config.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

/// Python's exceptions on the bases that a C++ programmer expects, so that both worlds can catch.
namespace multiprocessing::inline v0 {

/// A bad value, or an object that is closed. Python: `ValueError`.
class ValueError : public std::invalid_argument {
public:
    using std::invalid_argument::invalid_argument;
};

/// Something of another type than was asked for. Python: `TypeError`.
class TypeError : public std::logic_error {
public:
    using std::logic_error::logic_error;
};

/// A call at the wrong time of an object's life: start twice, join before start. Python:
/// `AssertionError`, but always checked.
class AssertionError : public std::logic_error {
public:
    using std::logic_error::logic_error;
};

/// Python: `RuntimeError`.
class RuntimeError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// What this platform cannot do. Python: `NotImplementedError`.
class NotImplementedError : public RuntimeError {
public:
    using RuntimeError::RuntimeError;
};

/// A refusal of the operating system; `what()` begins with what was tried. Python: `OSError`.
class OSError : public std::system_error {
public:
    using std::system_error::system_error;
};

/// The other end is gone and nothing is left to read. Python: `EOFError`.
class EOFError : public std::runtime_error {
public:
    EOFError() : std::runtime_error("end of file: the other end is closed") {}
    using std::runtime_error::runtime_error;
};

/// Something cannot travel to another process. Python: `pickle.PicklingError`.
class PicklingError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Nothing came in time. Python: `queue.Empty`.
class Empty : public std::runtime_error {
public:
    Empty() : std::runtime_error("Empty: no item came in time") {}
};

/// No place became free in time. Python: `queue.Full`.
class Full : public std::runtime_error {
public:
    Full() : std::runtime_error("Full: no place became free in time") {}
};

/// A barrier was reset, aborted, or lost one of its parties. Python: `threading.BrokenBarrierError`.
class BrokenBarrierError : public RuntimeError {
public:
    BrokenBarrierError() : RuntimeError("the barrier is broken") {}
};

/// Base of the errors of this library. Python: `multiprocessing.ProcessError`.
class ProcessError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// A result or an event did not come in time. Python: `multiprocessing.TimeoutError`.
class TimeoutError : public ProcessError {
public:
    TimeoutError() : ProcessError("timed out") {}
    using ProcessError::ProcessError;
};

/// The buffer of `recv_bytes_into` is smaller than the message. Python: `multiprocessing.BufferTooShort`.
class BufferTooShort : public ProcessError {
public:
    explicit BufferTooShort(std::vector<std::byte> message)
        : ProcessError("the buffer is shorter than the message"),
          message_(std::make_shared<std::vector<std::byte>>(std::move(message))) {}

    /// The whole message; it is consumed, the connection can be used on.
    std::vector<std::byte> const& message() const noexcept { return *message_; }

private:
    std::shared_ptr<std::vector<std::byte> const> message_;
};

/// The two ends of a connection do not share a key. Python: `multiprocessing.AuthenticationError`.
class AuthenticationError : public ProcessError {
public:
    using ProcessError::ProcessError;
};

/// The process that held a lock died with it. Whoever gets this does not hold the lock; the lock is free again.
/// Differs: in Python everybody would wait for ever.
class OwnerDiedError : public ProcessError {
public:
    using ProcessError::ProcessError;
};

/// A result cannot travel back from a worker. Python: `multiprocessing.pool.MaybeEncodingError`.
class MaybeEncodingError : public std::runtime_error {
public:
    MaybeEncodingError(std::string const& exc, std::string const& value)
        : std::runtime_error("error sending result: '" + value + "'. Reason: '" + exc + "'"), exc_(exc), value_(value) {
    }

    /// What the serialisation said.
    std::string const& exc() const noexcept { return exc_; }
    /// The type of the value that could not travel.
    std::string const& value() const noexcept { return value_; }

private:
    std::string exc_;
    std::string value_;
};

namespace futures {

/// The call was given up before its result was there. Python: `concurrent.futures.CancelledError`.
class CancelledError : public std::runtime_error {
public:
    CancelledError() : std::runtime_error("the call was cancelled") {}
};

/// An operation on a future that is not possible in its state. Python: `concurrent.futures.InvalidStateError`.
class InvalidStateError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// An executor cannot do its work. Python: `concurrent.futures.BrokenExecutor`.
class BrokenExecutor : public ProcessError {
public:
    using ProcessError::ProcessError;
};

/// A worker ended although it had work, or could not be initialised.
/// Python: `concurrent.futures.process.BrokenProcessPool`.
class BrokenProcessPool : public BrokenExecutor {
public:
    using BrokenExecutor::BrokenExecutor;
};

/// The initializer of a thread failed. Python: `concurrent.futures.thread.BrokenThreadPool`.
class BrokenThreadPool : public BrokenExecutor {
public:
    using BrokenExecutor::BrokenExecutor;
};

} // namespace futures
using futures::CancelledError;

/// The worker that ran an item was killed, crashed or called exit. It costs exactly this item.
/// Differs: Python's Pool loses the item and waits for ever.
class WorkerDiedError : public futures::BrokenProcessPool {
public:
    WorkerDiedError(
        std::int64_t pid,
        int exitcode,
        std::string signal_name,
        std::optional<std::size_t> task_index,
        unsigned attempt = 1);

    /// The process that died.
    std::int64_t pid() const noexcept { return pid_; }
    /// Its exit code; negative: the number of the signal that ended it.
    int exitcode() const noexcept { return exitcode_; }
    /// "SIGKILL", "SIGSEGV"…; empty if it was not a signal.
    std::string const& signal_name() const noexcept { return *signal_name_; }
    /// The item that it was running: its position in the input.
    std::optional<std::size_t> task_index() const noexcept { return task_index_; }
    /// How often the item had been tried, this time included.
    unsigned attempt() const noexcept { return attempt_; }

private:
    std::int64_t pid_;
    int exitcode_;
    std::shared_ptr<std::string const> signal_name_;
    std::optional<std::size_t> task_index_;
    unsigned attempt_;
};

/// An item ran longer than the call's option `timeout` allows; its worker was ended and replaced.
/// Differs: Python has no such option.
class TaskTimeoutError : public TimeoutError {
public:
    TaskTimeoutError(std::int64_t pid, std::size_t task_index, unsigned attempt = 1)
        : TimeoutError(
              "item " + std::to_string(task_index) + " ran out of its time, and worker process " + std::to_string(pid) +
              " was ended"),
          pid_(pid), task_index_(task_index), attempt_(attempt) {}

    /// The process that ran it.
    std::int64_t pid() const noexcept { return pid_; }
    /// The item's position in the input.
    std::size_t task_index() const noexcept { return task_index_; }
    /// How often the item had been tried, this time included.
    unsigned attempt() const noexcept { return attempt_; }

private:
    std::int64_t pid_;
    std::size_t task_index_;
    unsigned attempt_;
};

/// What is known about an exception that came from another process. Mixed into the exception that is rethrown here:
///
///     catch (std::out_of_range& e) {                    // the type that was thrown in the worker
///         if (auto* remote = dynamic_cast<mp::RemoteError*>(&e)) std::cerr << remote->process_name();
///     }
///
/// It has no std base, so that `catch (std::exception&)` is never ambiguous.
/// Python: the text in `__cause__`.
class RemoteError {
public:
    struct Details {
        std::string type_name;                   ///< the type that was thrown, readable
        std::string message;                     ///< its what(), or empty
        std::vector<std::string> causes;         ///< "type: what" of each nested exception, outermost first
        std::string process_name;                ///< name of the process that threw
        std::int64_t pid = 0;                    ///< its process id
        std::optional<std::uint64_t> task_index; ///< position in the input, if an item of a pool threw
    };

    explicit RemoteError(Details details) : details_(std::make_shared<Details>(std::move(details))) {}
    virtual ~RemoteError() = default;
    RemoteError(RemoteError const&) = default;
    RemoteError& operator=(RemoteError const&) = default;

    std::string const& type_name() const noexcept { return details_->type_name; }
    std::string const& message() const noexcept { return details_->message; }
    std::vector<std::string> const& causes() const noexcept { return details_->causes; }
    std::string const& process_name() const noexcept { return details_->process_name; }
    std::int64_t pid() const noexcept { return details_->pid; }
    std::optional<std::uint64_t> task_index() const noexcept { return details_->task_index; }

private:
    std::shared_ptr<Details const> details_;
};

/// An exception of a type that is not known here; `type_name()` says which. Register the type with
/// `register_exception<E>()` to get it as itself.
class UnknownRemoteException : public std::runtime_error, public RemoteError {
public:
    explicit UnknownRemoteException(Details details)
        : std::runtime_error(details.message.empty() ? details.type_name : details.type_name + ": " + details.message),
          RemoteError(std::move(details)) {}
};

// ---- implementation

inline WorkerDiedError::WorkerDiedError(
    std::int64_t pid, int exitcode, std::string signal_name, std::optional<std::size_t> task_index, unsigned attempt)
    : BrokenProcessPool(
          "worker process " + std::to_string(pid) +
          (signal_name.empty() ? " exited with code " + std::to_string(exitcode) : " was ended by " + signal_name) +
          (task_index ? " while it ran item " + std::to_string(*task_index) : std::string(" while it had work"))),
      pid_(pid), exitcode_(exitcode), signal_name_(std::make_shared<std::string const>(std::move(signal_name))),
      task_index_(task_index), attempt_(attempt) {}

} // namespace multiprocessing::inline v0
