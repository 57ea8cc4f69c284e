#pragma once

#include <multiprocessing/detail/archive_core.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>

/// What functions written for Boost.Serialization hand to an archive besides the user's data.
namespace multiprocessing::inline v0::detail {

/// BOOST_SERIALIZATION_NVP: a name, which is of no use here, and a value.
template <class T>
struct codec<boost::serialization::nvp<T>> {
    static constexpr bool saves = true, loads = true;
    static void save(output_archive& archive, boost::serialization::nvp<T> const& named) {
        archive << named.const_value();
    }
    static void load(input_archive& archive, boost::serialization::nvp<T> const& named) { archive >> named.value(); }
};

/// boost::serialization::make_array: elements whose number the other side knows.
template <class T>
struct codec<boost::serialization::array_wrapper<T>> {
    static constexpr bool saves = true, loads = true;
    static void save(output_archive& archive, boost::serialization::array_wrapper<T> const& array) {
        if constexpr (bitwise<T>)
            archive.save_binary(array.address(), array.count() * sizeof(T));
        else
            for (std::size_t i = 0; i != array.count(); ++i) archive << array.address()[i];
    }
    static void load(input_archive& archive, boost::serialization::array_wrapper<T> const& array) {
        if constexpr (bitwise<T>)
            archive.load_binary(array.address(), array.count() * sizeof(T));
        else
            for (std::size_t i = 0; i != array.count(); ++i) archive >> array.address()[i];
    }
};

/// The container functions of Boost reserve memory for the size that they read, before they see one element.
template <>
struct codec<boost::serialization::collection_size_type> {
    static constexpr bool saves = true, loads = true;
    static constexpr std::uint64_t most_without_content = 65536;
    template <class Size>
    static void save(output_archive& archive, Size const& size) {
        archive.save_size(static_cast<std::size_t>(size));
    }
    template <class Size>
    static void load(input_archive& archive, Size& size) {
        auto const count = archive.make<std::uint64_t>();
        if (count > archive.remaining() && count > most_without_content) throw_damaged_message();
        size = Size(static_cast<std::size_t>(count));
    }
};

/// A version number in a class of its own.
struct version_codec {
    static constexpr bool saves = true, loads = true;
    template <class Version>
    static void save(output_archive& archive, Version const& version) {
        archive << static_cast<unsigned int>(version);
    }
    template <class Version>
    static void load(input_archive& archive, Version& version) {
        version = Version(archive.make<unsigned int>());
    }
};
template <>
struct codec<boost::serialization::item_version_type> : version_codec {};
template <>
struct codec<boost::serialization::library_version_type> : version_codec {};

} // namespace multiprocessing::inline v0::detail
