#pragma once

#include <multiprocessing/config.hpp>

#include <cstddef>
#include <cstdlib>
#include <string>
#include <string_view>
#include <typeinfo>

#if __has_include(<cxxabi.h>)
#    include <cxxabi.h>
#endif

namespace multiprocessing::inline v0::detail {

/// The readable form of what `type_info::name()` gives. The name as it is where the compiler cannot translate it.
inline std::string demangle(char const* name);

/// The readable name of a type, for messages. It is no identity: two types can share it.
template <class T>
std::string readable_name() {
    return demangle(typeid(T).name());
}

// ---- implementation

/// Shortens what the standard library spells out but nobody writes.
inline std::string shorten_type_name(std::string name) {
    struct replacement {
        std::string_view spelled_out, written;
    };
    constexpr replacement replacements[] = {
        {"std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >", "std::string"},
        {"__cxx11::", ""},
        {"std::__1::", "std::"},
        {"multiprocessing::v0::", "multiprocessing::"},
    };
    for (auto const& [spelled_out, written] : replacements)
        for (std::size_t at = name.find(spelled_out); at != std::string::npos; at = name.find(spelled_out, at))
            name.replace(at, spelled_out.size(), written);
    return name;
}

inline std::string demangle(char const* name) {
#if __has_include(<cxxabi.h>)
    int status = 0;
    if (char* const readable = abi::__cxa_demangle(name, nullptr, nullptr, &status)) {
        struct guard {
            char* memory;
            ~guard() { std::free(memory); }
        } const free_at_end{readable};
        return shorten_type_name(readable);
    }
#endif
    return shorten_type_name(name);
}

} // namespace multiprocessing::inline v0::detail
