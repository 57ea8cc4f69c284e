#pragma once

#include <multiprocessing/detail/deadline.hpp>
#include <multiprocessing/detail/handle_codec.hpp>
#include <multiprocessing/detail/loan.hpp>
#include <multiprocessing/detail/message.hpp>
#include <multiprocessing/detail/message_queue.hpp>
#include <multiprocessing/detail/shared_object.hpp>
#include <multiprocessing/detail/waiting.hpp>
#include <multiprocessing/errors.hpp>

#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

namespace multiprocessing::inline v0 {

template <class T>
class QueueIterator;

namespace detail {

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

} // namespace detail

/// A queue between processes, first in first out, for any number of producers and consumers.
///
///     mp::Queue<std::string> queue;
///     mp::Process p([](mp::Queue<std::string> q) { q.put("hello"); }, queue);
///     p.start();
///     std::string text = queue.get();
///
/// A Queue is a handle: copies share, children get it as an argument or by capture, and it may itself travel through
/// queues and pipes of related processes. Items of one producer arrive in the order in which they were put. T is
/// anything that travels: numbers, strings, containers, types with `serialize`, std::optional and std::variant, locks,
/// queues.
///
/// Python: `multiprocessing.Queue`. Differs: there is no feeder thread. When put() returns, the item is in shared
/// memory; what cannot be serialised throws in put(), and a process that has put a lot can be joined before anybody has
/// read it. A process that is killed in the middle of a call costs at most its own item and blocks nobody. A queue
/// keeps the memory of its fullest moment for as long as it exists.
///
/// Safe from  any thread and any related process
/// Example    examples/30_producer_consumer.cpp, examples/31_pipeline.cpp
template <class T>
class Queue {
public:
    using value_type = T;

    /// An empty queue.
    ///
    /// Python: `Queue(maxsize=0)`.
    /// maxsize    how many items it holds at most; 0 or less: any number. Above 16384 it is kept to roughly: producers
    ///            that put at the same moment may exceed it by an item each.
    /// Throws     std::bad_alloc
    explicit Queue(std::ptrdiff_t maxsize = 0) : Queue(maxsize, false) {}

    /// Puts a copy of the item. Blocks while the queue is full; see the timeout.
    ///
    /// Python: `Queue.put(obj, block=True, timeout=None)`.
    /// item       left as it is
    /// block      false: do not wait, whatever the timeout
    /// timeout    how long to wait at most; empty: for ever
    /// Throws     Full  no place became free in time; ValueError  this process has closed the queue; PicklingError  the
    ///            item cannot travel; std::bad_alloc  no shared memory is left. The queue is unchanged then.
    void put(T const& item, bool block = true, Timeout timeout = {});
    void put_nowait(T const& item) { put(item, false); }
    /// The same without an exception when it is full. Returns whether the item was put. Not in Python.
    bool try_put(T const& item, Timeout timeout = std::chrono::seconds(0));

    /// Takes the next item out. Blocks while there is none; see the timeout.
    ///
    /// Python: `Queue.get(block=True, timeout=None)`.
    /// block      false: do not wait, whatever the timeout
    /// timeout    how long to wait at most; empty: for ever
    /// Throws     Empty  nothing came in time; ValueError  this process has closed the queue; and what the type of the
    ///            item throws when it is loaded, in which case the item is lost
    T get(bool block = true, Timeout timeout = {});
    T get_nowait() { return get(false); }
    /// The same without an exception when there is nothing. Not in Python.
    std::optional<T> try_get(Timeout timeout = std::chrono::seconds(0));

    /// Memory for a vector of `count` elements that is to be put; for T = std::vector<E> whose elements are plain
    /// bytes. Filling it in place and putting it costs the same for any size. Not in Python.
    /// Throws     std::bad_alloc
    Loan<detail::loan_element<T>> loan(std::size_t count)
        requires detail::is_lendable<T>
    {
        using result = Loan<detail::loan_element<T>>;
        return result(typename result::of_queue{}, count);
    }
    void put(Loan<detail::loan_element<T>>&& loan, bool block = true, Timeout timeout = {})
        requires detail::is_lendable<T>;
    /// Takes the next vector out and leaves its elements where they are. Waits and throws as get() does. Not in Python.
    View<detail::loan_element<T>> get_view(bool block = true, Timeout timeout = {})
        requires detail::is_lendable<T>;

    /// How many items are in the queue: exact while nobody puts or takes.
    std::size_t qsize() const noexcept { return object_->size(); }
    /// Throws OSError if this process has put something and closed the queue, as Python does.
    bool empty() const;
    bool full() const noexcept { return object_->full(); }

    /// Says that this process is done with the queue: put and get throw ValueError from now on. Others are not
    /// concerned, and what has been put stays. Copies of the handle are closed as well.
    void close() noexcept { local_->closed.store(true, std::memory_order_relaxed); }
    bool closed() const noexcept { return local_->closed.load(std::memory_order_relaxed); }

    /// Python waits here until its feeder thread has written everything; there is nothing to wait for.
    /// Throws     AssertionError  the queue is not closed
    void join_thread();
    void cancel_join_thread() noexcept {}

