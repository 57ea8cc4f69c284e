#pragma once

#include <multiprocessing/detail/callable.hpp>
#include <multiprocessing/detail/deadline.hpp>
#include <multiprocessing/detail/handle_codec.hpp>
#include <multiprocessing/detail/lockable.hpp>
#include <multiprocessing/detail/rendezvous.hpp>
#include <multiprocessing/detail/robust_lock.hpp>
#include <multiprocessing/detail/shared_object.hpp>
#include <multiprocessing/detail/wait_list.hpp>
#include <multiprocessing/errors.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <type_traits>
#include <utility>

/// What processes wait for, and tell each other, without data.
///
/// All of these are handles: a copy means the same lock. They may be static objects, be captured, be arguments of a
/// Process under every start method, and travel through queues and pipes. The functions may be called from any thread
/// of any process that has a handle.
///
/// Differs: in Python they can only be handed over when a process starts. A process that is killed, at whatever
/// instruction, keeps nobody waiting for ever: see each class.
namespace multiprocessing::inline v0 {

namespace detail {

struct lock_access;
struct semaphore_state;
struct event_state;
class barrier_action;

} // namespace detail

/// A lock for several processes. It has no owner: whoever wants to may release it.
///
///     mp::Lock lock;
///     { std::scoped_lock guard(lock); … }            // Python: with lock: …
///
/// Also for std::unique_lock and, for several at once, std::scoped_lock and std::lock.
///
/// Python: `multiprocessing.Lock`.
/// Differs    if the process that acquired it ends without a release, exactly one of those who wait, or try, gets
///            OwnerDiedError, at the latest 100 ms later, and does not hold the lock; it is free then. In Python all of
///            them would wait for ever.
/// Example    examples/20_shared_counter.cpp, 21_bank_accounts.cpp
class Lock : public detail::lockable<Lock> {
public:
    Lock() : object_(detail::shared_object<detail::robust_lock>::make()) {}

    /// Acquires the lock. Blocks until it is free, at most for the timeout.
    ///
    /// Python: `Lock.acquire(block=True, timeout=None)`.
    /// block      false: tries once, whatever the timeout
    /// Returns    whether it was acquired
    /// Throws     OwnerDiedError  the holder died; the lock is free, and not ours
    bool acquire(bool block = true, Timeout timeout = {}) const;

    /// Releases the lock, whoever acquired it. Throws ValueError if nobody has. Does not block.
    ///
    /// Python: `Lock.release()`.
    void release() const;

    /// Whether somebody holds it, at this moment.
    bool locked() const noexcept { return object_->is_locked(); }

    /// Python's repr: <Lock(owner=None)>, MainProcess, MainProcess|Thread-2, SomeOtherThread, SomeOtherProcess
    std::string to_string() const;
    friend std::ostream& operator<<(std::ostream& stream, Lock const& lock) { return stream << lock.to_string(); }

    /// Whether both are the same lock.
    bool operator==(Lock const& other) const noexcept { return object_ == other.object_; }

private:
    friend struct detail::handle_codec<Lock>;
    friend struct detail::lock_access;
    explicit Lock(detail::shared_object<detail::robust_lock> object) noexcept : object_(std::move(object)) {}

    detail::shared_object<detail::robust_lock> object_;
};

/// A lock that belongs to the thread that acquired it; this thread may acquire it again, and releases it as often.
///
/// Python: `multiprocessing.RLock`. Differs as Lock does.
class RLock : public detail::lockable<RLock> {
public:
    RLock() : object_(detail::shared_object<detail::robust_lock>::make()) {}

    /// As Lock::acquire, but does not block if the calling thread holds the lock.
    bool acquire(bool block = true, Timeout timeout = {}) const;

    /// Undoes one acquire. Throws AssertionError unless the calling thread holds the lock; a forked child does not.
    ///
    /// Python: `RLock.release()`.
    void release() const;

    /// Whether somebody holds it, at this moment.
    bool locked() const noexcept { return object_->is_locked(); }

    /// Python's repr: <RLock(None, 0)>, <RLock(MainProcess, 2)>, <RLock(SomeOtherThread, nonzero)>
    std::string to_string() const;
    friend std::ostream& operator<<(std::ostream& stream, RLock const& lock) { return stream << lock.to_string(); }

    bool operator==(RLock const& other) const noexcept { return object_ == other.object_; }

private:
    friend struct detail::handle_codec<RLock>;
    friend struct detail::lock_access;
    explicit RLock(detail::shared_object<detail::robust_lock> object) noexcept : object_(std::move(object)) {}

