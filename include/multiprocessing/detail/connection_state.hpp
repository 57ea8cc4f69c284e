#pragma once

#include <multiprocessing/detail/archive.hpp>
#include <multiprocessing/detail/child_message.hpp>
#include <multiprocessing/detail/demangle.hpp>
#include <multiprocessing/detail/digest.hpp>
#include <multiprocessing/detail/framing.hpp>
#include <multiprocessing/detail/made_once.hpp>
#include <multiprocessing/detail/pipe_end.hpp>
#include <multiprocessing/detail/shared_object.hpp>
#include <multiprocessing/detail/unique_handle.hpp>
#include <multiprocessing/platform/handle_passing.hpp>
#include <multiprocessing/platform/poll.hpp>
#include <multiprocessing/platform/stream.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

/// What a Connection is made of: whole messages on a stream, and objects in messages.
namespace multiprocessing::inline v0::detail {

/// The handles that one message carries: collected by the sender, found again by the receiver, closed if nobody took them.
class message_handles final : public handle_carrier {
public:
    /// `between_relatives`: both ends share the memory of their tree.
    explicit message_handles(bool between_relatives) noexcept : between_relatives_(between_relatives) {}
    bool between_relatives() const noexcept { return between_relatives_; }

    std::uint64_t attach(std::intptr_t handle) override;
    std::intptr_t take(std::uint64_t token) override;

    /// Those that have to be sent beside the bytes.
    std::span<platform::native_handle const> outgoing() const noexcept { return outgoing_; }

    std::vector<unique_handle> arrived;
    bool lost = false; ///< some came that this process could not open

private:
    std::vector<platform::native_handle> outgoing_;
    bool between_relatives_;
};

/// One end: a stream and what may be done with it. One thread may write while another reads.
class connection_state {
public:
    /// `rings` and `is_second` for an end of a Pipe.
    connection_state(
        unique_handle stream,
        bool readable,
        bool writable,
        shared_object<pipe_rings> rings = {},
        bool is_second = false) noexcept
        : readable_(readable), writable_(writable), stream_(std::move(stream)), pipe_(std::move(rings), is_second) {}
    ~connection_state() { close(); }
    connection_state(connection_state const&) = delete;
    connection_state& operator=(connection_state const&) = delete;

    bool closed() const noexcept { return !stream_; }
    bool readable() const noexcept { return readable_; }
    bool writable() const noexcept { return writable_; }
    void close() noexcept;

    /// Throw OSError if it is closed, or goes the other way only.
    platform::native_handle stream() const;
    platform::native_handle readable_stream() const;
    platform::native_handle writable_stream() const;

    /// For who uses the stream himself, or passes it on to somebody who knows nothing of rings.
    void use_stream_only() noexcept;
    /// What the ends of a Pipe have beside the stream; false for other connections.
    pipe_end const& pipe() const noexcept { return pipe_; }

    /// Sends one message.
    void write(byte_view message, std::span<platform::native_handle const> handles = {});

    /// Receives the beginning of a message: its size. Then either read_body or read_rest have to follow. Throws EOFError at
    /// the end of the stream; TimeoutError after the deadline.
    std::uint64_t read_size(platform::deadline until = platform::never, message_handles* handles = nullptr);
    /// Into a place that is large enough.
    void read_body(std::span<std::byte> place, platform::deadline until = platform::never);
    /// `grow(size)` gives the place for that many bytes more.
    template <class Grow>
    void read_body(std::uint64_t size, Grow grow, platform::deadline until = platform::never);

    /// Nothing sensible can be read any more.
    void refuse_reading() noexcept;

    /// Waits until something, or the end, is there to read.
    bool poll(platform::deadline until) const;

    byte_buffer outgoing; ///< kept from message to message
    byte_buffer incoming;

private:
    std::size_t read_some(std::span<std::byte> place, platform::deadline until);
    std::size_t read_first(std::span<std::byte> place, platform::deadline until, message_handles* handles);
    bool begin_from_ring(platform::deadline until, message_handles* handles);
    template <class Read>
    void read_body_with(Read const& read);

    bool readable_;
    bool writable_;
    unique_handle stream_;
    pipe_end pipe_;
};

/// The type in whose place another one is sent: views become what owns the same, since that is what arrives.
template <class T>
struct sent_as : std::type_identity<T> {};
template <>
struct sent_as<std::string_view> : std::type_identity<std::string> {};
template <>
struct sent_as<char const*> : std::type_identity<std::string> {};
template <>
struct sent_as<char*> : std::type_identity<std::string> {};
template <std::size_t n>
struct sent_as<char[n]> : std::type_identity<std::string> {};
template <class T, std::size_t n>
struct sent_as<std::span<T, n>> : std::type_identity<std::vector<std::remove_cv_t<T>>> {};

/// What stands in front of an object: that it is one, and of which type.
struct object_head {
    std::uint64_t magic;
    std::uint64_t type;

