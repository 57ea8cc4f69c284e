#pragma once

#include <multiprocessing/connection.hpp>
#include <multiprocessing/detail/fork_generation.hpp>
#include <multiprocessing/detail/handshake.hpp>
#include <multiprocessing/detail/wait_set.hpp>
#include <multiprocessing/platform/channel.hpp>

#include <algorithm>
#include <cstring>

/// The bodies of connection.hpp.
namespace multiprocessing::inline v0 {

// ---- Connection

namespace detail {

/// A connection as the two ends of a handshake see it: short messages, before a deadline.
struct handshake_channel {
    connection_state& state;
    platform::deadline until;

    void send(byte_view message) { state.write(message); }
    byte_vector receive(std::size_t longest) {
        std::uint64_t const size = state.read_size(until);
        if (size > longest) {
            state.refuse_reading();
            throw_bad_length();
        }
        byte_vector message(static_cast<std::size_t>(size));
        state.read_body(message, until);
        return message;
    }
};

/// The doors that only this library may use.
struct connection_access {
    template <class... Rings>
    static Connection make(unique_handle stream, bool readable, bool writable, Rings&&... rings) {
        Connection connection;
        connection.state_ =
            std::make_shared<connection_state>(std::move(stream), readable, writable, std::forward<Rings>(rings)...);
        return connection;
    }
    static connection_state& state(Connection const& connection) { return connection.state(); }
    static std::shared_ptr<connection_state> const& shared(Connection const& connection) { return connection.state_; }
    /// Null if it is no end of a Pipe.
    static std::shared_ptr<connection_state> end(Waitable const& waitable) { return waitable.end_.lock(); }
};

/// A connection travels as its handle; the receiver gets an end of its own.
template <>
struct codec<Connection> {
    static constexpr bool saves = true;
    static constexpr bool loads = true;

    static void save(output_archive& archive, Connection const& connection) {
        auto& end = connection_access::state(connection);
        auto const handle = end.stream();
        bool const with_rings = end.pipe() && between_relatives(archive.handles());
        if (!with_rings) end.use_stream_only();
        archive << end.readable() << end.writable() << with_rings
                << archive.handles().attach(static_cast<std::intptr_t>(handle_number(handle)));
        if (with_rings) archive << end.pipe().is_second() << end.pipe().rings();
    }
    static void load(input_archive& archive, Connection& connection) {
        bool const readable = archive.make<bool>();
        bool const writable = archive.make<bool>();
        bool const with_rings = archive.make<bool>();
        auto const number = archive.handles().take(archive.make<std::uint64_t>());
        unique_handle stream(numbered_handle(static_cast<std::uintptr_t>(number)));
        if (!with_rings) {
            connection = connection_access::make(std::move(stream), readable, writable);
            return;
        }
        if (!between_relatives(archive.handles())) throw_damaged_message();
        bool const is_second = archive.make<bool>();
        connection = connection_access::make(
            std::move(stream), readable, writable, make_present<shared_object<pipe_rings>>(archive), is_second);
    }

private:
    /// The message to a new child is; one over a stream need not be.
    static bool between_relatives(handle_carrier const& carrier) noexcept {
        auto const* const message = dynamic_cast<message_handles const*>(&carrier);
        return message == nullptr || message->between_relatives();
    }
};

/// Buffers that one large message has blown up are not kept.
inline void clear_message_buffer(byte_buffer& buffer) {
    constexpr std::size_t worth_keeping = 4 << 20;
    if (buffer.size() > worth_keeping) {
        buffer = byte_buffer();
    } else {
        buffer.clear();
    }
}

} // namespace detail

inline Connection::Connection(platform::native_handle handle, bool readable, bool writable) {
    if (handle == platform::invalid_handle) throw ValueError("invalid handle");
    if (!readable && !writable) throw ValueError("at least one of `readable` and `writable` must be True");
    state_ = std::make_shared<detail::connection_state>(detail::unique_handle(handle), readable, writable);
}

inline detail::connection_state& Connection::state() const {
    if (!state_) throw OSError(std::make_error_code(std::errc::bad_file_descriptor), "handle is closed");
    return *state_;
}

template <class T>
void Connection::send(T const& value) {
    auto& end = state();
    end.writable_stream();
    detail::message_handles handles(static_cast<bool>(end.pipe()));
    detail::clear_message_buffer(end.outgoing);
    detail::save_object(end.outgoing, value, handles);
    end.write(end.outgoing.bytes(), handles.outgoing());
}

template <class T>
T Connection::recv() {
    auto& end = state();
    detail::message_handles handles(static_cast<bool>(end.pipe()));
    std::uint64_t const size = end.read_size(platform::never, &handles);
    detail::clear_message_buffer(end.incoming);
    end.read_body(size, [&](std::size_t more) { return std::span(end.incoming.reserve(more), more); });
    return detail::load_object<T>(end.incoming.bytes(), handles);
}

inline void
Connection::send_bytes(std::span<std::byte const> bytes, std::ptrdiff_t offset, std::optional<std::ptrdiff_t> size) {
    auto& end = state();
    end.writable_stream();
    auto const length = static_cast<std::ptrdiff_t>(bytes.size());
    if (offset < 0) throw ValueError("offset is negative");
    if (offset > length) throw ValueError("buffer length < offset");
    if (size && *size < 0) throw ValueError("size is negative");
    if (size && *size > length - offset) throw ValueError("buffer length < offset + size");
    end.write(
        bytes.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(size.value_or(length - offset))));
}