    detail::shared_object<detail::robust_lock> object_;
};

/// A number that is decremented by acquire, which waits while it is 0, and incremented by release.
///
/// Python: `multiprocessing.Semaphore`.
/// Differs    a negative value is a ValueError, not an OSError. Nobody owns what was acquired, so a process that is killed
///            takes it along; those that wait wait on.
class Semaphore : public detail::lockable<Semaphore> {
public:
    /// Throws ValueError for a negative value.
    explicit Semaphore(int value = 1) : Semaphore(value, largest_value) {}

    /// Decrements the value. Blocks while it is 0, at most for the timeout; block = false tries once.
    ///
    /// Python: `Semaphore.acquire(block=True, timeout=None)`.
    /// Returns    whether it was decremented
    bool acquire(bool block = true, Timeout timeout = {}) const;

    /// Increments the value and lets one of those that wait go on. Throws ValueError above the largest int.
    ///
    /// Python: `Semaphore.release()`.
    void release() const;

    /// The value at this moment.
    int get_value() const noexcept;
    /// Whether acquire would block. Python: `Semaphore.locked()`.
    bool locked() const noexcept { return get_value() == 0; }

    /// Python's repr: <Semaphore(value=1)>
    std::string to_string() const;
    friend std::ostream& operator<<(std::ostream& stream, Semaphore const& one) { return stream << one.to_string(); }

    bool operator==(Semaphore const& other) const noexcept { return object_ == other.object_; }

protected:
    static constexpr int largest_value = 0x7fffffff;

    Semaphore(int value, int maximum);
    explicit Semaphore(detail::shared_object<detail::semaphore_state> object) noexcept : object_(std::move(object)) {}

private:
    friend struct detail::handle_codec<Semaphore>;

    detail::shared_object<detail::semaphore_state> object_;
};

/// A semaphore that never exceeds its initial value: release throws ValueError instead.
///
/// Python: `multiprocessing.BoundedSemaphore`.
class BoundedSemaphore : public Semaphore {
public:
    explicit BoundedSemaphore(int value = 1) : Semaphore(value, value) {}

private:
    friend struct detail::codec<BoundedSemaphore>;
    explicit BoundedSemaphore(Semaphore one) noexcept : Semaphore(std::move(one)) {}
};

/// Processes wait here until another one says that what they wait for may have come true.
///
///     mp::Condition ready;
///     { std::scoped_lock guard(ready); ready.wait_for([&] { return count.value() > 0; }); … }
///     { std::scoped_lock guard(ready); count += 1; ready.notify(); }
///
/// Python: `multiprocessing.Condition`.
/// Differs    the lock is a Lock or an RLock. A notification is for those who wait at that moment, as in Python, but
///            notify neither waits for them nor is stopped by a killed one: what a killed waiter was given goes to another.
///            If wait finds that the holder of the lock died, it throws OwnerDiedError; it holds the lock then, as always
///            when it ends. There are no spurious wake-ups, but for a notification that a killed waiter left behind.
class Condition : public detail::lockable<Condition> {
public:
    /// With an RLock of its own.
    Condition() : Condition(RLock()) {}
    explicit Condition(RLock const& lock);
    explicit Condition(Lock const& lock);

    /// The lock's own.
    bool acquire(bool block = true, Timeout timeout = {}) const;
    void release() const;

    /// Releases the lock, blocks until it is notified, at most for the timeout, and acquires the lock again, as often as
    /// it was.
    ///
    /// Python: `Condition.wait(timeout=None)`.
    /// Returns    whether it was notified
    /// Throws     AssertionError  the calling thread does not hold the lock;
    ///            OwnerDiedError  a process died that held the lock meanwhile; now the caller holds it
    bool wait(Timeout timeout = {}) const;

    /// Waits until `predicate()`, which is called with the lock held, is true. Blocks at most for the timeout.
    ///
    /// Python: `Condition.wait_for(predicate, timeout=None)`.
    /// Returns    what the last call returned
    template <class Predicate>
    auto wait_for(Predicate&& predicate, Timeout timeout = {}) const -> std::invoke_result_t<Predicate&>;

    /// Wakes at most n of those that wait, the first ones first. Does not block. They go on when the caller releases
    /// the lock. Throws AssertionError if the calling thread does not hold it.
    ///
    /// Python: `Condition.notify(n=1)`.
    void notify(std::ptrdiff_t n = 1) const;
    void notify_all() const;

