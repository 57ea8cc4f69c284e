#pragma once

#include <multiprocessing/config.hpp>
#include <multiprocessing/platform/error.hpp>
#include <multiprocessing/platform/socket.hpp>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace multiprocessing::inline v0 {

namespace platform::posix {

struct raw_address {
    ::sockaddr_storage storage{};
    ::socklen_t size = 0;

    ::sockaddr* get() noexcept { return reinterpret_cast<::sockaddr*>(&storage); }
    ::sockaddr const* get() const noexcept { return reinterpret_cast<::sockaddr const*>(&storage); }
};

inline int number_of(socket_family family) noexcept {
    switch (family) {
    case socket_family::internet: return AF_INET;
    case socket_family::internet6: return AF_INET6;
    default: return AF_UNIX;
    }
}

inline std::error_code resolver_error(int code) noexcept {
    switch (code) {
    case EAI_SYSTEM: return last_error();
    case EAI_MEMORY: return std::make_error_code(std::errc::not_enough_memory);
    case EAI_AGAIN: return std::make_error_code(std::errc::resource_unavailable_try_again);
    case EAI_FAMILY: return std::make_error_code(std::errc::address_family_not_supported);
    default: return std::make_error_code(std::errc::host_unreachable);
    }
}

inline raw_address to_raw(socket_address const& where, std::error_code& error) {
    error.clear();
    raw_address raw;
    if (where.family == socket_family::local) {
        ::sockaddr_un local{};
        bool const is_file = where.name.empty() || where.name[0] != '\0';
        if (where.name.size() + (is_file ? 1 : 0) > sizeof local.sun_path) {
            error = std::make_error_code(std::errc::filename_too_long);
            return raw;
        }
        local.sun_family = AF_UNIX;
        std::memcpy(local.sun_path, where.name.data(), where.name.size());
        std::memcpy(&raw.storage, &local, sizeof local);
        raw.size = static_cast<::socklen_t>(offsetof(::sockaddr_un, sun_path) + where.name.size() + (is_file ? 1 : 0));
        return raw;
    }
    ::addrinfo hints{};
    hints.ai_family = number_of(where.family);
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV | (where.name.empty() ? AI_PASSIVE : 0);
    ::addrinfo* found = nullptr;
    std::string const port = std::to_string(where.port);
    int const code = ::getaddrinfo(where.name.empty() ? nullptr : where.name.c_str(), port.c_str(), &hints, &found);
    if (code != 0) {
        error = resolver_error(code);
        return raw;
    }
    std::memcpy(&raw.storage, found->ai_addr, found->ai_addrlen);
    raw.size = found->ai_addrlen;
    ::freeaddrinfo(found);
    return raw;
}

inline socket_address from_raw(raw_address const& raw) {
    socket_address where;
    char text[INET6_ADDRSTRLEN] = {};
    if (raw.storage.ss_family == AF_INET) {
        ::sockaddr_in in{};
        std::memcpy(&in, &raw.storage, sizeof in);
        ::inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
        return {socket_family::internet, text, ntohs(in.sin_port)};
    }
    if (raw.storage.ss_family == AF_INET6) {
        ::sockaddr_in6 in{};
        std::memcpy(&in, &raw.storage, sizeof in);
        ::inet_ntop(AF_INET6, &in.sin6_addr, text, sizeof text);
        return {socket_family::internet6, text, ntohs(in.sin6_port)};
    }
    return where; // local: who connects has no name
}

inline native_handle make_socket(socket_family family, std::error_code& error) noexcept {
#if defined(SOCK_CLOEXEC)
    native_handle const made = beyond_standard_streams(::socket(number_of(family), SOCK_STREAM | SOCK_CLOEXEC, 0));
#else
    native_handle const made = beyond_standard_streams(::socket(number_of(family), SOCK_STREAM, 0));
    int const on = 1;
    if (made >= 0) {
        ::fcntl(made, F_SETFD, FD_CLOEXEC);
        ::setsockopt(made, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
    }
#endif
    error = made < 0 ? last_error() : std::error_code();
    return made < 0 ? invalid_handle : made;
}

inline native_handle closed_with(native_handle made, std::error_code& error, std::error_code why) noexcept {
    error = why;
    ::close(made);
    return invalid_handle;
}

/// A connect that a signal interrupted goes on by itself; its outcome has to be waited for.
inline std::error_code finish_connecting(native_handle made) noexcept {
    ::pollfd entry{made, POLLOUT, 0};
    while (::poll(&entry, 1, -1) < 0) {
        if (errno != EINTR) return last_error();
    }
    int outcome = 0;
    ::socklen_t size = sizeof outcome;
    if (::getsockopt(made, SOL_SOCKET, SO_ERROR, &outcome, &size) != 0) return last_error();
    return {outcome, std::generic_category()};
}

} // namespace platform::posix

struct platform::listener {
    native_handle socket = invalid_handle;