inline void Connection::send_bytes(std::string_view text, std::ptrdiff_t offset, std::optional<std::ptrdiff_t> size) {
    send_bytes(std::as_bytes(std::span(text)), offset, size);
}

template <class Bytes>
Bytes Connection::recv_bytes(std::optional<std::ptrdiff_t> maxlength) {
    static_assert(sizeof(typename Bytes::value_type) == 1 && std::is_trivially_copyable_v<typename Bytes::value_type>);
    auto& end = state();
    end.readable_stream();
    if (maxlength && *maxlength < 0) throw ValueError("negative maxlength");
    std::uint64_t const size = end.read_size();
    if (maxlength && size > static_cast<std::uint64_t>(*maxlength)) {
        end.refuse_reading();
        detail::throw_bad_length();
    }
    Bytes message;
    end.read_body(size, [&](std::size_t more) {
        std::size_t const before = message.size();
        message.resize(before + more);
        return std::as_writable_bytes(std::span(message).subspan(before));
    });
    return message;
}

inline std::size_t Connection::recv_bytes_into(std::span<std::byte> place, std::ptrdiff_t offset) {
    auto& end = state();
    end.readable_stream();
    if (offset < 0) throw ValueError("negative offset");
    if (offset > static_cast<std::ptrdiff_t>(place.size())) throw ValueError("offset too large");
    place = place.subspan(static_cast<std::size_t>(offset));
    std::uint64_t const size = end.read_size();
    if (size <= place.size()) {
        end.read_body(place.first(static_cast<std::size_t>(size)));
        return static_cast<std::size_t>(size);
    }
    std::vector<std::byte> message;
    end.read_body(size, [&](std::size_t more) {
        std::size_t const before = message.size();
        message.resize(before + more);
        return std::span(message).subspan(before);
    });
    throw BufferTooShort(std::move(message));
}

inline bool Connection::poll(Timeout timeout) const { return state().poll(timeout.deadline()); }

inline platform::native_handle Connection::fileno() const {
    state().use_stream_only(); // whoever reads or writes there himself knows nothing of rings
    return state().stream();
}

inline void Connection::close() noexcept {
    if (state_) state_->close();
}

inline std::pair<Connection, Connection> Pipe(bool duplex) {
    std::error_code error;
    auto const ends = platform::make_channel(error);
    if (error) throw OSError(error, "Pipe");
    detail::unique_handle first(ends.first), second(ends.second);
    detail::shared_object<detail::pipe_rings> rings;
    try {
        if (platform::streams_are_bells) rings = detail::shared_object<detail::pipe_rings>::make();
    } catch (std::bad_alloc const&) {
    } // the stream is enough
    return {
        detail::connection_access::make(std::move(first), true, duplex, rings, false),
        detail::connection_access::make(std::move(second), duplex, true, rings, true)};
}

// ---- wait

inline Waitable::Waitable(Connection const& connection)
    : handle_(detail::connection_access::state(connection).stream()) {
    if (detail::connection_access::state(connection).pipe()) end_ = detail::connection_access::shared(connection);
}

