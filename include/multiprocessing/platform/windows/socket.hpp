#pragma once

#include <multiprocessing/platform/socket.hpp>

// Not there yet: handles of sockets need their own ways of reading, waiting and closing on Windows.
namespace multiprocessing::inline v0 {

bool platform::has_family(socket_family) noexcept { return false; }

platform::native_handle platform::listen_at(socket_address const&, int, socket_address&, std::error_code& error) {
    error = std::make_error_code(std::errc::address_family_not_supported);
    return invalid_handle;
}

platform::native_handle platform::accept_connection(native_handle, socket_address&, std::error_code& error) {
    error = std::make_error_code(std::errc::address_family_not_supported);
    return invalid_handle;
}

platform::native_handle platform::connect_to(socket_address const&, std::error_code& error) {
    error = std::make_error_code(std::errc::address_family_not_supported);
    return invalid_handle;
}

std::string platform::make_local_path(std::error_code& error) {
    error = std::make_error_code(std::errc::address_family_not_supported);
    return {};
}

void platform::remove_local_path(std::string const&, bool) noexcept {}

} // namespace multiprocessing::inline v0
