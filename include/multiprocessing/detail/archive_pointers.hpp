#pragma once

#include <multiprocessing/detail/archive_core.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <type_traits>
#include <typeindex>
#include <typeinfo>
#include <utility>
#include <vector>

/// How the pointers travel that own what they point to: with it.
namespace multiprocessing::inline v0::detail {

/// Only the part of the object that the pointer's type names would arrive.
template <class T>
void refuse_derived_object([[maybe_unused]] T const& object) {
    if constexpr (std::is_polymorphic_v<T>)
        if (typeid(object) != typeid(T))
            throw PicklingError(
                "a pointer to a base class cannot travel: the derived part of its object would be lost");
}

template <class T>
struct codec<std::unique_ptr<T>> {
    using object = std::remove_cv_t<T>;
    static constexpr bool supported = std::is_object_v<T> && !std::is_array_v<T>;
    static constexpr bool saves = supported && saveable<T>, loads = supported && loadable<T>;
    static void save(output_archive& archive, std::unique_ptr<T> const& pointer) {
        archive.save(pointer != nullptr);
        if (pointer) {
            refuse_derived_object(*pointer);
            archive.save(*pointer);
        }
    }
    static void load(input_archive& archive, std::unique_ptr<T>& pointer) {
        pointer.reset();
        if (archive.make<bool>()) pointer = std::make_unique<object>(archive.make<object>());
    }
};

/// The objects that shared pointers own, numbered from 1 in the order in which a message meets them.
class saved_objects {
public:
    /// The number, and whether it is a new one: then the object has to follow.
    template <class T>
    std::pair<std::uint32_t, bool> number_of(std::shared_ptr<T> const& pointer) {
        auto const next = static_cast<std::uint32_t>(objects_.size() + 1);
        // An object and its first member have one address, so the type belongs to the key.
        auto const [found, is_new] = objects_.try_emplace({pointer.get(), typeid(T)}, entry{next, pointer});
        return {found->second.number, is_new};
    }

private:
    struct entry {
        std::uint32_t number;
        std::shared_ptr<void const> owner; // as long as it lives no other object can get its address
    };
    std::map<std::pair<void const*, std::type_index>, entry> objects_;
};

struct loaded_object {
    std::shared_ptr<void> owner; // empty until it is loaded
    std::type_index type;
};
struct loaded_objects : std::vector<loaded_object> {};

/// Pointers to one object point to one object again, as long as they are in the same message.
template <class T>
struct codec<std::shared_ptr<T>> {
    using object = std::remove_cv_t<T>;
    static constexpr bool supported = std::is_object_v<T> && !std::is_array_v<T>;
    static constexpr bool saves = supported && saveable<T>, loads = supported && loadable<T>;
    static void save(output_archive& archive, std::shared_ptr<T> const& pointer) {
        if (!pointer) {
            archive.save(std::uint32_t{0});
            return;
        }
        refuse_derived_object(*pointer);
        auto const [number, is_new] = archive.get_helper<saved_objects>().number_of(pointer);
        archive.save(number);
        if (is_new) archive.save(*pointer);
    }
    static void load(input_archive& archive, std::shared_ptr<T>& pointer) {
        pointer.reset();
        std::size_t const number = archive.make<std::uint32_t>();
        if (number == 0) return;
        auto& objects = archive.get_helper<loaded_objects>();
        if (number > objects.size() + 1) throw_damaged_message();
        if (number <= objects.size()) {
            auto const& [owner, type] = objects[number - 1];
            if (!owner || type != typeid(T)) throw_damaged_message();
            pointer = std::static_pointer_cast<object>(owner);
            return;
        }
        objects.push_back({nullptr, typeid(T)});
        if constexpr (std::is_default_constructible_v<object>) {
            auto const created = std::make_shared<object>();
            objects[number - 1].owner = created; // before it is loaded: it may point to itself
            archive.load(*created);
            pointer = created;
        } else {
            auto const created = std::make_shared<object>(archive.make<object>());
            objects[number - 1].owner = created;
            pointer = created;
        }
    }
};

template <class T>
struct codec<std::weak_ptr<T>> {
    static constexpr bool saves = codec<std::shared_ptr<T>>::saves, loads = codec<std::shared_ptr<T>>::loads;
    static void save(output_archive& archive, std::weak_ptr<T> const& pointer) { archive.save(pointer.lock()); }
    static void load(input_archive& archive, std::weak_ptr<T>& pointer) {
        std::shared_ptr<T> object;
        archive.load(object);
        pointer = object;
    }
};

} // namespace multiprocessing::inline v0::detail