namespace detail {

template <class T>
std::vector<T> wait_for(std::span<T const> objects, Timeout timeout) {
    wait_set set;
    std::vector<std::shared_ptr<connection_state>> ends; // kept meanwhile
    for (T const& object : objects) {
        Waitable const one(object);
        if (one.queue() != nullptr) {
            set.add(*one.queue());
        } else if (auto end = connection_access::end(one)) {
            set.add(one.handle(), &end->pipe());
            ends.push_back(std::move(end));
        } else {
            set.add(one.handle());
        }
    }
    set.wait(timeout.deadline());
    std::vector<T> found;
    for (std::size_t i = 0; i < objects.size(); ++i) {
        if (set.is_ready(i)) found.push_back(objects[i]);
    }
    return found;
}

} // namespace detail

template <class T>
    requires std::constructible_from<Waitable, T const&>
std::vector<T> wait(std::vector<T> const& objects, Timeout timeout) {
    return detail::wait_for(std::span<T const>(objects), timeout);
}

inline std::vector<Waitable> wait(std::initializer_list<Waitable> objects, Timeout timeout) {
    return detail::wait_for(std::span<Waitable const>(objects.begin(), objects.size()), timeout);
}

// ---- handshakes

namespace detail {

/// A handshake that fails leaves nothing to talk on: the stream is out of step.
template <class Function>
void with_handshake(Connection& connection, Handshake const& how, Function function) {
    handshake_channel channel{connection_access::state(connection), how.timeout.deadline()};
    try {
        function(channel);
    } catch (TimeoutError const&) {
        throw TimeoutError("the other end did not take part in the handshake: does it use a key?");
    }
}

} // namespace detail

inline void deliver_challenge(Connection& connection, AuthKey const& authkey, Handshake handshake) {
    detail::with_handshake(connection, handshake, [&](auto& channel) {
        detail::handshake::deliver(channel, authkey.bytes(), handshake.require_sha256);
    });
}

inline void answer_challenge(Connection& connection, AuthKey const& authkey, Handshake handshake) {
    detail::with_handshake(connection, handshake, [&](auto& channel) {
        detail::handshake::answer(channel, authkey.bytes(), handshake.require_sha256);
    });
}

// ---- addresses

inline std::string Address::family() const {
    if (is_local()) return name_.starts_with("\\\\") ? "AF_PIPE" : "AF_UNIX";
    return name_.find(':') == std::string::npos ? "AF_INET" : "AF_INET6";
}

inline std::string Address::to_string() const {
    if (is_local()) return !name_.empty() && name_[0] == '\0' ? '@' + name_.substr(1) : name_;
    bool const colons = name_.find(':') != std::string::npos;
    return (colons ? '[' + name_ + ']' : name_) + ':' + std::to_string(port());
}

namespace detail {

inline platform::socket_family family_named(std::string const& name) {
    if (name == "AF_INET") return platform::socket_family::internet;
    if (name == "AF_INET6") return platform::socket_family::internet6;
    if (name == platform::local_family) return platform::socket_family::local;
    throw ValueError("family " + name + " is not recognized");
}

inline platform::socket_address to_socket_address(Address const& address, std::string const& family) {
    std::string const name = family.empty() ? address.family() : family;
    platform::socket_address where{family_named(name), address.host(), address.port()};
    bool const wants_local = where.family == platform::socket_family::local;
    if (address.is_local() != wants_local || (wants_local && address.family() != name)) {
        throw ValueError("address type of '" + address.to_string() + "' does not fit family " + name);
    }
    if (address.is_local()) {
        if (where.name.empty()) throw ValueError("the path of a local socket is empty");
        if (where.name[0] != '\0' && where.name.find('\0') != std::string::npos) {
            throw ValueError("embedded null character in the path of a local socket");
        }
    }
    return where;
}

inline Address from_socket_address(platform::socket_address const& where) {
    if (where.family == platform::socket_family::local) return where.name;
    return {where.name, where.port};
}

} // namespace detail

// ---- Listener

struct Listener::state {
    std::unique_ptr<platform::listener> socket{}; ///< null when closed
    Address address{};
    ListenerOptions options{};
    std::optional<Address> last_accepted{};
    bool own_folder = false;
    std::uint32_t generation = detail::fork_generation(); // a forked child closes its copy, but the file is not its own

