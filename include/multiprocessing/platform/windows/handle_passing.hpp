#pragma once

#include <multiprocessing/platform/channel.hpp>
#include <multiprocessing/platform/error.hpp>
#include <multiprocessing/platform/handle_passing.hpp>

#include <algorithm>
#include <array>
#include <cstdint>

namespace multiprocessing::inline v0 {

namespace platform::windows {

/// What travels before the data: how many handles, and their values in the receiver.
using handle_message = std::array<std::uint64_t, 1 + handles_per_message>;

} // namespace platform::windows

void platform::send_handles(
    native_handle channel,
    std::span<std::byte const> data,
    std::span<native_handle const> handles,
    process_id receiver,
    std::error_code& error) noexcept {
    if (data.empty() || handles.size() > handles_per_message) {
        error = std::make_error_code(std::errc::invalid_argument);
        return;
    }
    error.clear();
    HANDLE target = nullptr;
    if (!handles.empty()) {
        target = ::OpenProcess(PROCESS_DUP_HANDLE, FALSE, static_cast<DWORD>(receiver));
        if (target == nullptr) {
            error = last_error();
            return;
        }
    }
    windows::handle_message message{};
    std::uint64_t& count = message[0];
    for (HANDLE const handle : handles) {
        HANDLE there = nullptr;
        if (!::DuplicateHandle(::GetCurrentProcess(), handle, target, &there, 0, FALSE, DUPLICATE_SAME_ACCESS)) {
            error = last_error();
            break;
        }
        message[++count] = reinterpret_cast<std::uintptr_t>(there);
    }
    if (!error) {
        auto const bytes = std::as_bytes(std::span(message));
        write_all(channel, bytes.first((1 + static_cast<std::size_t>(count)) * sizeof message[0]), error);
        if (!error) write_all(channel, data, error);
    }
    if (target == nullptr) return;
    for (std::size_t i = 1; error && i <= count; ++i) { // the receiver does not know of them: nobody else closes them
        auto const there = reinterpret_cast<HANDLE>(static_cast<std::uintptr_t>(message[i]));
        ::DuplicateHandle(target, there, nullptr, nullptr, 0, FALSE, DUPLICATE_CLOSE_SOURCE);
    }
    ::CloseHandle(target);
}

platform::received platform::receive_handles(
    native_handle channel,
    std::span<std::byte> data,
    std::span<native_handle> handles,
    std::error_code& error) noexcept {
    windows::handle_message message{};
    auto const bytes = std::as_writable_bytes(std::span(message));
    constexpr std::size_t unit = sizeof message[0];
    if (!read_all(channel, bytes.first(unit), error)) return {};
    if (message[0] > handles_per_message) {
        error = std::make_error_code(std::errc::bad_message);
        return {};
    }
    auto const count = static_cast<std::size_t>(message[0]);
    received result;
    if (read_all(channel, bytes.subspan(unit, count * unit), error)) {
        for (std::size_t i = 1; i <= count; ++i) {
            auto const handle = reinterpret_cast<HANDLE>(static_cast<std::uintptr_t>(message[i]));
            if (result.handles < handles.size()) {
                handles[result.handles++] = handle;
            } else { // more than were asked for: they must not stay open
                ::CloseHandle(handle);
                error = std::make_error_code(std::errc::too_many_files_open);
            }
        }
        if (!error) result.bytes = read_some(channel, data, error);
        if (!error && result.bytes == 0) error = std::make_error_code(std::errc::broken_pipe);
    } else if (!error) {
        error = std::make_error_code(std::errc::broken_pipe);
    }
    if (!error) return result;
    for (std::size_t i = 0; i < result.handles; ++i) ::CloseHandle(handles[i]);
    return {};
}

} // namespace multiprocessing::inline v0
