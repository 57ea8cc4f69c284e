#pragma once

#include <multiprocessing/detail/made_once.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/platform/module.hpp>

#include <cstdint>
#include <string_view>
#include <type_traits>

/// How one process names a function for another process of the same program: the place of a constant that describes it.
/// A readable name would be no identity (two lambdas can share it), and an address means nothing after exec.
namespace multiprocessing::inline v0::detail {

/// What travels. Verified before anything is called.
struct entry_id {
    platform::module_place place;
    std::uint64_t check = 0;

    bool operator==(entry_id const& other) const noexcept {
        return place.module == other.place.module && place.offset == other.place.offset && check == other.check;
    }
};

/// The id of `*Function`, a function of this program or of a library that it has loaded.
template <auto* Function>
entry_id identify();

/// The function with this id, of type Function. Throws PicklingError if this program is another build, or lacks the
/// library.
template <class Function>
Function* find_entry(entry_id const& id);

/// The same for a function that is only known by its address.
platform::module_place place_of_code(void const* address);
void const* code_at(platform::module_place place);

// ---- implementation

template <class T>
consteval std::uint64_t hash_of_type() {
#if defined(_MSC_VER)
    std::string_view const name = __FUNCSIG__;
#else
    std::string_view const name = __PRETTY_FUNCTION__;
#endif
    std::uint64_t hash = 0xcbf29ce484222325;
    for (char const letter : name) hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3;
    return hash;
}

/// The constant: it can be recognised, and it holds the function.
template <class Function>
struct entry_point {
    std::uint64_t check;
    Function* function;
};

template <auto* Function>
struct entry_name {};

template <auto* Function>
inline constexpr entry_point<std::remove_pointer_t<decltype(Function)>> entry_point_of{
    hash_of_type<entry_name<Function>>(), Function};

inline platform::module_place place_of_code(void const* address) {
    auto const place = platform::locate(address);
    if (place.module == 0)
        throw PicklingError("a function that lies in no loaded module cannot be named for another process");
    return place;
}

inline void const* code_at(platform::module_place place) {
    void const* const address = platform::resolve(place);
    if (address == nullptr) {
        throw PicklingError("the function to run is not in this process: the program is another build, or a shared "
                            "library is not loaded");
    }
    return address;
}

template <auto* Function>
entry_id identify() {
    static constinit made_once<entry_id> id;
    return id.get([] { return entry_id{place_of_code(&entry_point_of<Function>), entry_point_of<Function>.check}; });
}

template <class Function>
Function* find_entry(entry_id const& id) {
    // A worker is asked for the same function again and again.
    thread_local entry_id last;
    thread_local Function* found = nullptr;
    if (found != nullptr && id == last) return found;
    auto const* const point = static_cast<entry_point<Function> const*>(code_at(id.place));
    if (reinterpret_cast<std::uintptr_t>(point) % alignof(entry_point<Function>) != 0 || point->check != id.check) {
        throw PicklingError("the function to run is not what the sender meant: the program is another build");
    }
    last = id;
    found = point->function;
    return found;
}

} // namespace multiprocessing::inline v0::detail