    listener() = default;
    ~listener() { platform::close(socket); }
    listener(listener const&) = delete;
    listener& operator=(listener const&) = delete;
};

platform::native_handle platform::readiness_of(listener const& listening) noexcept { return listening.socket; }

std::unique_ptr<platform::listener>
platform::listen_at(socket_address const& where, int backlog, socket_address& bound, std::error_code& error) {
    auto raw = posix::to_raw(where, error);
    if (error) return nullptr;
    auto listening = std::make_unique<listener>();
    native_handle const made = posix::make_socket(where.family, error);
    listening->socket = made;
    if (error) return nullptr;
    auto const refused = [&] {
        error = last_error();
        return nullptr;
    };
    int const on = 1;
    if (where.family != socket_family::local) ::setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(made, raw.get(), raw.size) != 0) return refused();
    bound = where;
    if (::listen(made, backlog) != 0) {
        refused();
        if (where.family == socket_family::local) remove_local_path(where.name, false);
        return nullptr;
    }
    if (where.family != socket_family::local) {
        raw.size = sizeof raw.storage;
        if (::getsockname(made, raw.get(), &raw.size) != 0) return refused();
        bound = posix::from_raw(raw);
    }
    return listening;
}

platform::native_handle platform::accept_connection(listener& listening, socket_address& peer, std::error_code& error) {
    posix::raw_address raw;
    native_handle made = invalid_handle;
    for (;;) {
        raw.size = sizeof raw.storage;
#if defined(MULTIPROCESSING_LINUX)
        made = posix::beyond_standard_streams(::accept4(listening.socket, raw.get(), &raw.size, SOCK_CLOEXEC));
#else
        made = posix::beyond_standard_streams(::accept(listening.socket, raw.get(), &raw.size));
#endif
        if (made >= 0) break;
        if (errno == EINTR || errno == ECONNABORTED) continue;
        error = last_error();
        return invalid_handle;
    }
#if !defined(MULTIPROCESSING_LINUX)
    int const on = 1;
    ::fcntl(made, F_SETFD, FD_CLOEXEC);
    ::setsockopt(made, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    error.clear();
    peer = posix::from_raw(raw);
    return made;
}

platform::native_handle platform::connect_to(socket_address const& where, std::error_code& error) {
    auto const raw = posix::to_raw(where, error);
    if (error) return invalid_handle;
    native_handle const made = posix::make_socket(where.family, error);
    if (error) return made;
    while (::connect(made, raw.get(), raw.size) != 0) {
        auto const why = last_error();
        if (why == std::errc::already_connected) break;
        if (why != std::errc::interrupted) return posix::closed_with(made, error, why);
        if (where.family == socket_family::local) continue; // it had not begun
        if (auto const outcome = posix::finish_connecting(made)) return posix::closed_with(made, error, outcome);
        break;
    }
    return made;
}

std::string platform::make_local_path(std::error_code& error) {
    constexpr char file[] = "/listener";
    constexpr char pattern[] = "/pymp-XXXXXX"; // the folder; mkdtemp makes it 0700
    char const* const chosen = std::getenv("TMPDIR");
    std::string folder = chosen != nullptr && *chosen != '\0' ? chosen : "/tmp";
    if (folder.size() + sizeof file + sizeof pattern > sizeof ::sockaddr_un{}.sun_path) folder = "/tmp";
    folder += pattern;
    if (::mkdtemp(folder.data()) == nullptr) {
        error = last_error();
        return {};
    }
    error.clear();
    return folder + file;
}

void platform::remove_local_path(std::string const& path, bool folder) noexcept {
    if (path.empty() || path[0] == '\0') return;
    ::unlink(path.c_str());
    if (!folder) return;
    try {
        ::rmdir(path.substr(0, path.rfind('/')).c_str());
    } catch (...) {
    } // no memory: the empty folder stays
}

} // namespace multiprocessing::inline v0