    /// Python's repr: <Condition(<RLock(None, 0)>, 2)>, the number of those that wait, or "unknown" while it is locked
    std::string to_string() const;
    friend std::ostream& operator<<(std::ostream& stream, Condition const& one) { return stream << one.to_string(); }

    bool operator==(Condition const& other) const noexcept { return waiting_ == other.waiting_; }

private:
    friend struct detail::codec<Condition>;
    using lock_handle = detail::shared_object<detail::robust_lock>;
    using list_handle = detail::shared_object<detail::wait_list>;
    Condition(lock_handle lock, bool recursive, list_handle waiting) noexcept
        : lock_(std::move(lock)), recursive_(recursive), waiting_(std::move(waiting)) {}
    bool wait_until(platform::deadline until) const;
    detail::locking wait_unlocked(detail::wait_list::waiter& self, platform::deadline until) const;

    lock_handle lock_;
    bool recursive_;
    list_handle waiting_;
};

/// A flag to wait for.
///
/// Python: `multiprocessing.Event`.
/// Differs    who waits while the event is set and cleared at once gets true; Python returns the flag at the return.
class Event {
public:
    Event();

    bool is_set() const noexcept;
    /// Sets it: all that wait go on. Does not block.
    void set() const noexcept;
    void clear() const noexcept;

    /// Blocks until it is set, at most for the timeout.
    ///
    /// Python: `Event.wait(timeout=None)`.
    /// Returns    whether it is, or was meanwhile, set
    bool wait(Timeout timeout = {}) const;

    /// Python's repr: <Event at 0x7f0012345680 set>
    std::string to_string() const;
    friend std::ostream& operator<<(std::ostream& stream, Event const& event) { return stream << event.to_string(); }

    bool operator==(Event const& other) const noexcept { return object_ == other.object_; }

private:
    friend struct detail::handle_codec<Event>;
    explicit Event(detail::shared_object<detail::event_state> object) noexcept : object_(std::move(object)) {}

    detail::shared_object<detail::event_state> object_;
};

/// A place where a fixed number of parties, processes or threads, wait for each other again and again.
///
/// Python: `multiprocessing.Barrier`.
/// Differs    fewer than one party is a ValueError. If a process is killed while it waits here, the barrier breaks, within
///            100 ms; in Python all wait for ever. While the action runs, the barrier can be used: abort and reset break it.
class Barrier {
public:
    /// parties    how many have to come
    /// action     called without arguments by the last party that arrives, before any goes on. It travels to other
    ///            processes with the barrier, so under spawn it has to be able to; see Process
    /// timeout    for wait() without one
    /// Throws     ValueError  fewer than one party
    explicit Barrier(int parties, Timeout timeout = {});
    template <std::invocable Action>
    Barrier(int parties, Action action, Timeout timeout = {});

    /// Blocks until all parties have called it. If this takes longer than the timeout the barrier breaks.
    ///
    /// Python: `Barrier.wait(timeout=None)`.
    /// timeout    empty: that of the constructor
    /// Returns    the order of arrival, 0 to parties - 1
    /// Throws     BrokenBarrierError  it is broken, or was broken or reset meanwhile; or what the action threw
    int wait(Timeout timeout = {}) const;

    /// Makes the barrier new, also a broken one. Those that wait get BrokenBarrierError. Does not block.
    void reset() const { object_->reset(); }
    /// Breaks the barrier, until it is reset: all that wait or come get BrokenBarrierError. Does not block.
    void abort() const { object_->abort(); }

    int parties() const noexcept { return static_cast<int>(object_->parties()); }
    /// How many wait now.
    int n_waiting() const noexcept { return static_cast<int>(object_->waiting()); }
    bool broken() const noexcept { return object_->broken(); }

    /// Python's repr: <Barrier at 0x7f0012345680: waiters=1/3>, or: broken
    std::string to_string() const;
    friend std::ostream& operator<<(std::ostream& stream, Barrier const& one) { return stream << one.to_string(); }

    bool operator==(Barrier const& other) const noexcept { return object_ == other.object_; }

private:
    friend struct detail::codec<Barrier>;
    using handle = detail::shared_object<detail::rendezvous>;
    Barrier(handle object, std::shared_ptr<detail::barrier_action const> action, Timeout timeout) noexcept
        : object_(std::move(object)), action_(std::move(action)), timeout_(timeout) {}
    static handle make(int parties);

    handle object_;
    std::shared_ptr<detail::barrier_action const> action_;
    Timeout timeout_;
};

} // namespace multiprocessing::inline v0

#include <multiprocessing/detail/synchronize_impl.hpp>
