#pragma once

#include <multiprocessing/detail/shared_container.hpp>

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/container/deque.hpp>
#include <boost/container/map.hpp>
#include <boost/container/set.hpp>
#include <boost/container/vector.hpp>
#include <boost/unordered_map.hpp>

/// Containers in the memory that all processes share: what a Manager's list and dict are for, without a server.
///
/// All of these are handles: a copy means the same container. They may be static objects, be captured, be arguments of a
/// Process under every start method, and travel through queues and pipes. Elements are trivially copyable types, or
/// std::string.
///
/// Each member function locks the container, does one thing and is done; what it returns is a copy. Several steps that
/// belong together stand in with_lock:
///
///     mp::shared::map<std::string, int> stock{{"apples", 3}};
///     stock.update("apples", [](int& count) { count += 1; });                        // atomic
///     stock.with_lock([&](auto&) { if (stock.contains("pears")) stock.erase("apples"); });
///     for (auto const& [name, count] : stock.items()) { … }                          // a snapshot
///
/// A process that is killed while it only reads, or waits, does no harm. If it is killed in the middle of a change, nobody
/// can know what is left: every function throws OwnerDiedError from then on, until somebody calls reset(). The lock is
/// never left locked. Every function may throw OwnerDiedError, and those that add something std::bad_alloc; after an
/// exception of the latter kind the container is as usable as before.
///
/// <multiprocessing.hpp> does not include this header, because Boost's containers take their time to compile.
///
/// Python: `multiprocessing.Manager().list()`, `.dict()`; there is a server behind these, and each access takes a message
/// there and back.
namespace multiprocessing::inline v0 {

namespace detail {

/// What vector and deque have in common.
template <class T, class Container>
class shared_sequence : public shared_container<Container> {
public:
    using value_type = T;

    /// An empty one.
    shared_sequence() = default;
    /// A copy of the elements.
    shared_sequence(std::initializer_list<T> elements) {
        for (T const& one : elements) push_back(one);
    }
    explicit shared_sequence(std::vector<T> const& elements) { assign(elements); }

    /// A copy of one element. Negative positions count from the end. Throws std::out_of_range.
    T at(std::ptrdiff_t index) const;
    /// Replaces one element. Throws std::out_of_range.
    void set(std::ptrdiff_t index, argument<T> value) const;
    /// A copy of all elements.
    std::vector<T> values() const;
    /// Replaces all elements.
    void assign(std::vector<T> const& elements) const;

    /// Adds an element at the end.
    void push_back(argument<T> value) const;
    /// Removes the last element and returns it. Throws std::out_of_range if there is none.
    T pop_back() const;
    /// Adds an element before the one at this position, or at the end for size(). Throws std::out_of_range.
    void insert(std::ptrdiff_t index, argument<T> value) const;
    /// Removes one element. Throws std::out_of_range.
    void erase(std::ptrdiff_t index) const;

protected:
    using shared_container<Container>::shared_container;
    static std::size_t position(std::ptrdiff_t index, std::size_t size);
};

/// What map and unordered_map have in common.
template <class Key, class Value, class Container>
class shared_mapping : public shared_container<Container> {
public:
    using key_type = Key;
    using mapped_type = Value;

    /// An empty one.
    shared_mapping() = default;
    /// A copy of the elements; of equal keys the last one counts.
    shared_mapping(std::initializer_list<std::pair<Key, Value>> elements) {
        for (auto const& [key, value] : elements) insert_or_assign(key, value);
    }

    /// Adds an element unless there is one with this key. Returns whether it was added.
    bool insert(argument<Key> key, argument<Value> value) const;
    /// Adds an element or replaces its value. Returns whether it was added.
    bool insert_or_assign(argument<Key> key, argument<Value> value) const;
    /// Calls f(Value&) on a copy of the value, of Value() if there is none, and stores that; locked meanwhile.
    template <class F>
    void update(argument<Key> key, F&& f) const;
    /// Removes an element. Returns whether there was one.
    bool erase(argument<Key> key) const;

    /// A copy of the value, or nothing.
    std::optional<Value> find(argument<Key> key) const;
    /// A copy of the value. Throws std::out_of_range if there is none. Python: `d[key]`.
    Value at(argument<Key> key) const;
    /// A copy of the value, or what is given instead. Python: `d.get(key, instead)`.
    Value get(argument<Key> key, Value instead) const;
    bool contains(argument<Key> key) const;

