#pragma once

#include <multiprocessing/detail/process_state.hpp>
#include <multiprocessing/synchronize.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <string>

/// The bodies of synchronize.hpp.
namespace multiprocessing::inline v0 {

namespace detail {

struct semaphore_state {
    semaphore_state(std::uint32_t first, std::uint32_t most) noexcept : value(first), maximum(most), released() {}

    std::atomic<std::uint32_t> value;
    std::uint32_t maximum;
    event_count released;
};

struct event_state {
    // Odd: set. It only grows, so that who waits notices a set that was cleared at once.
    std::atomic<std::uint32_t> changes{0};
    event_count changed{};
};

/// What the last party at a barrier does, of any type.
class barrier_action {
public:
    virtual ~barrier_action() = default;
    virtual void operator()() const = 0;
    /// Throws PicklingError if it cannot travel.
    virtual void save(output_archive& archive) const = 0;
};

/// Makes an action from what its `save` has written behind its own id.
using barrier_action_factory = std::shared_ptr<barrier_action const>(input_archive& archive);

template <class F>
class barrier_action_of final : public barrier_action {
public:
    explicit barrier_action_of(F function) : function_(std::move(function)) {}

    void operator()() const override { function_(); }
    void save(output_archive& archive) const override {
        if constexpr (callable_travels<F>) {
            archive << identify<&make>();
            save_callable(archive, function_);
        } else {
            throw PicklingError(cannot_travel_text);
        }
    }

private:
    static std::shared_ptr<barrier_action const> make(input_archive& archive) {
        return std::make_shared<barrier_action_of>(load_callable<F>(archive));
    }

    F mutable function_;
};

/// The doors of the locks that only this library may use.
struct lock_access {
    template <class LockType>
    static auto const& object(LockType const& lock) noexcept {
        return lock.object_;
    }
    template <class LockType>
    static LockType make(shared_object<robust_lock> object) noexcept {
        return LockType(std::move(object));
    }
};

template <>
struct codec<Lock> : handle_codec<Lock> {};
template <>
struct codec<RLock> : handle_codec<RLock> {};
template <>
struct codec<Semaphore> : handle_codec<Semaphore> {};
template <>
struct codec<Event> : handle_codec<Event> {};

template <>
struct codec<BoundedSemaphore> {
    static constexpr bool saves = true;
    static constexpr bool loads = true;

    static void save(output_archive& archive, BoundedSemaphore const& one) { codec<Semaphore>::save(archive, one); }
    static BoundedSemaphore make(input_archive& archive) { return BoundedSemaphore(codec<Semaphore>::make(archive)); }
    static void load(input_archive& archive, BoundedSemaphore& one) { one = make(archive); }
};

template <>
struct codec<Condition> {
    static constexpr bool saves = true;
    static constexpr bool loads = true;

    static void save(output_archive& archive, Condition const& one) {
        archive << one.lock_ << one.recursive_ << one.waiting_;
    }
    static Condition make(input_archive& archive) {
        auto lock = make_present<Condition::lock_handle>(archive);
        bool const recursive = archive.make<bool>();
        return {std::move(lock), recursive, make_present<Condition::list_handle>(archive)};
    }
    static void load(input_archive& archive, Condition& one) { one = make(archive); }
};

template <>
struct codec<Barrier> {
    static constexpr bool saves = true;
    static constexpr bool loads = true;

