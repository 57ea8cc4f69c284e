#pragma once

#include <multiprocessing/detail/archive.hpp>
#include <multiprocessing/detail/arena.hpp>
#include <multiprocessing/detail/fork_generation.hpp>
#include <multiprocessing/detail/made_once.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <unordered_map>
#include <utility>

/// Objects that live in the arena, and the handles that processes have on them.
///
/// An object counts the processes that know it, not the handles: within a process, handles share one owner. A fork
/// counts for the child before it exists, so a parent may let go of its handles at once. A process that is killed keeps
/// what it knew alive until the tree ends; a message that nobody receives does the same.
namespace multiprocessing::inline v0::detail {

/// Comes before each such object in its block.
struct shared_header {
    std::atomic<std::uint64_t> processes{1};
    void (*unused)() = nullptr; // keeps the object behind it aligned to 16 bytes
};

/// What this process knows: one entry per object. Only the classes below use it.
class known_objects {
public:
    using destroyer = void (*)(arena_offset) noexcept;

    /// This process' reference to one object.
    class owner {
    public:
        owner(arena_offset position, destroyer destroy) noexcept
            : position_(position), destroy_(destroy), generation_(fork_generation()) {}
        ~owner();
        owner(owner const&) = delete;
        owner& operator=(owner const&) = delete;
        arena_offset position() const noexcept { return position_; }

    private:
        friend class known_objects;
        arena_offset position_;
        destroyer destroy_;
        std::uint32_t generation_; // a fork that is not ours copies the owner, but not the count
    };

    MULTIPROCESSING_ONE_PER_PROCESS static known_objects& instance() {
        static constinit made_once<known_objects> all;
        return all.get();
    }

    /// The owner of an object that this process has just made, or has been given a counted reference to.
    std::shared_ptr<owner> adopt(arena_offset position, destroyer destroy);
    /// The owner of an object that somebody keeps alive meanwhile.
    std::shared_ptr<owner> join(arena_offset position, destroyer destroy);

    /// Around a fork: counts for the child; takes that back if there is no child; in the child, makes it the owner.
    void before_fork();
    void after_fork() noexcept { mutex_.unlock(); }
    void fork_failed() noexcept;
    void begin_child() noexcept;
    /// At the end of a child, whose handles are not destroyed one by one.
    void release_all() noexcept;

    static shared_header& header(arena_offset position) noexcept {
        return *arena::instance().at<shared_header>(position);
    }

private:
    void forget(owner& one) noexcept;

    std::mutex mutex_;
    std::unordered_map<arena_offset, std::pair<owner*, std::weak_ptr<owner>>> all_;
};

/// A handle on a T in the arena. Copies share; the last process to let go destroys the object. It travels: whoever
/// receives it has a handle on the same object.
///
/// T must not be moved and is found at another address in every process. Its constructor and destructor run once.
template <class T>
class shared_object {
public:
    /// A handle on nothing, to be assigned to or loaded into.
    shared_object() noexcept = default;

    template <class... Args>
    static shared_object make(Args&&... args);
    /// The same with `extra` bytes behind the object, for what has no size at compile time.
    template <class... Args>
    static shared_object make_with_extra(std::size_t extra, Args&&... args);

    T* get() const noexcept { return object_; }
    T* operator->() const noexcept { return object_; }
    T& operator*() const noexcept { return *object_; }
    explicit operator bool() const noexcept { return object_ != nullptr; }
    bool operator==(shared_object const& other) const noexcept { return object_ == other.object_; }
    /// The bytes behind the object.
    std::byte* extra() const noexcept { return reinterpret_cast<std::byte*>(object_ + 1); }

private:
    friend struct codec<shared_object>;

    struct block {
        shared_header head;
        std::uint64_t size; // of the whole block
        std::uint64_t reserved;
        T object;
    };

    explicit shared_object(std::shared_ptr<known_objects::owner> owner) noexcept
        : owner_(std::move(owner)), object_(&arena::instance().at<block>(owner_->position())->object) {}
    static void destroy(arena_offset position) noexcept;

