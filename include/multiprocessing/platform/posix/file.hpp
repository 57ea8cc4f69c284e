#pragma once

#include <multiprocessing/platform/file.hpp>

#include <cerrno>

namespace multiprocessing::inline v0 {

std::FILE* platform::create_file(std::string const& path, std::error_code& error) noexcept {
    error.clear();
    std::FILE* const file = std::fopen(path.c_str(), "wbe");
    if (file == nullptr)
        error.assign(errno, std::generic_category());
    else
        std::setvbuf(file, nullptr, _IONBF, 0);
    return file;
}

} // namespace multiprocessing::inline v0
