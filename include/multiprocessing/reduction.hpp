#pragma once

#include <multiprocessing/connection.hpp>
#include <multiprocessing/platform/handle_passing.hpp>
#include <multiprocessing/platform/self.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace multiprocessing::inline v0 {

/// Sends a duplicate of an open handle through a connection between processes of this machine; the sender may close its own
/// at once. `recv_handle` is the counterpart, here or in Python.
///
/// Python: `multiprocessing.reduction.send_handle(conn, handle, destination_pid)`.
///
/// destination_pid  the receiver; needed on Windows only
/// Throws           OSError  the connection is closed or no local one, or the handle is invalid
/// Safe from        as Connection.send
/// Example          examples/33_prefork_web_server.cpp
inline void send_handle(Connection& connection, platform::native_handle handle, std::int64_t destination_pid = 0);

/// Receives a handle that was sent by `send_handle`. It belongs to the caller, who closes it. Blocks until there is one.
///
/// Python: `multiprocessing.reduction.recv_handle(conn)`.
/// Throws     EOFError      the other end is closed;
///            RuntimeError  something else was sent;
///            OSError       this process may not have more handles open: that one is lost
[[nodiscard]] inline platform::native_handle recv_handle(Connection& connection);

/// A handle that travels: as argument of a Process, or through a Connection to a related process. It holds a duplicate.
/// Copies share.
///
/// Python: `multiprocessing.reduction.DupFd(fd)`.
class DupFd {
public:
    /// Holds nothing; to be assigned to.
    DupFd() noexcept = default;
    /// Throws OSError if the handle is invalid.
    explicit DupFd(platform::native_handle handle);

    /// The handle, which from now on belongs to the caller. Throws ValueError if it has been taken.
    [[nodiscard]] platform::native_handle detach();

private:
    friend struct detail::codec<DupFd>;
    std::shared_ptr<detail::unique_handle> handle_;
};

// ---- implementation

inline void send_handle(Connection& connection, platform::native_handle handle, std::int64_t destination_pid) {
    auto& end = detail::connection_access::state(connection);
    auto const stream = end.writable_stream();
    end.use_stream_only();
    std::byte const count{1};
    std::error_code error;
    platform::send_handles(stream, {&count, 1}, {&handle, 1}, destination_pid, error);
    if (error) throw OSError(error, "send_handle");
}

inline platform::native_handle recv_handle(Connection& connection) {
    auto& end = detail::connection_access::state(connection);
    auto const stream = end.readable_stream();
    end.use_stream_only();
    if (end.pipe() && !end.pipe().is_over() &&
        end.pipe().await(stream, platform::never) == detail::pipe_end::arrival::message) {
        throw RuntimeError("recv_handle: no handle was sent, but something else");
    }
    std::byte count{};
    platform::native_handle handle = platform::invalid_handle;
    std::error_code error;
    auto const got = platform::receive_handles(stream, {&count, 1}, {&handle, 1}, error);
    if (error) throw OSError(error, "recv_handle");
    if (got.bytes == 0) throw EOFError();
    detail::unique_handle received(got.handles == 1 ? handle : platform::invalid_handle);
    if (!received || count != std::byte{1}) throw RuntimeError("recv_handle: no handle was sent, but something else");
    return received.release();
}

inline DupFd::DupFd(platform::native_handle handle) {
    std::error_code error;
    detail::unique_handle copy(platform::duplicate(handle, error));
    if (error) throw OSError(error, "DupFd");
    handle_ = std::make_shared<detail::unique_handle>(std::move(copy));
}

inline platform::native_handle DupFd::detach() {
    if (!handle_ || !*handle_) throw ValueError("the handle has been detached");
    return handle_->release();
}

namespace detail {

template <>
struct codec<DupFd> {
    static constexpr bool saves = true;
    static constexpr bool loads = true;

    static void save(output_archive& archive, DupFd const& owner) {
        if (!owner.handle_ || !*owner.handle_) throw ValueError("the handle has been detached");
        archive << archive.handles().attach(static_cast<std::intptr_t>(handle_number(owner.handle_->get())));
    }
    static void load(input_archive& archive, DupFd& owner) {
        auto const number = archive.handles().take(archive.make<std::uint64_t>());
        owner.handle_ =
            std::make_shared<unique_handle>(unique_handle(numbered_handle(static_cast<std::uintptr_t>(number))));
    }
};

} // namespace detail

} // namespace multiprocessing::inline v0
