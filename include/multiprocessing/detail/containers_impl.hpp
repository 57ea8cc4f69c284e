#pragma once

#include <multiprocessing/containers.hpp>

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

/// The bodies of containers.hpp.
namespace multiprocessing::inline v0 {

template <class T, class Container>
std::size_t detail::shared_sequence<T, Container>::position(std::ptrdiff_t index, std::size_t size) {
    std::size_t const result = static_cast<std::size_t>(index) + (index < 0 ? size : 0);
    if (result >= size) throw std::out_of_range("multiprocessing: index out of range");
    return result;
}

template <class T, class Container>
T detail::shared_sequence<T, Container>::at(std::ptrdiff_t index) const {
    return this->read(
        [&](Container const& all) -> T { return shared_element<T>::load(all[position(index, all.size())]); });
}

template <class T, class Container>
void detail::shared_sequence<T, Container>::set(std::ptrdiff_t index, argument<T> value) const {
    this->with_lock([&](Container& all) { shared_element<T>::assign(all[position(index, all.size())], value); });
}

template <class T, class Container>
std::vector<T> detail::shared_sequence<T, Container>::values() const {
    return this->read([](Container const& all) {
        std::vector<T> result;
        result.reserve(all.size());
        for (auto const& one : all) result.push_back(shared_element<T>::load(one));
        return result;
    });
}

template <class T, class Container>
void detail::shared_sequence<T, Container>::assign(std::vector<T> const& elements) const {
    this->with_lock([&](Container& all) {
        all.clear();
        for (T const& one : elements) all.push_back(shared_element<T>::store(one));
    });
}

template <class T, class Container>
void detail::shared_sequence<T, Container>::push_back(argument<T> value) const {
    this->with_lock([&](Container& all) { all.push_back(shared_element<T>::store(value)); });
}

template <class T, class Container>
T detail::shared_sequence<T, Container>::pop_back() const {
    return this->with_lock([](Container& all) -> T {
        if (all.empty()) throw std::out_of_range("multiprocessing: pop_back from an empty container");
        T result = shared_element<T>::load(all.back());
        all.pop_back();
        return result;
    });
}

template <class T, class Container>
void detail::shared_sequence<T, Container>::insert(std::ptrdiff_t index, argument<T> value) const {
    this->with_lock([&](Container& all) {
        auto const end = static_cast<std::ptrdiff_t>(all.size());
        auto const place = index == end ? end : static_cast<std::ptrdiff_t>(position(index, all.size()));
        all.insert(all.begin() + place, shared_element<T>::store(value));
    });
}

template <class T, class Container>
void detail::shared_sequence<T, Container>::erase(std::ptrdiff_t index) const {
    this->with_lock(
        [&](Container& all) { all.erase(all.begin() + static_cast<std::ptrdiff_t>(position(index, all.size()))); });
}

template <class T>
T shared::deque<T>::pop_front() const {
    return this->with_lock([](auto& all) -> T {
        if (all.empty()) throw std::out_of_range("multiprocessing: pop_front from an empty container");
        T result = detail::shared_element<T>::load(all.front());
        all.pop_front();
        return result;
    });
}

template <class Key, class Value, class Container>
template <class C>
auto detail::shared_mapping<Key, Value, Container>::look_up(C& all, argument<Key> key) {
    if constexpr (requires { all.hash_function(); }) {
        return all.find(key, shared_hash(), shared_equal());
    } else {
        return all.find(key);
    }
}

template <class Key, class Value, class Container>
bool detail::shared_mapping<Key, Value, Container>::insert(argument<Key> key, argument<Value> value) const {
    return this->with_lock([&](Container& all) {
        if (look_up(all, key) != all.end()) return false;
        all.emplace(shared_element<Key>::store(key), shared_element<Value>::store(value));
        return true;
    });
}

template <class Key, class Value, class Container>
bool detail::shared_mapping<Key, Value, Container>::insert_or_assign(argument<Key> key, argument<Value> value) const {
    return this->with_lock([&](Container& all) {
        auto const found = look_up(all, key);
        if (found == all.end()) return insert(key, value);
        shared_element<Value>::assign(found->second, value);
        return false;
    });
}

template <class Key, class Value, class Container>
template <class F>
void detail::shared_mapping<Key, Value, Container>::update(argument<Key> key, F&& f) const {
    typename shared_container<Container>::access const all(*this->object_); // f itself runs without harm
    Value value = get(key, Value());
    f(value);
    insert_or_assign(key, value);
}

template <class Key, class Value, class Container>
bool detail::shared_mapping<Key, Value, Container>::erase(argument<Key> key) const {
    return this->with_lock([&](Container& all) {
        auto const found = look_up(all, key);
        if (found == all.end()) return false;
        all.erase(found);
        return true;
    });
}

template <class Key, class Value, class Container>
std::optional<Value> detail::shared_mapping<Key, Value, Container>::find(argument<Key> key) const {
    return this->read([&](Container const& all) -> std::optional<Value> {
        auto const found = look_up(all, key);
        if (found == all.end()) return std::nullopt;
        return shared_element<Value>::load(found->second);
    });
}

template <class Key, class Value, class Container>
Value detail::shared_mapping<Key, Value, Container>::at(argument<Key> key) const {
    if (auto found = find(key)) return *std::move(found);
    throw std::out_of_range("multiprocessing: no such key");
}

template <class Key, class Value, class Container>
Value detail::shared_mapping<Key, Value, Container>::get(argument<Key> key, Value instead) const {
    return find(key).value_or(std::move(instead));
}

template <class Key, class Value, class Container>
bool detail::shared_mapping<Key, Value, Container>::contains(argument<Key> key) const {
    return this->read([&](Container const& all) { return look_up(all, key) != all.end(); });
}

template <class Key, class Value, class Container>
std::vector<std::pair<Key, Value>> detail::shared_mapping<Key, Value, Container>::items() const {
    return this->read([](Container const& all) {
        std::vector<std::pair<Key, Value>> result;
        result.reserve(all.size());
        for (auto const& [key, value] : all) {
            result.emplace_back(shared_element<Key>::load(key), shared_element<Value>::load(value));
        }
        return result;
    });
}

template <class Key, class Value, class Container>
std::vector<Key> detail::shared_mapping<Key, Value, Container>::keys() const {
    return this->read([](Container const& all) {
        std::vector<Key> result;
        result.reserve(all.size());
        for (auto const& one : all) result.push_back(shared_element<Key>::load(one.first));
        return result;
    });
}

template <class Key, class Value, class Container>
std::vector<Value> detail::shared_mapping<Key, Value, Container>::values() const {
    return this->read([](Container const& all) {
        std::vector<Value> result;
        result.reserve(all.size());
        for (auto const& one : all) result.push_back(shared_element<Value>::load(one.second));
        return result;
    });
}

template <class Key>
bool shared::set<Key>::insert(detail::argument<Key> key) const {
    return this->with_lock([&](auto& all) {
        if (all.find(key) != all.end()) return false;
        return all.insert(detail::shared_element<Key>::store(key)).second;
    });
}

template <class Key>
bool shared::set<Key>::erase(detail::argument<Key> key) const {
    return this->with_lock([&](auto& all) {
        auto const found = all.find(key);
        if (found == all.end()) return false;
        all.erase(found);
        return true;
    });
}

template <class Key>
bool shared::set<Key>::contains(detail::argument<Key> key) const {
    return this->read([&](auto const& all) { return all.find(key) != all.end(); });
}

template <class Key>
std::vector<Key> shared::set<Key>::values() const {
    return this->read([](auto const& all) {
        std::vector<Key> result;
        result.reserve(all.size());
        for (auto const& one : all) result.push_back(detail::shared_element<Key>::load(one));
        return result;
    });
}

} // namespace multiprocessing::inline v0