    std::shared_ptr<known_objects::owner> owner_;
    T* object_ = nullptr;
};

// ---- implementation

inline known_objects::owner::~owner() {
    known_objects::instance().forget(*this);
    if (generation_ != fork_generation()) return;
    if (header(position_).processes.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy_(position_);
}

inline std::shared_ptr<known_objects::owner> known_objects::adopt(arena_offset position, destroyer destroy) {
    std::shared_ptr<owner> result;
    {
        std::scoped_lock const guard(mutex_);
        if (auto const found = all_.find(position); found != all_.end()) {
            if ((result = found->second.second.lock())) {
                // Known already: one count is enough for this process.
                header(position).processes.fetch_sub(1, std::memory_order_acq_rel);
                return result;
            }
        }
        result = std::make_shared<owner>(position, destroy);
        all_.insert_or_assign(position, std::pair(result.get(), std::weak_ptr(result)));
    }
    return result;
}

inline std::shared_ptr<known_objects::owner> known_objects::join(arena_offset position, destroyer destroy) {
    header(position).processes.fetch_add(1, std::memory_order_relaxed);
    return adopt(position, destroy);
}

inline void known_objects::forget(owner& one) noexcept {
    std::scoped_lock const guard(mutex_);
    auto const found = all_.find(one.position_);
    if (found != all_.end() && found->second.first == &one) all_.erase(found); // or a new owner has replaced it
}

inline void known_objects::before_fork() {
    mutex_.lock(); // until the fork is over, so that what was counted is what the child finds
    for (auto const& [position, known] : all_) header(position).processes.fetch_add(1, std::memory_order_relaxed);
}

inline void known_objects::fork_failed() noexcept {
    for (auto const& [position, known] : all_) header(position).processes.fetch_sub(1, std::memory_order_acq_rel);
    mutex_.unlock();
}

inline void known_objects::begin_child() noexcept {
    new (&mutex_) std::mutex; // locked by the parent's thread
    for (auto const& [position, known] : all_) known.first->generation_ = fork_generation();
}

inline void known_objects::release_all() noexcept {
    decltype(all_) known_here;
    {
        std::scoped_lock const guard(mutex_);
        known_here.swap(all_);
    }
    // Without the lock: an object that is destroyed may let go of others.
    for (auto const& [position, known] : known_here) {
        if (known.first->generation_ != fork_generation()) continue;
        if (header(position).processes.fetch_sub(1, std::memory_order_acq_rel) == 1) known.first->destroy_(position);
    }
}

template <class T>
template <class... Args>
shared_object<T> shared_object<T>::make(Args&&... args) {
    return make_with_extra(0, std::forward<Args>(args)...);
}

template <class T>
template <class... Args>
shared_object<T> shared_object<T>::make_with_extra(std::size_t extra, Args&&... args) {
    static_assert(alignof(T) <= arena_alignment);
    arena& memory = arena::instance();
    if (extra > memory.size()) throw std::bad_alloc();
    std::size_t const size = sizeof(block) + extra;
    arena_block raw(size);
    auto* const made = raw.get<block>();
    ::new (static_cast<void*>(&made->head)) shared_header;
    made->size = size;
    made->reserved = 0;
    ::new (static_cast<void*>(&made->object)) T(std::forward<Args>(args)...);
    try {
        auto owner = known_objects::instance().adopt(raw.offset(), &destroy);
        raw.release();
        return shared_object(std::move(owner));
    } catch (...) {
        made->object.~T();
        throw;
    }
}

template <class T>
void shared_object<T>::destroy(arena_offset position) noexcept {
    arena& memory = arena::instance();
    auto* const made = memory.at<block>(position);
    std::size_t const size = made->size;
    made->object.~T();
    memory.deallocate(position, size);
}

[[noreturn]] inline void throw_foreign_object() {
    throw ValueError(
        "the message holds a handle on an object in shared memory (a lock, a queue, a shared value or the like) that "
        "was "
        "made in another tree of processes; only processes that descend from one first process share such objects");
}

/// As a message the handle is the position of the object and the identity of the arena. A message that is loaded once
/// carries a counted reference; one that is loaded often says what its sender has to keep alive meanwhile.
template <class T>
struct codec<shared_object<T>> {
    static constexpr bool saves = true;
    static constexpr bool loads = true;

    static void save(output_archive& archive, shared_object<T> const& handle) {
        arena_offset const position = handle ? handle.owner_->position() : 0;
        archive << position;
        if (position == 0) return;
        archive << arena::instance().identity();
        if (archive.delivery_mode() == delivery::once) {
            known_objects::header(position).processes.fetch_add(1, std::memory_order_relaxed);
        } else {
            archive.keep_alive(handle.owner_);
        }
    }
    static void load(input_archive& archive, shared_object<T>& handle) {
        auto const position = archive.make<arena_offset>();
        using block = typename shared_object<T>::block;
        arena& memory = arena::instance();
        if (position == 0) {
            handle = {};
            return;
        }
        if (archive.make<std::uint64_t>() != memory.identity()) throw_foreign_object();
        if (position % arena_alignment != 0 || position > memory.size() - sizeof(block)) throw_damaged_message();
        auto& known = known_objects::instance();
        auto* const destroy = &shared_object<T>::destroy;
        handle = shared_object<T>(
            archive.delivery_mode() == delivery::once ? known.adopt(position, destroy) : known.join(position, destroy));
    }
};

/// A shared_object that cannot be empty.
template <class Object>
Object make_present(input_archive& archive) {
    auto object = archive.make<Object>();
    if (!object) throw_damaged_message();
    return object;
}

} // namespace multiprocessing::inline v0::detail