    /// The items of a Queue<std::optional<V>> up to the next std::nullopt, which is taken out as well:
    ///     for (std::string& line : lines) …
    /// A producer puts one std::nullopt for each consumer. Python: `iter(queue.get, None)`.
    auto begin()
        requires detail::is_optional<T>
    {
        return QueueIterator<T>(*this);
    }
    std::default_sentinel_t end()
        requires detail::is_optional<T>
    {
        return {};
    }

    /// Whether two handles are of the same queue.
    bool operator==(Queue const& other) const noexcept { return object_ == other.object_; }

    /// What wait() waits for. Throws ValueError if this process has closed the queue.
    friend detail::message_queue& queue_of(Queue const& queue) {
        queue.require_open();
        return *queue.object_;
    }

protected:
    Queue(std::ptrdiff_t maxsize, bool counts_tasks)
        : Queue(detail::shared_object<detail::message_queue>::make(
              maxsize > 0 ? static_cast<std::size_t>(maxsize) : 0, detail::inline_size_for<T>, counts_tasks)) {}
    explicit Queue(detail::shared_object<detail::message_queue> object)
        : object_(std::move(object)), local_(std::make_shared<local_state>()) {}

    detail::shared_object<detail::message_queue> object_;

private:
    friend struct detail::handle_codec<Queue>;

    struct local_state {
        std::atomic<bool> closed{false};
        std::atomic<bool> has_put{false};
    };

    static platform::deadline deadline_of(bool block, Timeout timeout) {
        return block ? timeout.deadline() : platform::deadline::min();
    }
    void require_open() const {
        if (closed()) throw ValueError("Queue is closed");
    }
    void prepare_put();
    bool put_until(T const& item, platform::deadline until);
    bool put_message(detail::outgoing_message& message, platform::deadline until);
    std::optional<T> get_until(platform::deadline until);

    std::shared_ptr<local_state> local_;
};

/// A Queue that knows how many of its items have not been worked on yet.
///
/// Python: `multiprocessing.JoinableQueue`. Differs: a process that dies between get() and task_done() does not leave
/// join() waiting for ever.
///
/// Safe from  any thread and any related process
template <class T>
class JoinableQueue : public Queue<T> {
public:
    explicit JoinableQueue(std::ptrdiff_t maxsize = 0) : Queue<T>(maxsize, true) {}

    /// Says that an item which was taken out has been worked on. Does not block.
    ///
    /// Python: `JoinableQueue.task_done()`.
    /// Throws     ValueError  more often than items were put
    void task_done();

    /// Blocks until every item that was put has been worked on.
    ///
    /// Python: `JoinableQueue.join()`.
    /// Throws     ProcessError  items that nobody can report any more, because those that had taken or were putting
    ///            them have died. Only one of several waiters gets it; the items count as done then.
    void join();

private:
    friend struct detail::handle_codec<JoinableQueue>;
    explicit JoinableQueue(detail::shared_object<detail::message_queue> object) : Queue<T>(std::move(object)) {}
};

/// A queue without timeouts and limits.
///
/// Python: `multiprocessing.SimpleQueue`. Differs: put() never blocks.
///
/// Safe from  any thread and any related process
template <class T>
class SimpleQueue {
public:
    SimpleQueue() = default;

    /// Puts a copy of the item. Does not block.
    /// Throws     OSError  this process has closed the queue; PicklingError, std::bad_alloc  as Queue::put
    void put(T const& item);

    /// Takes the next item out; blocks until there is one.
    /// Throws     OSError  this process has closed the queue
    T get();

    /// Throws OSError if this process has closed the queue.
    bool empty() const;

    /// Says that this process is done with the queue.
    void close() noexcept { queue_.close(); }
    bool closed() const noexcept { return queue_.closed(); }

    bool operator==(SimpleQueue const&) const noexcept = default;

    /// What wait() waits for. Throws OSError if this process has closed the queue.
    friend detail::message_queue& queue_of(SimpleQueue const& queue) {
        queue.require_open();
        return queue_of(queue.queue_);
    }

private:
    friend struct detail::codec<SimpleQueue>;
    explicit SimpleQueue(Queue<T> queue) : queue_(std::move(queue)) {}
    void require_open() const;

    Queue<T> queue_;
};

/// What range-for over a Queue<std::optional<V>> uses.
template <class T>
class QueueIterator {
public:
    using value_type = typename T::value_type;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    explicit QueueIterator(Queue<T> queue) : queue_(std::move(queue)), item_(queue_.get()) {}

    value_type& operator*() noexcept { return *item_; }
    value_type* operator->() noexcept { return &*item_; }
    QueueIterator& operator++() {
        item_ = queue_.get();
        return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(QueueIterator const& position, std::default_sentinel_t) noexcept {
        return !position.item_.has_value();
    }

private:
    Queue<T> queue_;
    T item_;
};

// ---- implementation

namespace detail {

template <class T>
struct codec<Queue<T>> : handle_codec<Queue<T>> {};
template <class T>
struct codec<JoinableQueue<T>> : handle_codec<JoinableQueue<T>> {};
template <class T>
struct codec<SimpleQueue<T>> {
    static constexpr bool saves = true;
    static constexpr bool loads = true;

