#pragma once

#include <multiprocessing/detail/archive_boost.hpp>
#include <multiprocessing/detail/archive_core.hpp>
#include <multiprocessing/detail/archive_pointers.hpp>
#include <multiprocessing/detail/archive_std.hpp>
#include <multiprocessing/detail/byte_sink.hpp>

#include <cstddef>
#include <span>

namespace multiprocessing::inline v0::detail {

/// Appends one object to `sink`.
template <class T>
void save(byte_sink& sink, T const& value) {
    output_archive archive(sink);
    archive.save(value);
}

/// The object that all of `bytes` is. Throws ValueError if they are anything else.
template <class T>
T load(std::span<std::byte const> bytes) {
    input_archive archive(bytes);
    T value = archive.make<T>();
    archive.expect_end();
    return value;
}

} // namespace multiprocessing::inline v0::detail