    /// Copies of all, in the order of the container.
    std::vector<Key> keys() const;
    std::vector<Value> values() const;
    std::vector<std::pair<Key, Value>> items() const;

protected:
    using shared_container<Container>::shared_container;
    template <class C>
    static auto look_up(C& all, argument<Key> key);
};

template <class T>
using shared_vector = shared_sequence<T, boost::container::vector<stored<T>, arena_allocator<stored<T>>>>;
template <class T>
using shared_deque = shared_sequence<T, boost::container::deque<stored<T>, arena_allocator<stored<T>>>>;
template <class K>
using shared_set = shared_container<boost::container::set<stored<K>, shared_less, arena_allocator<stored<K>>>>;
template <class K, class V>
using shared_pairs = arena_allocator<std::pair<stored<K> const, stored<V>>>;
template <class K, class V>
using shared_map = shared_mapping<K, V, boost::container::map<stored<K>, stored<V>, shared_less, shared_pairs<K, V>>>;
template <class K, class V>
using shared_unordered_map =
    shared_mapping<K, V, boost::unordered_map<stored<K>, stored<V>, shared_hash, shared_equal, shared_pairs<K, V>>>;

} // namespace detail

namespace shared {

/// An array that grows.
template <class T>
class vector : public detail::shared_vector<T> {
    using base = detail::shared_vector<T>;

public:
    using base::base;

    /// Makes room for so many elements.
    void reserve(std::size_t count) const {
        this->with_lock([&](auto& all) { all.reserve(count); });
    }
    /// Removes elements at the end, or adds T().
    void resize(std::size_t count) const {
        this->with_lock([&](auto& all) { all.resize(count); });
    }
};

/// A sequence that grows and shrinks at both ends. For work that processes hand each other: mp::Queue, which waits.
template <class T>
class deque : public detail::shared_deque<T> {
    using base = detail::shared_deque<T>;

public:
    using base::base;

    /// Adds an element at the beginning.
    void push_front(detail::argument<T> value) const {
        this->with_lock([&](auto& all) { all.push_front(detail::shared_element<T>::store(value)); });
    }
    /// Removes the first element and returns it. Throws std::out_of_range if there is none.
    T pop_front() const;
};

/// A text.
class string : public detail::shared_container<detail::shared_string> {
public:
    explicit string(std::string_view text = {}) { value(text); }

    /// Gets or sets the text.
    std::string value() const { return read(detail::shared_element<std::string>::load); }
    void value(std::string_view text) const {
        with_lock([&](container_type& all) { all.assign(text.data(), text.size()); });
    }
    /// Adds to the end.
    void append(std::string_view text) const {
        with_lock([&](container_type& all) { all.append(text.data(), text.size()); });
    }

private:
    friend struct detail::handle_codec<string>;
    explicit string(detail::shared_object<state> object) noexcept : shared_container(std::move(object)) {}
};

/// Keys in their order, each with a value.
template <class Key, class Value>
class map : public detail::shared_map<Key, Value> {
public:
    using map::shared_mapping::shared_mapping;
};

/// Keys in no order, each with a value. The key needs std::hash, with the same result in every process.
template <class Key, class Value>
class unordered_map : public detail::shared_unordered_map<Key, Value> {
public:
    using unordered_map::shared_mapping::shared_mapping;
};

/// Keys in their order.
template <class Key>
class set : public detail::shared_set<Key> {
public:
    using key_type = Key;

    /// An empty one.
    set() = default;
    /// A copy of the elements.
    set(std::initializer_list<Key> elements) {
        for (Key const& one : elements) insert(one);
    }

    /// Adds an element. Returns false if it is in here already.
    bool insert(detail::argument<Key> key) const;
    /// Removes an element. Returns whether there was one.
    bool erase(detail::argument<Key> key) const;
    bool contains(detail::argument<Key> key) const;
    /// A copy of all elements.
    std::vector<Key> values() const;

protected:
    using set::shared_container::shared_container;
};

} // namespace shared

} // namespace multiprocessing::inline v0

#include <multiprocessing/detail/containers_impl.hpp>
