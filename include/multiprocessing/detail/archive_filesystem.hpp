#pragma once

#include <multiprocessing/detail/archive_core.hpp>
#include <multiprocessing/detail/archive_std.hpp>

#include <filesystem>
#include <utility>

namespace multiprocessing::inline v0::detail {

/// Apart from the others because <filesystem> is large: whoever sends paths has it anyway.
template <>
struct codec<std::filesystem::path> {
    static constexpr bool saves = true, loads = true;
    static void save(output_archive& archive, std::filesystem::path const& path) { archive << path.native(); }
    static void load(input_archive& archive, std::filesystem::path& path) {
        path = archive.make<std::filesystem::path::string_type>();
    }
};

} // namespace multiprocessing::inline v0::detail
