#pragma once

#include <multiprocessing/config.hpp>
#include <multiprocessing/platform/error.hpp>
#include <multiprocessing/platform/socket.hpp>
#include <multiprocessing/platform/windows/channel.hpp>
#include <multiprocessing/platform/windows/pipe_listener.hpp>
#include <multiprocessing/platform/windows/text.hpp>
#include <multiprocessing/platform/windows/winsock.hpp>

#include <cstring>
#include <optional>

#include <ws2tcpip.h>

namespace multiprocessing::inline v0 {

namespace platform::windows {

struct raw_address {
    ::sockaddr_storage storage{};
    int size = 0;

    ::sockaddr* get() noexcept { return reinterpret_cast<::sockaddr*>(&storage); }
    ::sockaddr const* get() const noexcept { return reinterpret_cast<::sockaddr const*>(&storage); }
};

inline int number_of(socket_family family) noexcept { return family == socket_family::internet ? AF_INET : AF_INET6; }

inline raw_address to_raw(socket_address const& where, std::error_code& error) {
    error.clear();
    raw_address raw;
    if (!use_sockets()) {
        error = std::make_error_code(std::errc::network_down);
        return raw;
    }
    ::ADDRINFOW hints{};
    hints.ai_family = number_of(where.family);
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV | (where.name.empty() ? AI_PASSIVE : 0);
    ::ADDRINFOW* found = nullptr;
    std::wstring const host = to_wide(where.name);
    std::wstring const port = std::to_wstring(where.port);
    int const code = ::GetAddrInfoW(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &found);
    if (code != 0) {
        error = make_error(static_cast<DWORD>(code));
        return raw;
    }
    std::memcpy(&raw.storage, found->ai_addr, found->ai_addrlen);
    raw.size = static_cast<int>(found->ai_addrlen);
    ::FreeAddrInfoW(found);
    return raw;
}

inline socket_address from_raw(raw_address const& raw) {
    char text[INET6_ADDRSTRLEN] = {};
    if (raw.storage.ss_family == AF_INET) {
        ::sockaddr_in in{};
        std::memcpy(&in, &raw.storage, sizeof in);
        ::inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
        return {socket_family::internet, text, ntohs(in.sin_port)};
    }
    ::sockaddr_in6 in{};
    std::memcpy(&in, &raw.storage, sizeof in);
    ::inet_ntop(AF_INET6, &in.sin6_addr, text, sizeof text);
    return {socket_family::internet6, text, ntohs(in.sin6_port)};
}

inline SOCKET make_socket(socket_family family, std::error_code& error) noexcept {
    constexpr DWORD flags = WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT;
    SOCKET const made = ::WSASocketW(number_of(family), SOCK_STREAM, 0, nullptr, 0, flags);
    error = made == INVALID_SOCKET ? last_socket_error() : std::error_code();
    return made;
}

/// A long message is written in two parts: the second shall not wait until the first has been acknowledged.
inline native_handle as_stream(SOCKET made) noexcept {
    BOOL const on = TRUE;
    ::setsockopt(made, IPPROTO_TCP, TCP_NODELAY, reinterpret_cast<char const*>(&on), sizeof on);
    return handle_of(made);
}

/// A socket that listens. It does not block; its event is set while a client waits.
class socket_listener {
public:
    explicit socket_listener(HANDLE event) noexcept : event_(event) {}
    ~socket_listener() {
        if (socket_ != INVALID_SOCKET) ::closesocket(socket_);
    }
    socket_listener(socket_listener const&) = delete;
    socket_listener& operator=(socket_listener const&) = delete;