    template <class T>
    static object_head of();
};

/// Appends an object with its head.
template <class T>
void save_object(byte_sink& sink, T const& value, handle_carrier& handles);

/// The object that a message holds. Throws TypeError if it holds something else.
template <class T>
T load_object(byte_view message, handle_carrier& handles);

// ---- implementation

inline std::uint64_t message_handles::attach(std::intptr_t number) {
    auto const handle = numbered_handle(static_cast<std::uintptr_t>(number));
    if constexpr (platform::handles_travel_beside_bytes) {
        if (outgoing_.size() == platform::handles_per_message) {
            throw PicklingError("too many operating-system handles for one message");
        }
        outgoing_.push_back(handle);
        return outgoing_.size() - 1;
    } else {
        std::error_code error;
        std::uint64_t const token = platform::publish_handle(handle, error);
        if (error) throw OSError(error, "a handle for another process");
        return token;
    }
}

inline std::intptr_t message_handles::take(std::uint64_t token) {
    platform::native_handle handle = platform::invalid_handle;
    if constexpr (platform::handles_travel_beside_bytes) {
        if (lost) throw OSError(std::make_error_code(std::errc::too_many_files_open), "receiving a handle");
        if (token >= arrived.size() || !arrived[static_cast<std::size_t>(token)]) throw_damaged_message();
        handle = arrived[static_cast<std::size_t>(token)].release();
    } else {
        std::error_code error;
        handle = platform::take_published_handle(token, error);
        if (error) throw OSError(error, "receiving a handle");
    }
    return static_cast<std::intptr_t>(handle_number(handle));
}

inline platform::native_handle connection_state::stream() const {
    if (closed()) throw OSError(std::make_error_code(std::errc::bad_file_descriptor), "handle is closed");
    return stream_.get();
}

inline platform::native_handle connection_state::readable_stream() const {
    auto const handle = stream();
    if (!readable_) throw OSError(std::make_error_code(std::errc::bad_file_descriptor), "connection is write-only");
    return handle;
}

inline platform::native_handle connection_state::writable_stream() const {
    auto const handle = stream();
    if (!writable_) throw OSError(std::make_error_code(std::errc::bad_file_descriptor), "connection is read-only");
    return handle;
}

inline void connection_state::close() noexcept {
    if (closed()) return;
    stream_.reset();
    if (pipe_) pipe_.note_closing();
}

inline void connection_state::use_stream_only() noexcept {
    if (pipe_ && !closed()) pipe_.use_stream_only(stream_.get());
}

inline void connection_state::write(byte_view message, std::span<platform::native_handle const> handles) {
    auto const handle = writable_stream();
    std::error_code error;
    if (!pipe_ || !pipe_.send(message, handles, handle, error)) {
        platform::write_stream(handle, frame_header(message.size()).bytes(), message, handles, error);
    }
    if (error) throw OSError(error, "sending a message");
}

inline std::size_t connection_state::read_some(std::span<std::byte> place, platform::deadline until) {
    auto const handle = readable_stream();
    if (pipe_.is_receiving()) return pipe_.read(place, handle, until);
    if (until != platform::never && !poll(until)) throw TimeoutError("the other end did not answer in time");
    std::error_code error;
    auto const part = platform::read_stream(handle, place, {}, error);
    if (error) throw OSError(error, "receiving a message");
    return part.bytes;
}

inline std::size_t
connection_state::read_first(std::span<std::byte> place, platform::deadline until, message_handles* handles) {
    auto const handle = readable_stream();
    if (until != platform::never && !poll(until)) throw TimeoutError("the other end did not answer in time");
    std::array<platform::native_handle, platform::handles_per_message> raw;
    auto const room = std::span(raw).first(handles == nullptr ? 0 : raw.size());
    std::error_code error;
    auto const part = platform::read_stream(handle, place, room, error);
    for (std::size_t i = 0; i < part.handles; ++i) handles->arrived.emplace_back(raw[i]);
    if (handles != nullptr && part.handles_lost) handles->lost = true;
    if (error) throw OSError(error, "receiving a message");
    if (!pipe_ || part.bytes == 0) return part.bytes;
    // The bell of another sender may have come late, when the ring had been switched off already.
    auto const message =
        std::find_if_not(place.begin(), place.begin() + static_cast<std::ptrdiff_t>(part.bytes), pipe_end::is_signal);
    std::move(message, place.end(), place.begin());
    auto const left = part.bytes - static_cast<std::size_t>(message - place.begin());
    return left != 0 ? left : read_first(place, until, handles);
}

/// False: the next message comes over the stream.
inline bool connection_state::begin_from_ring(platform::deadline until, message_handles* handles) {
    auto const handle = readable_stream();
    bool lost = false;
    while (!pipe_.is_over()) {
        if (pipe_.begin(handle, until, handles == nullptr ? nullptr : &handles->arrived, lost)) {
            if (lost) handles->lost = true;
            return true;
        }
        auto const next = pipe_.await(handle, until);
        if (next == pipe_end::arrival::stream) break;
        if (next == pipe_end::arrival::nothing) throw TimeoutError("the other end did not answer in time");
    }
    return false;
}

inline std::uint64_t connection_state::read_size(platform::deadline until, message_handles* handles) {
    if (pipe_) {
        pipe_.finish(readable_stream()); // of a message that was given up
        if (begin_from_ring(until, handles)) return pipe_.size();
    }
    bool begun = false;
    try {
        return read_frame_header([&](std::span<std::byte> place) {
            if (begun) return read_some(place, until);
            begun = true;
            return read_first(place, until, handles); // handles come with the first byte
        });
    } catch (EOFError const&) {
        if (pipe_) pipe_.release_memory(stream_.get());
        throw;
    } catch (OSError const& error) {
        if (error.code() == std::errc::message_size) refuse_reading();
        throw;
    }
}

template <class Read>
void connection_state::read_body_with(Read const& read) {
    try {
        read();
    } catch (...) {
        if (pipe_) pipe_.finish(stream_.get());
        throw;
    }
    if (pipe_) pipe_.finish(stream_.get());
}

inline void connection_state::read_body(std::span<std::byte> place, platform::deadline until) {
    read_body_with([&] { read_frame_bytes(place, [&](std::span<std::byte> part) { return read_some(part, until); }); });
}

template <class Grow>
void connection_state::read_body(std::uint64_t size, Grow grow, platform::deadline until) {
    read_body_with(
        [&] { read_frame(size, std::move(grow), [&](std::span<std::byte> part) { return read_some(part, until); }); });
}

inline void connection_state::refuse_reading() noexcept {
    if (pipe_ && !closed()) pipe_.finish(stream_.get());
    readable_ = false;
    if (!writable_) close();
}

inline bool connection_state::poll(platform::deadline until) const {
    auto const handle = readable_stream();
    if (pipe_ && !pipe_.is_over()) return pipe_.await(handle, until) != pipe_end::arrival::nothing;
    bool ready = false;
    std::error_code error;
    platform::poll({&handle, 1}, {&ready, 1}, until, error);
    if (error) throw OSError(error, "waiting for a message");
    return ready;
}

template <class T>
object_head object_head::of() {
    using type = typename sent_as<std::remove_cvref_t<T>>::type;
    // By its name, which is the same in every program that was built with the same conventions.
    static constinit made_once<std::uint64_t> hash;
    // The first byte is no beginning of a text or of something that Python has pickled.
    return {0x0a1a0a0d'706d'00f7, hash.get([] {
                std::uint64_t value = 0xcbf29ce484222325; // FNV-1a
                for (char const c : std::string_view(typeid(type).name())) {
                    value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3;
                }
                return value;
            })};
}

template <class T>
void save_object(byte_sink& sink, T const& value, handle_carrier& handles) {
    object_head const head = object_head::of<T>();
    sink.write(&head, sizeof head);
    output_archive archive(sink);
    archive.carry_handles(&handles);
    if constexpr (std::is_same_v<typename sent_as<T>::type, std::string> && !std::is_same_v<T, std::string>) {
        archive.save(std::string_view(value));
    } else {
        archive.save(value);
    }
}

template <class T>
T load_object(byte_view message, handle_carrier& handles) {
    object_head const expected = object_head::of<T>();
    object_head head{};
    if (message.size() >= sizeof head) std::memcpy(&head, message.data(), sizeof head);
    if (head.magic != expected.magic) {
        throw TypeError(
            message.size() >= 2 && message[0] == std::byte{0x80} && message[1] <= std::byte{5}
                ? "the message is an object that Python has pickled; receive it with recv_bytes"
                : "the message was sent with send_bytes; receive it with recv_bytes");
    }
    if (head.type != expected.type) {
        throw TypeError("the message is an object of another type than " + readable_name<T>());
    }
    input_archive archive(message.subspan(sizeof head));
    archive.carry_handles(&handles);
    T value = archive.make<T>();
    archive.expect_end();
    return value;
}

} // namespace multiprocessing::inline v0::detail
