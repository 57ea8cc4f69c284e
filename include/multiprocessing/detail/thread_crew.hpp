#pragma once

#include <multiprocessing/detail/fork_generation.hpp>
#include <multiprocessing/detail/thread_name.hpp>
#include <multiprocessing/errors.hpp>

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

/// The threads of a pool, and the line of work in front of them.
namespace multiprocessing::inline v0::detail {

/// Work on so many items, of which each thread takes some at a time.
class thread_work {
public:
    /// chunksize 0: many at first and few at the end.
    thread_work(std::uint64_t count, std::uint64_t chunksize) noexcept : count_(count), chunksize_(chunksize) {}
    virtual ~thread_work() = default;
    thread_work(thread_work const&) = delete;
    thread_work& operator=(thread_work const&) = delete;

    std::uint64_t count() const noexcept { return count_; }

    /// Runs the items from begin on, up to end.
    virtual void run(std::uint64_t begin, std::uint64_t end) noexcept = 0;
    /// So many items, the last ones, will never run.
    virtual void drop(std::uint64_t number, std::exception_ptr const& reason) noexcept = 0;

private:
    friend class thread_crew;
    std::uint64_t const count_;
    std::uint64_t const chunksize_;
    std::uint64_t next_ = 0; // the first item that nobody has taken; guarded by the crew
};

struct thread_crew_options {
    unsigned threads = 1;
    std::function<void()> initializer{}; ///< each thread calls it first; what it throws ends all work
    std::function<std::string(unsigned)> name{};
    bool on_demand = false; ///< threads start when there is work, and no idle thread for it
};

class thread_crew {
public:
    explicit thread_crew(thread_crew_options options);
    ~thread_crew();
    thread_crew(thread_crew const&) = delete;
    thread_crew& operator=(thread_crew const&) = delete;

    /// Does not block. Throws ValueError if the crew is closed, or what the initialiser threw.
    void submit(std::shared_ptr<thread_work> work);
    /// What nobody has begun of it is dropped.
    void withdraw(thread_work const& work, std::exception_ptr const& reason) noexcept;
    /// The same for everything in the line.
    void withdraw_all(std::exception_ptr const& reason) noexcept;

    /// Somebody will submit more, also after close(): the threads stay for it, unless somebody joins them.
    void open_stream();
    void close_stream() noexcept;
    /// submit() for those.
    void submit_to_stream(std::shared_ptr<thread_work> work);

    /// No more work; the threads leave when nothing is left to do.
    void close() noexcept;
    /// Drops what nobody has begun; the threads leave. Does not wait for them.
    void terminate() noexcept;
    /// After close or terminate: waits until all threads have left.
    void join();

    bool is_closed() const noexcept;
    unsigned size() const noexcept { return options_.threads; }
    unsigned started() const noexcept;
    char const* state_name() const noexcept;
    /// Nothing can be worked on any more, and what nobody has begun is dropped: the initialiser threw this, or somebody
    /// has found it out.
    void fail(std::exception_ptr reason) noexcept;
    std::exception_ptr broken() const noexcept;

    bool is_owner() const noexcept { return generation_ == fork_generation(); }
    /// Throws in a forked child, which has none of the threads.
    void require_owner() const {
        if (!is_owner()) throw AssertionError("a pool can only be used by the process that made it");
    }

private:
    enum class order { work, finish, leave };

    void serve(unsigned number) noexcept;
    void append(std::unique_lock<std::mutex> guard, std::shared_ptr<thread_work> work);
    void start_one();
    bool is_over() const noexcept {
        return order_ == order::leave || (order_ == order::finish && (streams_ == 0 || joined_));
    }
    std::uint64_t share(thread_work const& work) const noexcept;
    void drop_line(std::exception_ptr const& reason, std::unique_lock<std::mutex> guard) noexcept;

    thread_crew_options const options_;
    std::uint32_t const generation_ = fork_generation();