    void listen(socket_address const& where, int backlog, socket_address& bound, std::error_code& error) {
        auto raw = to_raw(where, error);
        if (error) return;
        socket_ = make_socket(where.family, error);
        if (error) return;
        // Another program could listen at the same address otherwise; SO_REUSEADDR, which is harmless elsewhere, lets it.
        BOOL const on = TRUE;
        auto const* const value = reinterpret_cast<char const*>(&on);
        ::setsockopt(socket_, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, value, sizeof on);
        int size = sizeof raw.storage;
        if (::bind(socket_, raw.get(), raw.size) != 0 || ::listen(socket_, backlog) != 0 ||
            ::WSAEventSelect(socket_, event_, FD_ACCEPT) != 0 || ::getsockname(socket_, raw.get(), &size) != 0) {
            error = last_socket_error();
            return;
        }
        bound = from_raw(raw);
    }

    native_handle accept(socket_address& peer, std::error_code& error) {
        raw_address raw;
        SOCKET made = INVALID_SOCKET;
        for (;;) {
            ::ResetEvent(event_); // before accept, which sets it again if there is one more
            raw.size = sizeof raw.storage;
            made = ::accept(socket_, raw.get(), &raw.size);
            if (made != INVALID_SOCKET) break;
            int const why = ::WSAGetLastError();
            if (why == WSAECONNRESET) continue; // that client has gone
            if (why != WSAEWOULDBLOCK) {
                error = make_error(static_cast<DWORD>(why));
                return invalid_handle;
            }
            ::WaitForSingleObject(event_, INFINITE);
        }
        u_long blocks = 0; // what the new one has from this one is not for it
        ::WSAEventSelect(made, nullptr, 0);
        ::ioctlsocket(made, FIONBIO, &blocks);
        ::SetHandleInformation(handle_of(made), HANDLE_FLAG_INHERIT, 0);
        error.clear();
        peer = from_raw(raw);
        return as_stream(made);
    }

private:
    HANDLE event_;
    SOCKET socket_ = INVALID_SOCKET;
};

} // namespace platform::windows

struct platform::listener {
    HANDLE event = nullptr;
    std::optional<windows::socket_listener> socket; // one of the two
    std::optional<windows::pipe_listener> pipe;

    listener() = default;
    ~listener() {
        socket.reset();
        pipe.reset();
        platform::close(event);
    }
    listener(listener const&) = delete;
    listener& operator=(listener const&) = delete;
};

platform::native_handle platform::readiness_of(listener const& listening) noexcept { return listening.event; }

std::unique_ptr<platform::listener>
platform::listen_at(socket_address const& where, int backlog, socket_address& bound, std::error_code& error) {
    auto listening = std::make_unique<listener>();
    if (where.family == socket_family::local) {
        bound = where;
        std::wstring name = windows::to_wide(where.name);
        listening->event = windows::make_sign_of_life(name, error);
        if (!error) listening->pipe.emplace(listening->event, std::move(name)).listen(error);
    } else {
        listening->event = ::CreateEventW(nullptr, TRUE, FALSE, nullptr);
        error = listening->event == nullptr ? last_error() : std::error_code();
        if (!error) listening->socket.emplace(listening->event).listen(where, backlog, bound, error);
    }
    if (error) listening.reset();
    return listening;
}

platform::native_handle platform::accept_connection(listener& listening, socket_address& peer, std::error_code& error) {
    if (listening.socket) return listening.socket->accept(peer, error);
    peer = {};
    return listening.pipe->accept(error);
}

platform::native_handle platform::connect_to(socket_address const& where, std::error_code& error) {
    if (where.family == socket_family::local) return windows::connect_to_pipe(windows::to_wide(where.name), error);
    auto const raw = windows::to_raw(where, error);
    if (error) return invalid_handle;
    SOCKET const made = windows::make_socket(where.family, error);
    if (error) return invalid_handle;
    if (::connect(made, raw.get(), raw.size) == 0) return windows::as_stream(made);
    error = windows::last_socket_error();
    ::closesocket(made);
    return invalid_handle;
}

std::string platform::make_local_path(std::error_code& error) {
    auto const name = windows::new_pipe_name(error);
    return error ? std::string() : windows::to_utf8(name.data());
}

void platform::remove_local_path(std::string const&, bool) noexcept {}

} // namespace multiprocessing::inline v0
