// The C++ end of connection.py: peer <listen|connect> <task> <address> <key>
//
// address  unix:/path, abstract:name, tcp:host:port, or fd:number for an end that was inherited
// key      key:text, or none
// A listener prints where it listens. The last line that is printed is "ok", or the error that ended the task.

#include <multiprocessing/reduction.hpp>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

namespace mp = multiprocessing;

namespace {

void require(bool condition, char const* what) {
    if (!condition) throw mp::RuntimeError(what);
}

std::string pattern(std::size_t size) {
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 31 + size);
    return bytes;
}

void echo(mp::Connection& connection) {
    for (;;) {
        auto const message = connection.recv_bytes();
        if (message.size() == 4 && std::memcmp(message.data(), "quit", 4) == 0) break;
        connection.send_bytes(message);
    }
}

void drive(mp::Connection& connection) {
    for (std::size_t const size : {0u, 1u, 100u, 16383u, 16384u, 16385u, 65536u, 70000u, 3000000u}) {
        auto const message = pattern(size);
        connection.send_bytes(message);
        require(connection.poll(std::nullopt), "poll");
        require(connection.recv_bytes<std::string>() == message, "another message came back");
    }
    std::array<std::byte, 8> place;
    connection.send_bytes("into");
    require(connection.recv_bytes_into(place) == 4, "recv_bytes_into");
    connection.send_bytes("longer than that");
    try {
        connection.recv_bytes_into(place);
        require(false, "BufferTooShort");
    } catch (mp::BufferTooShort const& error) {
        require(error.message().size() == 16, "the whole message");
    }
    connection.send_bytes("quit");
    try {
        connection.recv_bytes();
        require(false, "EOFError");
    } catch (mp::EOFError const&) {
    }
}

/// Objects of the other language are refused, and the connection stays in step.
void objects(mp::Connection& connection) {
    try {
        connection.recv<int>();
        require(false, "TypeError");
    } catch (mp::TypeError const&) {
    }
    connection.send(42);
    connection.send_bytes("and now bytes");
    require(connection.recv_bytes<std::string>() == "bytes too", "out of step");
}

void handles(mp::Connection& connection) {
    auto const writer = mp::recv_handle(connection);
    require(::write(writer, "from c++", 8) == 8, "write");
    ::close(writer);
    std::array<int, 2> ends;
    require(::pipe(ends.data()) == 0, "pipe");
    mp::send_handle(connection, ends[1], 0);
    ::close(ends[1]);
    std::array<char, 32> text{};
    require(::read(ends[0], text.data(), text.size()) == 11 && std::string_view(text.data()) == "from python", "read");
    connection.send_bytes("done");
}

void big(mp::Connection& connection) {
    std::string message((std::size_t{1} << 31) + 10, 'b');
    message.back() = 'e';
    connection.send_bytes(message);
    auto const back = connection.recv_bytes<std::string>();
    require(back == message, "another message came back");
}

mp::Connection
make_connection(std::string const& role, std::string const& text, std::optional<mp::AuthKey> const& key) {
    auto const colon = text.find(':');
    std::string const kind = text.substr(0, colon);
    std::string const rest = text.substr(colon + 1);
    if (kind == "fd") return mp::Connection(std::atoi(rest.c_str()));
    mp::Address address(kind == "abstract" ? std::string(1, '\0') + rest : rest);
    if (kind == "tcp") {
        auto const port = rest.rfind(':');
        address = mp::Address(rest.substr(0, port), static_cast<std::uint16_t>(std::atoi(rest.c_str() + port + 1)));
    }
    if (role == "connect") return mp::Client(address, {.authkey = key});
    mp::Listener listener(address, {.authkey = key});
    std::printf("%s\n", listener.address().to_string().c_str());
    std::fflush(stdout);
    return listener.accept();
}

int run(std::string const& role, std::string const& task, std::string const& address, std::string const& key_text) {
    std::optional<mp::AuthKey> key;
    if (key_text != "none") key = key_text.substr(4);
    auto connection = make_connection(role, address, key);
    if (task == "echo") echo(connection);
    if (task == "drive") drive(connection);
    if (task == "objects") objects(connection);
    if (task == "handles") handles(connection);
    if (task == "big") big(connection);
    std::puts("ok");
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 5) return 2;
    try {
        return run(argv[1], argv[2], argv[3], argv[4]);
    } catch (mp::AuthenticationError const&) {
        std::puts("AuthenticationError");
    } catch (mp::EOFError const&) {
        std::puts("EOFError");
    } catch (std::exception const& error) {
        std::printf("error: %s\n", error.what());
    }
    return 0;
}
