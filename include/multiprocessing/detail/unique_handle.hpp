#pragma once

#include <multiprocessing/platform/handle.hpp>

#include <utility>

namespace multiprocessing::inline v0::detail {

/// Owns a handle of the operating system and closes it.
class unique_handle {
public:
    unique_handle() noexcept = default;
    explicit unique_handle(platform::native_handle handle) noexcept : handle_(handle) {}
    unique_handle(unique_handle&& other) noexcept : handle_(other.release()) {}
    unique_handle& operator=(unique_handle&& other) noexcept {
        reset(other.release());
        return *this;
    }
    ~unique_handle() { platform::close(handle_); }

    platform::native_handle get() const noexcept { return handle_; }
    explicit operator bool() const noexcept { return handle_ != platform::invalid_handle; }
    platform::native_handle release() noexcept { return std::exchange(handle_, platform::invalid_handle); }
    void reset(platform::native_handle handle = platform::invalid_handle) noexcept {
        platform::close(std::exchange(handle_, handle));
    }

private:
    platform::native_handle handle_ = platform::invalid_handle;
};

} // namespace multiprocessing::inline v0::detail
