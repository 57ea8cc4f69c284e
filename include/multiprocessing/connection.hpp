#pragma once

#include <multiprocessing/detail/connection_state.hpp>
#include <multiprocessing/detail/deadline.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/platform/self.hpp>
#include <multiprocessing/platform/socket.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace multiprocessing::inline v0 {

namespace detail {

struct connection_access;
class message_queue;

} // namespace detail

/// One end of a connection that carries messages: objects, or bytes as they are. A message arrives whole or not at all,
/// and may be empty.
///
///     auto [parent_end, child_end] = mp::Pipe();
///     mp::Process p([](mp::Connection end) { end.send("hello"); }, child_end);
///     p.start();
///     auto text = parent_end.recv<std::string>();
///
/// Copies share, and closing one closes them all. It can be an argument of a Process under every start method, and can be
/// sent through another connection to a related process, which then has an end of its own: the stream ends when every
/// process has closed its end.
///
/// Python: `multiprocessing.connection.Connection`. The bytes on the wire are Python's.
///
/// Safe from  two threads at a time, of which one sends and the other receives
/// Differs    recv() is told the type; what was sent as another type, or by Python's send(), is a TypeError
/// Example    examples/32_ping_pong.cpp
class Connection {
public:
    /// A closed connection, to be assigned to.
    Connection() noexcept = default;

    /// Takes over an open stream: a socket, or an end of a pipe. Throws ValueError for an invalid handle or if it shall be
    /// neither readable nor writable.
    explicit Connection(platform::native_handle handle, bool readable = true, bool writable = true);

    /// Sends an object. Blocks while the other end does not read and the buffer of the system is full.
    ///
    /// Python: `Connection.send(obj)`.
    /// Throws     OSError        closed, read-only, or (std::errc::broken_pipe) closed by the other end;
    ///            PicklingError  the object cannot travel; nothing was sent
    template <class T>
    void send(T const& value);

    /// Receives an object that was sent as T; text and spans arrive as std::string and std::vector. Blocks until there is
    /// one.
    ///
    /// Python: `Connection.recv()`.
    /// Throws     EOFError    the other end is closed and nothing is left; at every further call again;
    ///            TypeError   the message is something else; it is gone, the connection can be used on;
    ///            ValueError  it holds a Lock, a Queue or the like that was made in another tree of processes; likewise;
    ///            OSError     closed, write-only, or the stream ended within the message
    template <class T>
    T recv();

    /// Sends bytes: `size` of them from `offset`, or all that follow. Blocks as send() does.
    ///
    /// Python: `Connection.send_bytes(buf, offset=0, size=None)`.
    /// Throws     ValueError  offset or size is negative or beyond the end
    void
    send_bytes(std::span<std::byte const> bytes, std::ptrdiff_t offset = 0, std::optional<std::ptrdiff_t> size = {});
    void send_bytes(std::string_view text, std::ptrdiff_t offset = 0, std::optional<std::ptrdiff_t> size = {});

    /// Receives one message as bytes: a container of bytes or characters of your choice. Blocks until there is one.
    ///
    /// Python: `Connection.recv_bytes(maxlength=None)`.
    /// Throws     as recv(); OSError if the message is longer than `maxlength`: then nothing can be received any more
    template <class Bytes = std::vector<std::byte>>
    Bytes recv_bytes(std::optional<std::ptrdiff_t> maxlength = {});

    /// Receives one message into `place` from `offset` on; returns its size.
    ///
    /// Python: `Connection.recv_bytes_into(buf, offset=0)`.
    /// Throws     BufferTooShort  it does not fit; the exception holds it, the connection can be used on
    std::size_t recv_bytes_into(std::span<std::byte> place, std::ptrdiff_t offset = 0);

    /// Whether something, or the end, is there to be received. Blocks at most for the timeout; without one, not at all.
    ///
    /// Python: `Connection.poll(timeout=0.0)`.
    /// Throws     OSError  closed or write-only
    bool poll(Timeout timeout = std::chrono::seconds(0)) const;

    /// The handle of the system, for poll or select. It is readable when a message has begun to arrive. Throws OSError when
    /// closed.
    ///
    /// Differs    the messages of a Pipe go through shared memory until somebody asks for the handle of either end; then
    ///            they follow on the stream. What had been sent before can be received by recv() only.
    platform::native_handle fileno() const;

    /// Closes this end, for all copies in this process. Does nothing the second time.
    void close() noexcept;

    bool closed() const noexcept { return !state_ || state_->closed(); }
    bool readable() const noexcept { return state_ && state_->readable(); }
    bool writable() const noexcept { return state_ && state_->writable(); }

