#pragma once

#include <multiprocessing/detail/handle_codec.hpp>
#include <multiprocessing/detail/robust_lock.hpp>
#include <multiprocessing/detail/shared_object.hpp>
#include <multiprocessing/errors.hpp>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <boost/container/string.hpp>
#include <boost/interprocess/offset_ptr.hpp>

/// What the containers in shared memory have in common: memory from the arena, a lock, and the knowledge whether a change
/// was interrupted by the death of its process.
namespace multiprocessing::inline v0::detail {

/// Gives containers memory of the arena. They point to it by distances, which are the same in every process.
template <class T>
struct arena_allocator {
    using value_type = T;
    using pointer = boost::interprocess::offset_ptr<T>;
    using const_pointer = boost::interprocess::offset_ptr<T const>;
    using size_type = std::size_t;
    using difference_type = std::ptrdiff_t;
    using is_always_equal = std::true_type;

    arena_allocator() noexcept = default;
    template <class U>
    arena_allocator(arena_allocator<U> const&) noexcept {}

    pointer allocate(std::size_t count) {
        static_assert(alignof(T) <= arena_alignment);
        if (count > std::numeric_limits<std::size_t>::max() / sizeof(T)) throw std::bad_alloc();
        arena& memory = arena::instance();
        return pointer(memory.at<T>(memory.allocate(count * sizeof(T))));
    }
    void deallocate(pointer const& block, std::size_t count) noexcept {
        arena& memory = arena::instance();
        memory.deallocate(memory.offset_of(block.get()), count * sizeof(T));
    }
    template <class U>
    bool operator==(arena_allocator<U> const&) const noexcept {
        return true;
    }
    template <class U>
    bool operator!=(arena_allocator<U> const&) const noexcept { // Boost's containers call it by name
        return false;
    }
};

using shared_string = boost::container::basic_string<char, std::char_traits<char>, arena_allocator<char>>;

/// How an element lies in shared memory, how it is passed, and how it comes out.
template <class T>
struct shared_element {
    static_assert(
        !std::is_pointer_v<T>,
        "multiprocessing: a pointer cannot be shared, because every process has other addresses");
    static_assert(
        std::is_trivially_copyable_v<T>,
        "multiprocessing: the elements of a shared container have to be trivially copyable (numbers, enumerations, "
        "structs "
        "and std::arrays of such) or std::string");
    using stored = T;
    using argument = T const&;
    static T const& store(T const& value) noexcept { return value; }
    static T const& load(T const& value) noexcept { return value; }
    static void assign(T& place, T const& value) noexcept { place = value; }
};
template <>
struct shared_element<std::string> {
    using stored = shared_string;
    using argument = std::string_view;
    static shared_string store(std::string_view value) { return {value.data(), value.size()}; }
    static std::string load(shared_string const& value) { return {value.c_str(), value.size()}; }
    static void assign(shared_string& place, std::string_view value) { place.assign(value.data(), value.size()); }
};
template <class T>
using stored = typename shared_element<T>::stored;
template <class T>
using argument = typename shared_element<T>::argument;

/// What is compared and hashed: keys are looked up without making a shared string of them.
template <class T>
T const& comparable(T const& key) noexcept {
    return key;
}
inline std::string_view comparable(shared_string const& key) noexcept { return {key.c_str(), key.size()}; }

struct shared_less {
    using is_transparent = void;
    template <class A, class B>
    bool operator()(A const& a, B const& b) const {
        return comparable(a) < comparable(b);
    }
};
struct shared_equal {
    template <class A, class B>
    bool operator()(A const& a, B const& b) const {
        return comparable(a) == comparable(b);
    }
};
struct shared_hash {
    template <class T>
    std::size_t operator()(T const& key) const {
        using type = std::remove_cvref_t<decltype(comparable(key))>;
        return std::hash<type>()(comparable(key));
    }
};

/// A container in the arena. It is locked for each access, and marked for each change: who finds the mark after he has
/// locked it knows that the one who made the change did not live to finish it.
template <class Container>
class container_state {
public:
    container_state() { ::new (static_cast<void*>(&container_)) Container(); }
    ~container_state() {
        if (!is_changing()) container_.~Container(); // what is damaged is not touched any more
    }
    container_state(container_state const&) = delete;
    container_state& operator=(container_state const&) = delete;