    static void save(output_archive& archive, Barrier const& one) {
        archive << (one.action_ != nullptr);
        if (one.action_) one.action_->save(archive);
        archive << one.timeout_ << one.object_; // last, since it counts: the action may throw
    }
    static Barrier make(input_archive& archive) {
        std::shared_ptr<barrier_action const> action;
        if (archive.make<bool>()) action = find_entry<barrier_action_factory>(archive.make<entry_id>())(archive);
        auto const timeout = archive.make<Timeout>();
        return {make_present<Barrier::handle>(archive), std::move(action), timeout};
    }
    static void load(input_archive& archive, Barrier& one) { one = make(archive); }
};

inline platform::deadline deadline_of(bool block, Timeout timeout) noexcept {
    return block ? timeout.deadline() : platform::deadline::min();
}

inline std::string address_text(void const* object) {
    std::array<char, 2 * sizeof(std::uintptr_t)> digits;
    auto const end =
        std::to_chars(digits.data(), digits.data() + digits.size(), reinterpret_cast<std::uintptr_t>(object), 16);
    return "0x" + std::string(digits.data(), end.ptr);
}

/// Python's words for who holds a lock.
inline std::string holder_text(robust_lock const& lock) {
    if (lock.is_mine()) {
        auto const& process = process_state::instance().name;
        return is_main_thread() ? process : process + "|Thread-" + std::to_string(this_thread_number());
    }
    if (!lock.is_locked()) return "None";
    return lock.is_of_this_process() ? "SomeOtherThread" : "SomeOtherProcess";
}

inline std::string lock_text(robust_lock const& lock, bool recursive) {
    if (!recursive) return "<Lock(owner=" + holder_text(lock) + ")>";
    auto const holder = holder_text(lock);
    return "<RLock(" + holder + ", " +
           (lock.is_mine() ? std::to_string(lock.depth()) : std::string(holder == "None" ? "0" : "nonzero")) + ")>";
}

inline bool acquire_lock(robust_lock& lock, bool recursive, platform::deadline until) {
    auto const how = recursive ? lock.lock_again(until) : lock.lock(until);
    if (how == locking::inherited) [[unlikely]]
        lock.give_up_and_throw();
    return how == locking::locked;
}

inline void release_lock(robust_lock& lock, bool recursive) {
    if (recursive) {
        if (!lock.unlock_once()) throw AssertionError("attempt to release recursive lock not owned by thread");
    } else {
        if (!lock.unlock()) throw ValueError("semaphore or lock released too many times");
    }
}

} // namespace detail

// ---- Lock, RLock

inline bool Lock::acquire(bool block, Timeout timeout) const {
    return detail::acquire_lock(*object_, false, detail::deadline_of(block, timeout));
}
inline void Lock::release() const { detail::release_lock(*object_, false); }
inline std::string Lock::to_string() const { return detail::lock_text(*object_, false); }

inline bool RLock::acquire(bool block, Timeout timeout) const {
    return detail::acquire_lock(*object_, true, detail::deadline_of(block, timeout));
}
inline void RLock::release() const { detail::release_lock(*object_, true); }
inline std::string RLock::to_string() const { return detail::lock_text(*object_, true); }

// ---- Semaphore

inline Semaphore::Semaphore(int value, int maximum) {
    if (value < 0) throw ValueError("Semaphore: the value must not be negative, but is " + std::to_string(value));
    object_ = decltype(object_)::make(static_cast<std::uint32_t>(value), static_cast<std::uint32_t>(maximum));
}

inline bool Semaphore::acquire(bool block, Timeout timeout) const {
    auto& state = *object_;
    auto const take = [&] {
        std::uint32_t value = state.value.load(std::memory_order_relaxed);
        while (value != 0) {
            if (state.value.compare_exchange_weak(
                    value, value - 1, std::memory_order_acquire, std::memory_order_relaxed)) {
                return true;
            }
        }
        return false;
    };
    return state.released.await(take, detail::deadline_of(block, timeout));
}

inline void Semaphore::release() const {
    auto& state = *object_;
    std::uint32_t value = state.value.load(std::memory_order_relaxed);
    do {
        if (value >= state.maximum) throw ValueError("semaphore or lock released too many times");
    } while (
        !state.value.compare_exchange_weak(value, value + 1, std::memory_order_release, std::memory_order_relaxed));
    state.released.notify_one();
}

inline int Semaphore::get_value() const noexcept {
    return static_cast<int>(object_->value.load(std::memory_order_relaxed));
}

inline std::string Semaphore::to_string() const {
    auto const value = std::to_string(get_value());
    if (object_->maximum == static_cast<std::uint32_t>(largest_value)) return "<Semaphore(value=" + value + ")>";
    return "<BoundedSemaphore(value=" + value + ", maxvalue=" + std::to_string(object_->maximum) + ")>";
}

// ---- Condition

inline Condition::Condition(RLock const& lock)
    : lock_(detail::lock_access::object(lock)), recursive_(true), waiting_(list_handle::make()) {}
inline Condition::Condition(Lock const& lock)
    : lock_(detail::lock_access::object(lock)), recursive_(false), waiting_(list_handle::make()) {}

inline bool Condition::acquire(bool block, Timeout timeout) const {
    return detail::acquire_lock(*lock_, recursive_, detail::deadline_of(block, timeout));
}
inline void Condition::release() const { detail::release_lock(*lock_, recursive_); }

inline bool Condition::wait(Timeout timeout) const { return wait_until(timeout.deadline()); }

inline bool Condition::wait_until(platform::deadline until) const {
    if (!lock_->is_mine()) throw AssertionError("must acquire() condition before using wait()");
    auto& self = waiting_->enter();
    auto const depth = lock_->depth();
    lock_->depth(0);
    lock_->unlock();
    auto const how = wait_unlocked(self, until);
    lock_->depth(depth);
    bool const notified = self.notified();
    waiting_->leave(self);
    if (how == detail::locking::inherited) throw lock_->owner_died();
    return notified;
}

/// Returns with the lock held.
inline detail::locking Condition::wait_unlocked(detail::wait_list::waiter& self, platform::deadline until) const {
    while (!self.await(until)) {
        if (platform::clock::now() >= until) break;
        // A nap is over. Perhaps somebody was notified, and died.
        auto const how = lock_->lock(platform::deadline::min());
        if (how == detail::locking::inherited) return how;
        if (how == detail::locking::timed_out) continue;
        waiting_->notify(0, *lock_);
        lock_->unlock();
    }
    return lock_->lock();
}

template <class Predicate>
auto Condition::wait_for(Predicate&& predicate, Timeout timeout) const -> std::invoke_result_t<Predicate&> {
    auto const until = timeout.deadline();
    auto result = predicate();
    while (!result && (until == platform::never || platform::clock::now() < until)) {
        wait_until(until);
        result = predicate();
    }
    return result;
}

inline void Condition::notify(std::ptrdiff_t n) const {
    if (!lock_->is_mine()) throw AssertionError("lock is not owned");
    if (n > 0) waiting_->notify(static_cast<std::size_t>(n), *lock_);
}

inline void Condition::notify_all() const { notify(PTRDIFF_MAX); }

inline std::string Condition::to_string() const {
    std::string const lock = detail::lock_text(*lock_, recursive_);
    std::string waiting = "unknown";
    bool const mine = lock_->is_mine();
    // Only a free lock is tried, so that no death is reported here.
    if (mine || (!lock_->is_locked() && lock_->lock(platform::deadline::min()) != detail::locking::timed_out)) {
        waiting = std::to_string(waiting_->size());
        if (!mine) lock_->unlock();
    }
    return "<Condition(" + lock + ", " + waiting + ")>";
}

// ---- Event

inline Event::Event() : object_(decltype(object_)::make()) {}

inline bool Event::is_set() const noexcept { return object_->changes.load(std::memory_order_acquire) % 2 != 0; }

inline void Event::set() const noexcept {
    std::uint32_t changes = object_->changes.load(std::memory_order_relaxed);
    do {
        if (changes % 2 != 0) return;
    } while (!object_->changes.compare_exchange_weak(changes, changes + 1, std::memory_order_release));
    object_->changed.notify_all();
}

inline void Event::clear() const noexcept {
    std::uint32_t changes = object_->changes.load(std::memory_order_relaxed);
    do {
        if (changes % 2 == 0) return;
    } while (!object_->changes.compare_exchange_weak(changes, changes + 1, std::memory_order_release));
}

inline bool Event::wait(Timeout timeout) const {
    auto& state = *object_;
    std::uint32_t const before = state.changes.load(std::memory_order_acquire);
    auto const was_set = [&] {
        std::uint32_t const now = state.changes.load(std::memory_order_acquire);
        return now % 2 != 0 || now != before;
    };
    return state.changed.await(was_set, timeout.deadline());
}

inline std::string Event::to_string() const {
    return "<Event at " + detail::address_text(object_.get()) + (is_set() ? " set>" : " unset>");
}

// ---- Barrier

inline Barrier::Barrier(int parties, Timeout timeout) : object_(make(parties)), timeout_(timeout) {}

template <std::invocable Action>
Barrier::Barrier(int parties, Action action, Timeout timeout)
    : object_(make(parties)), action_(std::make_shared<detail::barrier_action_of<Action>>(std::move(action))),
      timeout_(timeout) {}

inline Barrier::handle Barrier::make(int parties) {
    if (parties < 1)
        throw ValueError("Barrier: the number of parties must be at least 1, but is " + std::to_string(parties));
    auto const count = static_cast<std::uint32_t>(parties);
    return handle::make_with_extra(detail::rendezvous::bytes_behind(count), count);
}

inline int Barrier::wait(Timeout timeout) const {
    auto const until = (timeout.is_infinite() ? timeout_ : timeout).deadline();
    return static_cast<int>(object_->wait(until, action_.get()));
}

inline std::string Barrier::to_string() const {
    std::string text = "<Barrier at " + detail::address_text(object_.get()) + ": ";
    if (broken()) return text + "broken>";
    return text + "waiters=" + std::to_string(n_waiting()) + "/" + std::to_string(parties()) + ">";
}

} // namespace multiprocessing::inline v0
