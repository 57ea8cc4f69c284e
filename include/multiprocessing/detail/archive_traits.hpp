#pragma once

#include <multiprocessing/config.hpp>

#include <functional>
#include <initializer_list>
#include <type_traits>

#include <boost/serialization/access.hpp>

/// How a type can travel: natively, by its own `serialize`, or byte by byte. The questions are asked here without the
/// headers of Boost.Serialization, which cost a quarter of a second each; what is only declared here is defined by the
/// Boost header that the user includes, if he does.
namespace boost::serialization {

template <class T>
class nvp;
template <class T>
class array_wrapper;
template <class T>
struct version;
template <class T>
struct is_wrapper;
template <class T>
struct is_bitwise_serializable;
class collection_size_type;
class item_version_type;
class library_version_type;

/// What Boost falls back to for a type without a free `serialize`.
template <class Archive, class T>
void serialize(Archive& archive, T& value, unsigned int const version);

/// Base of the archives: makes free functions in this namespace visible for them.
struct multiprocessing_archive {};

} // namespace boost::serialization

namespace multiprocessing::inline v0::detail {

class output_archive;
class input_archive;

/// How the archives treat a type that they know: a specialisation has
///     static constexpr bool saves, loads;              which of the two is possible
///     static void save(output_archive&, T const&);
///     static void load(input_archive&, T&);            into an existing object
///     static T make(input_archive&);                   optional: for types that have no default constructor
template <class T>
struct codec {};

// ---- does the type bring its own serialize?

/// The call of a free `serialize` must be ambiguous between the fallback of Boost and this one, unless somebody wrote
/// a better fitting function for the type: that is how one is found.
namespace free_serialize {

template <class Archive, class T>
void serialize(Archive& archive, T& value, unsigned int const version);

template <class Archive, class T>
concept exists = requires(Archive& archive, T& value) { serialize(archive, value, 0u); };

template <class Archive, class T>
void call(Archive& archive, T& value, unsigned int version) {
    serialize(archive, value, version);
}

} // namespace free_serialize

/// A private `serialize` cannot be called from here, but its name can be found: with a second base that has the same
/// name, naming it becomes ambiguous.
struct name_serialize {
    void serialize();
};
template <class T>
struct with_name_serialize : T, name_serialize {};

template <class T>
consteval bool has_hidden_serialize() {
    if constexpr (std::is_class_v<T> && !std::is_final_v<T>)
        return !requires { &with_name_serialize<T>::serialize; } // has the name...
               && !requires { &T::serialize; };                  // ...and it is no ordinary public function
    else
        return false;
}

template <class Archive, class T>
concept public_serialize = requires(Archive& archive, T& value) { value.serialize(archive, 0u); };
template <class Archive, class T>
concept foreign_serialize = requires(Archive& archive, T& value) { value.serialize(archive); }; // another library's

template <class Archive, class T>
concept member_serialize = std::is_class_v<T> && (public_serialize<Archive, T> ||
                                                  (has_hidden_serialize<T>() && !foreign_serialize<Archive, T>));

template <class Archive, class T>
concept user_serialize = member_serialize<Archive, T> || free_serialize::exists<Archive, T>;

// ---- does it travel byte by byte?

template <class T>
concept has_codec = requires { codec<T>::saves; };

/// Pointers of every kind: what they point to does not travel with them.
template <class T>
inline constexpr bool is_address = std::is_pointer_v<T> || std::is_member_pointer_v<T> || std::is_reference_v<T>;
template <class T>
inline constexpr bool is_address<std::reference_wrapper<T>> = true;
template <class T>
inline constexpr bool is_address<std::initializer_list<T>> = true;

template <class T>
consteval bool is_bitwise() {
    if constexpr (std::is_same_v<T, bool>) // only 0 and 1 are values
        return false;
    else if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>)
        return true;
    else if constexpr (
        is_address<T> || has_codec<T> || !std::is_trivially_copyable_v<T> || !std::is_move_constructible_v<T>)
        return false;
    else if constexpr (requires { requires bool(boost::serialization::is_bitwise_serializable<T>::value); })
        return true;
    else
        return !user_serialize<output_archive, T>;
}

/// The bytes of a T are its value.
template <class T>
inline constexpr bool bitwise = is_bitwise<std::remove_cv_t<T>>();
template <class T, std::size_t n>
inline constexpr bool bitwise<T[n]> = bitwise<T>;

// ---- the answers

template <class T>
consteval bool can_save() {
    if constexpr (has_codec<T>)
        return codec<T>::saves;
    else if constexpr (std::is_same_v<T, bool> || bitwise<T>)
        return true;
    else if constexpr (std::is_bounded_array_v<T>)
        return can_save<std::remove_cv_t<std::remove_extent_t<T>>>();
    else if constexpr (is_address<T> || std::is_void_v<T> || std::is_unbounded_array_v<T>)
        return false;
    else
        return user_serialize<output_archive, T>;
}

template <class T>
consteval bool can_load_into() {
    if constexpr (has_codec<T>)
        return codec<T>::loads;
    else if constexpr (std::is_same_v<T, bool> || bitwise<T>)
        return true;
    else if constexpr (std::is_bounded_array_v<T>)
        return can_load_into<std::remove_extent_t<T>>();
    else if constexpr (is_address<T> || std::is_void_v<T> || std::is_unbounded_array_v<T>)
        return false;
    else
        return user_serialize<input_archive, T>;
}

template <class T>
concept has_make = requires(input_archive& archive) { codec<T>::make(archive); };

/// A T can be saved, perhaps as something that owns what a T only refers to.
template <class T>
concept saveable = can_save<std::remove_cvref_t<T>>();

/// A T can be created from a message.
template <class T>
concept loadable =
    !std::is_reference_v<T> && can_load_into<std::remove_cv_t<T>>() &&
    (bitwise<T> || has_make<std::remove_cv_t<T>> ||
     (std::is_default_constructible_v<std::remove_cv_t<T>> && std::is_move_constructible_v<std::remove_cv_t<T>>));

/// A T can go to another process.
template <class T>
concept travels = saveable<T> && loadable<T>;

/// The number that the user gave with BOOST_CLASS_VERSION.
template <class T>
consteval unsigned int class_version() {
    if constexpr (requires { boost::serialization::version<T>::value; })
        return static_cast<unsigned int>(boost::serialization::version<T>::value);
    else
        return 0;
}

/// A temporary of Boost that stands for something else, like `make_nvp`, and can be loaded into although it is const.
template <class T>
inline constexpr bool is_boost_wrapper = requires { requires bool(boost::serialization::is_wrapper<T>::type::value); };
template <class T>
inline constexpr bool is_boost_wrapper<boost::serialization::nvp<T>> = true;
template <class T>
inline constexpr bool is_boost_wrapper<boost::serialization::array_wrapper<T>> = true;

} // namespace multiprocessing::inline v0::detail
