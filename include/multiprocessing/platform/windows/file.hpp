#pragma once

#include <multiprocessing/platform/file.hpp>
#include <multiprocessing/platform/windows/text.hpp>

#include <cerrno>
#include <new>

namespace multiprocessing::inline v0 {

std::FILE* platform::create_file(std::string const& path, std::error_code& error) noexcept {
    error.clear();
    std::FILE* file = nullptr;
    try {
        file = ::_wfopen(windows::to_wide(path).c_str(), L"wbN");
        if (file == nullptr) error.assign(errno, std::generic_category());
    } catch (std::bad_alloc const&) {
        error = std::make_error_code(std::errc::not_enough_memory);
    }
    if (file != nullptr) std::setvbuf(file, nullptr, _IONBF, 0);
    return file;
}

} // namespace multiprocessing::inline v0
