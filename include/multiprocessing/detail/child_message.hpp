#pragma once

#include <multiprocessing/detail/made_once.hpp>
#include <multiprocessing/platform/handle.hpp>
#include <multiprocessing/platform/self.hpp>

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

namespace multiprocessing::inline v0::detail {

/// What a program that was started to become a child is told, in an environment variable.
struct child_message {
    platform::native_handle segment = platform::invalid_handle;  ///< the arena of the tree
    std::size_t size = 0;                                        ///< of the arena
    platform::native_handle lifeline = platform::invalid_handle; ///< closed when the parent ends
    std::uint64_t record = 0;                                    ///< where in the arena the rest stands

    static constexpr char variable[] = "MULTIPROCESSING_CHILD";

    std::string text() const;

    /// The message to this program, if there is one. It is taken out of the environment, so that no program that this
    /// one starts finds it; freeze_support() empties it.
    MULTIPROCESSING_ONE_PER_PROCESS static std::optional<child_message>& received() {
        static constinit made_once<std::optional<child_message>> message;
        return message.get([] { return parse(platform::take_environment(variable)); });
    }

private:
    static std::optional<child_message> parse(std::optional<std::string> const& text);
};

// ---- implementation

inline std::uintptr_t handle_number(platform::native_handle handle) noexcept {
#if defined(MULTIPROCESSING_WINDOWS)
    return reinterpret_cast<std::uintptr_t>(handle);
#else
    return static_cast<std::uintptr_t>(handle);
#endif
}

inline platform::native_handle numbered_handle(std::uintptr_t number) noexcept {
#if defined(MULTIPROCESSING_WINDOWS)
    return reinterpret_cast<platform::native_handle>(number);
#else
    return static_cast<platform::native_handle>(number);
#endif
}

inline std::string child_message::text() const {
    char buffer[128];
    std::snprintf(
        buffer,
        sizeof buffer,
        "%llx,%llx,%llx,%llx",
        static_cast<unsigned long long>(handle_number(segment)),
        static_cast<unsigned long long>(size),
        static_cast<unsigned long long>(handle_number(lifeline)),
        static_cast<unsigned long long>(record));
    return buffer;
}

inline std::optional<child_message> child_message::parse(std::optional<std::string> const& text) {
    unsigned long long part[4];
    if (!text || std::sscanf(text->c_str(), "%llx,%llx,%llx,%llx", &part[0], &part[1], &part[2], &part[3]) != 4) {
        return std::nullopt;
    }
    return child_message{
        numbered_handle(static_cast<std::uintptr_t>(part[0])),
        static_cast<std::size_t>(part[1]),
        numbered_handle(static_cast<std::uintptr_t>(part[2])),
        part[3]};
}

} // namespace multiprocessing::inline v0::detail