    /// The container, locked as long as this exists, by a thread that may have locked it before.
    class access {
    public:
        /// Throws OwnerDiedError if the container is damaged.
        explicit access(container_state& state) : access(state, 0) {
            if (!is_damaged()) return;
            auto const error = state.lock_.owner_died();
            state.lock_.unlock_once();
            throw OwnerDiedError(std::string(error.what()) + " of a container and changed it; reset() makes it empty");
        }
        ~access() {
            if (!state_.lock_.is_mine()) return; // a fork in between: it is our parent's
            state_.mark(was_changing_);
            state_.lock_.unlock_once();
        }
        access(access const&) = delete;
        access& operator=(access const&) = delete;

        Container const& container() const noexcept { return state_.container_; }
        /// From here on a death does damage.
        Container& to_change() noexcept {
            state_.mark(true);
            return state_.container_;
        }

        /// Makes the container empty, whatever state it is in. The memory of a damaged one is lost.
        static void reset(container_state& state) {
            access all(state, 0);
            bool const damaged = all.is_damaged();
            state.mark(true);
            if (damaged) {
                ::new (static_cast<void*>(&state.container_)) Container();
                all.was_changing_ = false;
            } else {
                state.container_.clear();
            }
        }

    private:
        access(container_state& state, int) : state_(state) {
            state.lock_.lock_again();
            was_changing_ = state.is_changing();
        }
        bool is_damaged() const noexcept { return was_changing_ && state_.lock_.depth() == 1; }

        container_state& state_;
        bool was_changing_ = false;
    };

private:
    bool is_changing() const noexcept { return changing_.load(std::memory_order_relaxed); }
    void mark(bool changing) noexcept {
        // A kill comes between two instructions, so that all that counts is the order of the instructions.
        std::atomic_signal_fence(std::memory_order_seq_cst);
        changing_.store(changing, std::memory_order_relaxed);
        std::atomic_signal_fence(std::memory_order_seq_cst);
    }

    robust_lock lock_;
    std::atomic<bool> changing_{false};
    union {
        Container container_;
    };
};

/// The handle on it: what all containers can do.
template <class Container>
class shared_container {
public:
    /// What lies in shared memory: a container of Boost, with strings of its own kind.
    using container_type = Container;

    /// The number of elements.
    std::size_t size() const {
        return read([](Container const& all) -> std::size_t { return all.size(); });
    }
    bool empty() const { return size() == 0; }
    void clear() const {
        with_lock([](Container& all) { all.clear(); });
    }

    /// Returns f(container), called with the lock held: several steps that nobody sees half done. `f` may use this handle
    /// as well. If it throws, what it has changed stays changed; if its process is killed, the container is damaged.
    template <class F>
        requires std::invocable<F&, Container&>
    auto with_lock(F&& f) const {
        access all(*object_);
        return f(all.to_change());
    }
    /// The same without changes: if its process is killed, no harm is done.
    template <class F>
        requires std::invocable<F&, Container const&>
    auto read(F&& f) const {
        access const all(*object_);
        return f(all.container());
    }

    /// Makes the container empty. This is what ends OwnerDiedError; the memory of what was damaged is not used again.
    void reset() const { access::reset(*object_); }

    /// Whether both are the same container.
    bool operator==(shared_container const& other) const noexcept { return object_ == other.object_; }

protected:
    using state = container_state<Container>;
    using access = typename state::access;

    shared_container() : object_(shared_object<state>::make()) {}
    explicit shared_container(shared_object<state> object) noexcept : object_(std::move(object)) {}

    template <class>
    friend struct handle_codec;
    shared_object<state> object_;
};

template <class T>
concept shared_container_handle =
    requires { typename T::container_type; } && std::derived_from<T, shared_container<typename T::container_type>>;

template <shared_container_handle Handle>
struct codec<Handle> : handle_codec<Handle> {};

} // namespace multiprocessing::inline v0::detail