    /// Whether both are copies of each other.
    friend bool operator==(Connection const&, Connection const&) = default;

private:
    friend struct detail::codec<Connection>;
    friend struct detail::connection_access;
    detail::connection_state& state() const;

    std::shared_ptr<detail::connection_state> state_;
};

/// Two connected ends. With `duplex` both can send and receive; without, the first receives and the second sends.
///
/// Python: `multiprocessing.Pipe(duplex=True)`.
/// Throws     OSError  the system refused
inline std::pair<Connection, Connection> Pipe(bool duplex = true);

/// Something that wait() can wait for: a connection, a listener, a process, a queue, or a handle of the system. It refers to
/// it only.
class Waitable {
public:
    Waitable(platform::native_handle handle) noexcept : handle_(handle) {}
    Waitable(Connection const& connection);
    template <class T>
        requires requires(T const& object) {
            { object.fileno() } -> std::same_as<platform::native_handle>;
        }
    Waitable(T const& object) : handle_(object.fileno()) {}
    template <class T>
        requires requires(T const& object) {
            { object.sentinel() } -> std::same_as<platform::native_handle>;
        }
    Waitable(T const& object) : handle_(object.sentinel()) {}
    template <class T>
        requires requires(T const& object) {
            { queue_of(object) } -> std::same_as<detail::message_queue&>;
        }
    Waitable(T const& object) : queue_(&queue_of(object)) {}

    /// Invalid for a queue.
    platform::native_handle handle() const noexcept { return handle_; }
    /// Null for anything else.
    detail::message_queue* queue() const noexcept { return queue_; }
    friend bool operator==(Waitable const& a, Waitable const& b) noexcept {
        return a.handle_ == b.handle_ && a.queue_ == b.queue_;
    }

private:
    friend struct detail::connection_access;

    platform::native_handle handle_ = platform::invalid_handle;
    detail::message_queue* queue_ = nullptr;
    std::weak_ptr<detail::connection_state> end_; // of a Pipe
};

/// Waits until at least one of them is ready, and returns those that are, in the order of the list: connections and
/// listeners that can receive (or whose stream has ended), processes that have ended, queues that hold something, handles
/// that are readable. Blocks at most for the timeout; returns nothing then. An empty list waits for the timeout.
///
///     for (auto& connection : mp::wait(connections)) …
///     auto ready = mp::wait({connection, process}, 5s);     // of different kinds: compare with mp::Waitable(process)
///
/// Somebody else may be faster at a queue that was ready: use get_nowait() or try_get(). When all are queues, or none is, the
/// wait ends at once. When there are both, the queues are looked at again and again: a wait of t ends at most t/8 late, and
/// never more than 10 ms.
///
/// Python: `multiprocessing.connection.wait(object_list, timeout=None)`. Differs: Python cannot wait for queues.
/// Throws     ValueError  the same thing twice, or a closed Queue; OSError  something else that is closed, or no handle
/// Example    examples/35_wait_for_any.cpp
template <class T>
    requires std::constructible_from<Waitable, T const&>
std::vector<T> wait(std::vector<T> const& objects, Timeout timeout = {});
inline std::vector<Waitable> wait(std::initializer_list<Waitable> objects, Timeout timeout = {});

/// Where a Listener listens: a host and a port, the path of a local socket, or, beginning with NUL, a name that is no file
/// (Linux). On Windows the place of a local socket is taken by a pipe: "\\.\pipe\name". A host with a colon is an IPv6
/// address. Python: a tuple or a string.
class Address {
public:
    Address() = default;
    Address(std::string path) : name_(std::move(path)) {}
    Address(char const* path) : name_(path) {}
    Address(std::string host, std::uint16_t port) : name_(std::move(host)), port_(port) {}

    /// "AF_INET", "AF_INET6", "AF_UNIX", or "AF_PIPE" for what begins with two backslashes.
    std::string family() const;
    bool is_local() const noexcept { return !port_.has_value(); }
    std::string const& path() const noexcept { return name_; }
    std::string const& host() const noexcept { return name_; }
    std::uint16_t port() const noexcept { return port_.value_or(0); }

    /// "127.0.0.1:8000", "[::1]:8000", "/tmp/socket", "@name".
    std::string to_string() const;
    friend bool operator==(Address const&, Address const&) = default;

private:
    friend class boost::serialization::access;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& name_& port_;
    }

    std::string name_;
    std::optional<std::uint16_t> port_;
};

