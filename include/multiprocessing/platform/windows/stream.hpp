#pragma once

#include <multiprocessing/platform/channel.hpp>
#include <multiprocessing/platform/stream.hpp>
#include <multiprocessing/platform/windows/api.hpp>

#include <array>
#include <cstring>

namespace multiprocessing::inline v0 {

void platform::write_stream(
    native_handle stream,
    std::span<std::byte const> first,
    std::span<std::byte const> second,
    std::span<native_handle const> handles,
    std::error_code& error) noexcept {
    if (!handles.empty()) {
        error = std::make_error_code(std::errc::not_supported);
        return;
    }
    std::array<std::byte, 4096> small; // one call is cheaper than a copy
    if (first.size() + second.size() <= small.size()) {
        if (!first.empty()) std::memcpy(small.data(), first.data(), first.size());
        if (!second.empty()) std::memcpy(small.data() + first.size(), second.data(), second.size());
        write_all(stream, std::span(small).first(first.size() + second.size()), error);
        return;
    }
    write_all(stream, first, error);
    if (!error) write_all(stream, second, error);
}

platform::stream_part platform::read_stream(
    native_handle stream, std::span<std::byte> bytes, std::span<native_handle>, std::error_code& error) noexcept {
    stream_part result;
    result.bytes = read_some(stream, bytes, error);
    return result;
}

void platform::write_byte_at_once(native_handle stream, std::byte value, std::error_code& error) noexcept {
    write_all(stream, {&value, 1}, error); // a pipe that is full makes it wait: nobody uses it as a bell
}

platform::stream_front platform::peek_stream(native_handle stream, std::error_code& error) noexcept {
    using kind = stream_front::kind;
    stream_front front;
    error.clear();
    if (windows::is_socket(stream)) {
        if (windows::events_of(stream) == 0) return front;
        auto* const place = reinterpret_cast<char*>(&front.value);
        int const size = ::recv(windows::socket_of(stream), place, 1, MSG_PEEK);
        front.what = size > 0 ? kind::byte : kind::end;
        auto const failure = size < 0 ? windows::last_socket_error() : std::error_code();
        if (!windows::is_end_of_connection(failure)) error = failure;
        return front;
    }
    DWORD count = 0;
    if (!::PeekNamedPipe(stream, &front.value, 1, &count, nullptr, nullptr)) {
        front.what = kind::end;
        if (!windows::is_end_of_stream(::GetLastError())) error = last_error();
    } else if (count > 0) {
        front.what = kind::byte;
    }
    return front;
}

bool platform::stream_has_ended(native_handle stream) noexcept {
    if (windows::is_socket(stream)) return (windows::events_of(stream) & (POLLHUP | POLLERR | POLLNVAL)) != 0;
    DWORD available = 0;
    return !::PeekNamedPipe(stream, nullptr, 0, nullptr, &available, nullptr);
}

// The number holds this process and a duplicate that only waits to be taken: the receiver's process id is not known here.
// Sockets travel in the same way: the system makes its part of a socket in the receiver when it is first used there.

std::uint64_t platform::publish_handle(native_handle handle, std::error_code& error) noexcept {
    error.clear();
    native_handle const copy = windows::duplicate_to_keep(handle, error);
    if (error) return 0;
    auto const value = reinterpret_cast<std::uintptr_t>(copy); // handles have 32 significant bits
    return std::uint64_t{::GetCurrentProcessId()} << 32 | static_cast<std::uint32_t>(value);
}

platform::native_handle platform::take_published_handle(std::uint64_t number, std::error_code& error) noexcept {
    error.clear();
    HANDLE const owner = ::OpenProcess(PROCESS_DUP_HANDLE, FALSE, static_cast<DWORD>(number >> 32));
    if (owner == nullptr) {
        error = windows::make_error(::GetLastError());
        return invalid_handle;
    }
    auto const there = reinterpret_cast<HANDLE>(static_cast<std::uintptr_t>(static_cast<std::uint32_t>(number)));
    HANDLE copy = nullptr;
    if (!::DuplicateHandle(
            owner, there, ::GetCurrentProcess(), &copy, 0, FALSE, DUPLICATE_SAME_ACCESS | DUPLICATE_CLOSE_SOURCE)) {
        error = windows::make_error(::GetLastError());
        copy = invalid_handle;
    }
    ::CloseHandle(owner);
    return copy;
}

} // namespace multiprocessing::inline v0
