#pragma once

#include <multiprocessing/platform/windows/api.hpp>

#include <string>
#include <string_view>

/// The library speaks UTF-8, Windows UTF-16.
namespace multiprocessing::inline v0::platform::windows {

inline std::wstring to_wide(std::string_view text) {
    int const length = static_cast<int>(text.size());
    std::wstring wide(
        static_cast<std::size_t>(::MultiByteToWideChar(CP_UTF8, 0, text.data(), length, nullptr, 0)), L'\0');
    ::MultiByteToWideChar(CP_UTF8, 0, text.data(), length, wide.data(), static_cast<int>(wide.size()));
    return wide;
}

inline std::string to_utf8(std::wstring_view wide) {
    int const length = static_cast<int>(wide.size());
    int const needed = ::WideCharToMultiByte(CP_UTF8, 0, wide.data(), length, nullptr, 0, nullptr, nullptr);
    std::string text(static_cast<std::size_t>(needed), '\0');
    ::WideCharToMultiByte(CP_UTF8, 0, wide.data(), length, text.data(), needed, nullptr, nullptr);
    return text;
}

} // namespace multiprocessing::inline v0::platform::windows