/// The secret that both ends have to know. Python: `bytes`.
class AuthKey {
public:
    AuthKey(std::string_view text) : AuthKey(std::as_bytes(std::span(text))) {}
    AuthKey(std::string const& text) : AuthKey(std::string_view(text)) {}
    AuthKey(char const* text) : AuthKey(std::string_view(text)) {}
    AuthKey(std::vector<std::byte> key) noexcept : key_(std::move(key)) {}
    AuthKey(std::span<std::byte const> key) : key_(key.begin(), key.end()) {}

    std::span<std::byte const> bytes() const noexcept { return key_; }

private:
    std::vector<std::byte> key_;
};

/// How a connection with a key is made.
struct Handshake {
    Timeout timeout = std::chrono::seconds(20); ///< for the whole of it; Python would wait for ever
    bool require_sha256 = false;                ///< refuses MD5, and with it Python up to 3.11
};

struct ListenerOptions {
    int backlog = 16;                 ///< clients that may wait to be accepted; of a pipe it is 1. Python: 1
    std::string family{};             ///< "AF_INET", "AF_INET6", "AF_UNIX", on Windows "AF_PIPE"; empty: by the address
    std::optional<AuthKey> authkey{}; ///< empty: everybody is accepted; an empty key is a key
    Handshake handshake{};
};

struct ClientOptions {
    std::string family{};
    std::optional<AuthKey> authkey{};
    Handshake handshake{};
};

/// Waits for connections at an address.
///
///     mp::Listener listener({"127.0.0.1", 0}, {.authkey = "secret"});
///     mp::Connection connection = listener.accept();
///
/// Python: `multiprocessing.connection.Listener(address=None, family=None, backlog=1, authkey=None)`.
///
/// Safe from  one thread at a time
/// Differs    on Windows "AF_PIPE" is for programs of this library only: Python sends other frames there; "AF_INET" is for
///            both. A pipe's name is in use until its last connection is closed
/// Example    examples/34_python_client.cpp
class Listener {
public:
    /// At an address of its own choice: a new local socket (on Windows a pipe) that only this user can reach, or with the
    /// family "AF_INET" a port of this machine.
    explicit Listener(ListenerOptions options = {});
    /// Throws     OSError     the address is in use, or cannot be used; ValueError  it does not fit the family
    explicit Listener(Address address, ListenerOptions options = {});
    ~Listener();
    Listener(Listener&&) noexcept;
    Listener& operator=(Listener&&) noexcept;

    /// Waits for a client, and with a key for its proof to know it. Blocks.
    ///
    /// Python: `Listener.accept()`.
    /// Throws     AuthenticationError          it has another key;
    ///            TimeoutError                 it did not take part in the handshake;
    ///            EOFError or OSError          it went away meanwhile: in these cases the listener can be used on;
    ///            OSError                      the listener is closed
    Connection accept();

    /// Where it really listens: the port is the one that the system chose for port 0. Throws OSError when closed.
    Address const& address() const;

    /// Where the last client came from; empty before the first. A local client has an empty path.
    std::optional<Address> const& last_accepted() const noexcept;

    /// For wait() or poll: ready when accept() will find a client. On Windows it is an event, not the socket. Throws OSError
    /// when closed.
    platform::native_handle fileno() const;

    /// Stops listening and removes the file of a local socket. Accepted connections stay.
    void close() noexcept;

private:
    struct state;
    std::unique_ptr<state> state_;
};

/// Connects to a Listener, of this library or (but for pipes of Windows) of Python. Blocks until it is accepted by the system
/// and, with a key, by the listener. A pipe takes one client at a time: the next one waits until accept() has taken that.
///
/// Python: `multiprocessing.connection.Client(address, family=None, authkey=None)`.
/// Throws     OSError              nobody listens there (connection_refused, no_such_file_or_directory);
///            AuthenticationError  the listener has another key or none;
///            TimeoutError         it did not take part in the handshake
inline Connection Client(Address const& address, ClientOptions const& options = {});

/// Asks the other end for a proof that it knows the key, as a Listener does; `answer_challenge` is the other side.
///
/// Python: `multiprocessing.connection.deliver_challenge(connection, authkey)`.
/// Throws     AuthenticationError  it does not; TimeoutError  it did not answer
inline void deliver_challenge(Connection& connection, AuthKey const& authkey, Handshake handshake = {});
inline void answer_challenge(Connection& connection, AuthKey const& authkey, Handshake handshake = {});

} // namespace multiprocessing::inline v0

#include <multiprocessing/detail/connection_impl.hpp>