    void listen() {
        auto const where = detail::to_socket_address(address, options.family);
        platform::socket_address bound;
        std::error_code error;
        socket = platform::listen_at(where, options.backlog, bound, error);
        if (platform::local_sockets_are_files && error == std::errc::address_in_use && address.is_local()) {
            std::error_code connecting;
            detail::unique_handle const probe(platform::connect_to(where, connecting));
            if (connecting == std::errc::connection_refused) {
                throw OSError(
                    error,
                    "Listener: " + address.to_string() +
                        " was left behind by a process that no longer listens there; remove it");
            }
        }
        if (error) throw OSError(error, "Listener: " + address.to_string());
        address = detail::from_socket_address(bound);
    }
};

inline Listener::Listener(ListenerOptions options) : state_(std::make_unique<state>()) {
    state_->options = std::move(options);
    auto const& family = state_->options.family;
    if (family == "AF_INET" || family == "AF_INET6") {
        state_->address = Address("localhost", 0);
        state_->listen();
        return;
    }
    if (!family.empty()) detail::family_named(family); // throws if there is no such family
    std::error_code error;
    state_->address = platform::make_local_path(error);
    if (error) throw OSError(error, "Listener: a place for its socket");
    try {
        state_->listen();
    } catch (...) {
        platform::remove_local_path(state_->address.path(), true);
        throw;
    }
    state_->own_folder = true;
}

inline Listener::Listener(Address address, ListenerOptions options) : state_(std::make_unique<state>()) {
    state_->address = std::move(address);
    state_->options = std::move(options);
    state_->listen();
}

inline Listener::~Listener() { close(); }

inline Listener::Listener(Listener&&) noexcept = default;

inline Listener& Listener::operator=(Listener&& other) noexcept {
    if (this != &other) {
        close();
        state_ = std::move(other.state_);
    }
    return *this;
}

inline Connection Listener::accept() {
    fileno(); // throws when closed
    platform::socket_address peer;
    std::error_code error;
    detail::unique_handle stream(platform::accept_connection(*state_->socket, peer, error));
    if (error) throw OSError(error, "Listener.accept");
    state_->last_accepted = detail::from_socket_address(peer);
    auto connection = detail::connection_access::make(std::move(stream), true, true);
    if (auto const& key = state_->options.authkey) {
        auto const& how = state_->options.handshake;
        detail::with_handshake(connection, how, [&](auto& channel) {
            detail::handshake::deliver(channel, key->bytes(), how.require_sha256);
            detail::handshake::answer(channel, key->bytes(), how.require_sha256);
        });
    }
    return connection;
}

inline Address const& Listener::address() const {
    fileno();
    return state_->address;
}

namespace detail {

inline std::optional<Address> const nobody;

} // namespace detail

inline std::optional<Address> const& Listener::last_accepted() const noexcept {
    return state_ ? state_->last_accepted : detail::nobody;
}

inline platform::native_handle Listener::fileno() const {
    if (!state_ || !state_->socket) {
        throw OSError(std::make_error_code(std::errc::bad_file_descriptor), "listener is closed");
    }
    return platform::readiness_of(*state_->socket);
}

inline void Listener::close() noexcept {
    if (!state_ || !state_->socket) return;
    state_->socket.reset();
    if (!state_->address.is_local() || state_->generation != detail::fork_generation()) return;
    platform::remove_local_path(state_->address.path(), state_->own_folder);
}

// ---- Client

inline Connection Client(Address const& address, ClientOptions const& options) {
    auto const where = detail::to_socket_address(address, options.family);
    std::error_code error;
    detail::unique_handle stream(platform::connect_to(where, error));
    if (error) throw OSError(error, "Client: " + address.to_string());
    auto connection = detail::connection_access::make(std::move(stream), true, true);
    if (auto const& key = options.authkey) {
        detail::with_handshake(connection, options.handshake, [&](auto& channel) {
            detail::handshake::answer(channel, key->bytes(), options.handshake.require_sha256);
            detail::handshake::deliver(channel, key->bytes(), options.handshake.require_sha256);
        });
    }
    return connection;
}

} // namespace multiprocessing::inline v0