    std::mutex join_mutex_; // before mutex_
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::shared_ptr<thread_work>> line_;
    std::vector<std::thread> threads_;
    order order_ = order::work;
    unsigned idle_ = 0;
    unsigned streams_ = 0;
    bool joined_ = false; // somebody waits for the threads, or has
    std::exception_ptr broken_;
};

// ---- implementation

inline thread_crew::thread_crew(thread_crew_options options) : options_(std::move(options)) {
    if (options_.on_demand) return;
    try {
        std::scoped_lock const guard(mutex_);
        while (threads_.size() < options_.threads) start_one();
    } catch (...) {
        terminate();
        join();
        throw;
    }
}

inline thread_crew::~thread_crew() {
    terminate();
    join();
}

inline void thread_crew::start_one() {
    threads_.reserve(threads_.size() + 1);
    auto const number = static_cast<unsigned>(threads_.size());
    try {
        threads_.emplace_back([this, number] { serve(number); });
    } catch (std::system_error const& error) {
        throw OSError(error.code(), "a thread of a pool cannot be started");
    }
    ++idle_; // until it takes something
}

inline void thread_crew::submit(std::shared_ptr<thread_work> work) {
    std::unique_lock guard(mutex_);
    if (order_ != order::work) throw ValueError("Pool not running");
    append(std::move(guard), std::move(work));
}

inline void thread_crew::submit_to_stream(std::shared_ptr<thread_work> work) {
    std::unique_lock guard(mutex_);
    if (is_over()) throw ValueError("Pool not running");
    append(std::move(guard), std::move(work));
}

inline void thread_crew::append(std::unique_lock<std::mutex> guard, std::shared_ptr<thread_work> work) {
    if (broken_) std::rethrow_exception(broken_);
    bool const for_one = work->count() == 1;
    line_.push_back(std::move(work));
    if (options_.on_demand && !joined_ && line_.size() > idle_ && threads_.size() < options_.threads) {
        try {
            start_one();
        } catch (...) {
            if (threads_.empty()) { // fewer threads do the work as well, but without any nobody would
                line_.pop_back();
                throw;
            }
        }
    }
    guard.unlock();
    for_one ? changed_.notify_one() : changed_.notify_all();
}

inline std::uint64_t thread_crew::share(thread_work const& work) const noexcept {
    std::uint64_t const left = work.count_ - work.next_;
    return std::min(left, work.chunksize_ != 0 ? work.chunksize_ : left / (4 * std::uint64_t{options_.threads}) + 1);
}

inline void thread_crew::serve(unsigned number) noexcept {
    try {
        if (options_.name) thread_name() = options_.name(number);
        if (options_.initializer) options_.initializer();
    } catch (...) {
        return fail(std::current_exception());
    }
    std::unique_lock guard(mutex_);
    for (;;) {
        changed_.wait(guard, [&] { return !line_.empty() || is_over(); });
        if (line_.empty()) return;
        --idle_;
        auto work = line_.front();
        std::uint64_t const begin = work->next_;
        work->next_ += share(*work);
        std::uint64_t const end = work->next_;
        if (end == work->count_) line_.pop_front();
        guard.unlock();
        work->run(begin, end);
        work.reset(); // may call destructors of the user
        guard.lock();
        ++idle_;
    }
}

inline void thread_crew::withdraw(thread_work const& work, std::exception_ptr const& reason) noexcept {
    std::unique_lock guard(mutex_);
    auto const found = std::find_if(line_.begin(), line_.end(), [&](auto const& one) { return one.get() == &work; });
    if (found == line_.end()) return;
    auto const withdrawn = std::move(*found);
    line_.erase(found);
    std::uint64_t const left = withdrawn->count_ - withdrawn->next_;
    guard.unlock();
    withdrawn->drop(left, reason);
}

inline void thread_crew::withdraw_all(std::exception_ptr const& reason) noexcept {
    drop_line(reason, std::unique_lock(mutex_));
}

inline void thread_crew::drop_line(std::exception_ptr const& reason, std::unique_lock<std::mutex> guard) noexcept {
    while (!line_.empty()) {
        auto const work = std::move(line_.front());
        line_.pop_front();
        guard.unlock(); // what follows may call the user
        work->drop(work->count_ - work->next_, reason);
        guard.lock();
    }
}

inline void thread_crew::fail(std::exception_ptr reason) noexcept {
    std::unique_lock guard(mutex_);
    if (broken_) return;
    broken_ = reason;
    drop_line(reason, std::move(guard));
}

inline void thread_crew::open_stream() {
    std::scoped_lock const guard(mutex_);
    if (order_ != order::work) throw ValueError("Pool not running");
    ++streams_;
}

inline void thread_crew::close_stream() noexcept {
    {
        std::scoped_lock const guard(mutex_);
        --streams_;
    }
    changed_.notify_all();
}

inline void thread_crew::close() noexcept {
    {
        std::scoped_lock const guard(mutex_);
        if (order_ == order::work) order_ = order::finish;
    }
    changed_.notify_all();
}

inline void thread_crew::terminate() noexcept {
    std::unique_lock guard(mutex_);
    order_ = order::leave;
    changed_.notify_all();
    drop_line(std::make_exception_ptr(ProcessError("the pool was terminated")), std::move(guard));
}

inline void thread_crew::join() {
    std::scoped_lock const one_at_a_time(join_mutex_);
    {
        std::scoped_lock const guard(mutex_);
        if (order_ == order::work) throw ValueError("Pool is still running");
        for (auto const& thread : threads_) {
            if (thread.get_id() == std::this_thread::get_id()) throw RuntimeError("a thread cannot join itself");
        }
        joined_ = true; // from here on no thread is started
    }
    changed_.notify_all();
    for (auto& thread : threads_) {
        if (thread.joinable()) thread.join();
    }
}

inline bool thread_crew::is_closed() const noexcept {
    std::scoped_lock const guard(mutex_);
    return order_ != order::work;
}

inline unsigned thread_crew::started() const noexcept {
    std::scoped_lock const guard(mutex_);
    return static_cast<unsigned>(threads_.size());
}

inline std::exception_ptr thread_crew::broken() const noexcept {
    std::scoped_lock const guard(mutex_);
    return broken_;
}

inline char const* thread_crew::state_name() const noexcept {
    constexpr char const* names[] = {"RUN", "CLOSE", "TERMINATE"};
    std::scoped_lock const guard(mutex_);
    return names[static_cast<int>(order_)];
}

} // namespace multiprocessing::inline v0::detail