    static void save(output_archive& archive, SimpleQueue<T> const& queue) { archive << queue.queue_; }
    static SimpleQueue<T> make(input_archive& archive) { return SimpleQueue<T>(archive.make<Queue<T>>()); }
    static void load(input_archive& archive, SimpleQueue<T>& queue) { queue = make(archive); }
};

[[noreturn]] inline void throw_closed(char const* what) {
    throw OSError(std::make_error_code(std::errc::bad_file_descriptor), what);
}

} // namespace detail

template <class T>
void Queue<T>::put(T const& item, bool block, Timeout timeout) {
    if (!put_until(item, deadline_of(block, timeout))) throw Full();
}

template <class T>
bool Queue<T>::try_put(T const& item, Timeout timeout) {
    return put_until(item, timeout.deadline());
}

template <class T>
void Queue<T>::prepare_put() {
    require_open();
    if (!local_->has_put.load(std::memory_order_relaxed)) local_->has_put.store(true, std::memory_order_relaxed);
}

template <class T>
bool Queue<T>::put_until(T const& item, platform::deadline until) {
    prepare_put();
    if constexpr (detail::is_plain_message<T>) {
        auto const write = [&](detail::message_slot& slot) noexcept {
            slot.set_inline(sizeof(T));
            std::memcpy(slot.message(), std::addressof(item), sizeof(T));
        };
        return object_->put(write, until);
    } else {
        if (until == platform::deadline::min() && full()) return false;
        detail::outgoing_message message;
        detail::save(message, item);
        std::size_t const size = message.bytes().size();
        if (put_message(message, until)) {
            detail::let_reader_run(size);
            return true;
        }
        // Handles in a message count as its own; they are let go by taking it apart.
        try {
            static_cast<void>(detail::load<T>(message.bytes()));
        } catch (...) {
        }
        return false;
    }
}

template <class T>
bool Queue<T>::put_message(detail::outgoing_message& message, platform::deadline until) {
    return object_->put([&](detail::message_slot& slot) noexcept { message.store(slot); }, until);
}

template <class T>
void Queue<T>::put(Loan<detail::loan_element<T>>&& loan, bool block, Timeout timeout)
    requires detail::is_lendable<T>
{
    prepare_put();
    if (!put_message(loan.message_, deadline_of(block, timeout))) throw Full();
}

template <class T>
T Queue<T>::get(bool block, Timeout timeout) {
    if (auto item = get_until(deadline_of(block, timeout))) return *std::move(item);
    throw Empty();
}

template <class T>
std::optional<T> Queue<T>::try_get(Timeout timeout) {
    return get_until(timeout.deadline());
}

template <class T>
std::optional<T> Queue<T>::get_until(platform::deadline until) {
    require_open();
    if constexpr (detail::is_plain_message<T>) {
        struct bytes {
            std::byte content[sizeof(T)];
        } raw{};
        auto const read = [&](detail::message_slot& slot) noexcept { std::memcpy(&raw, slot.message(), sizeof raw); };
        if (!object_->get(read, until)) return std::nullopt;
        return std::bit_cast<T>(raw);
    } else {
        detail::incoming_message message;
        if (!object_->get([&](detail::message_slot& slot) noexcept { message.take(slot); }, until)) return std::nullopt;
        return detail::load<T>(message.bytes());
    }
}

template <class T>
View<detail::loan_element<T>> Queue<T>::get_view(bool block, Timeout timeout)
    requires detail::is_lendable<T>
{
    require_open();
    detail::incoming_message message;
    auto const read = [&](detail::message_slot& slot) noexcept { message.take(slot); };
    if (!object_->get(read, deadline_of(block, timeout))) throw Empty();
    return View<detail::loan_element<T>>(std::move(message));
}

template <class T>
bool Queue<T>::empty() const {
    if (closed() && local_->has_put.load(std::memory_order_relaxed)) detail::throw_closed("Queue is closed");
    return qsize() == 0;
}

template <class T>
void Queue<T>::join_thread() {
    if (!closed()) throw AssertionError("Queue is not closed");
}

template <class T>
void JoinableQueue<T>::task_done() {
    if (!this->object_->tasks()->done()) throw ValueError("task_done() called too many times");
}

template <class T>
void JoinableQueue<T>::join() {
    if (std::uint64_t const lost = this->object_->join())
        throw ProcessError(
            "JoinableQueue.join(): " + std::to_string(lost) +
            " items will never be done, because the processes that had them died");
}

template <class T>
void SimpleQueue<T>::require_open() const {
    if (closed()) detail::throw_closed("SimpleQueue is closed");
}

template <class T>
void SimpleQueue<T>::put(T const& item) {
    require_open();
    queue_.put(item);
}

template <class T>
T SimpleQueue<T>::get() {
    require_open();
    return queue_.get();
}

template <class T>
bool SimpleQueue<T>::empty() const {
    require_open();
    return queue_.qsize() == 0;
}

} // namespace multiprocessing::inline v0
