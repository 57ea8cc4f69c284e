#pragma once

#include <multiprocessing/detail/archive.hpp>
#include <multiprocessing/detail/shared_object.hpp>

namespace multiprocessing::inline v0::detail {

/// How a handle travels that has one member `object_`, a shared_object, and a private constructor that takes it. The
/// handle names this class its friend, and beside it stands
///     template <> struct detail::codec<Handle> : detail::handle_codec<Handle> {};
/// In contrast to a `serialize` function this makes no object that is thrown away at once.
template <class Handle>
struct handle_codec {
    static constexpr bool saves = true;
    static constexpr bool loads = true;

    static void save(output_archive& archive, Handle const& handle) { archive << handle.object_; }
    static Handle make(input_archive& archive) { return Handle(make_present<decltype(Handle::object_)>(archive)); }
    static void load(input_archive& archive, Handle& handle) { handle = make(archive); }
};

} // namespace multiprocessing::inline v0::detail
