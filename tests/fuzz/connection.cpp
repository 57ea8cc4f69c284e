// A connection on whose other end is somebody who writes what he likes and goes away. Each byte of the first eight chooses
// how one message is received; the rest is what he writes.

#include <multiprocessing/connection.hpp>

#include "input.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

namespace mp = multiprocessing;

namespace {

void receive(mp::Connection& connection, unsigned how) {
    std::array<std::byte, 20> place{};
    switch (how % 8) {
    case 0: connection.recv<std::string>(); break;
    case 1: connection.recv<std::map<int, std::vector<std::string>>>(); break;
    case 2: connection.recv<mp::Connection>(); break;
    case 3: connection.recv_bytes(); break;
    case 4: connection.recv_bytes<std::string>(how); break;
    case 5: connection.recv_bytes_into(place, how % 20); break;
    case 6: mp::answer_challenge(connection, "key"); break;
    default: mp::deliver_challenge(connection, "key"); break;
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    Input input(data, size);
    auto const kinds = input.take(8);
    auto const bytes = input.rest();
    int ends[2];
    demand(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "a pair of sockets");
    mp::Connection connection(ends[0]);
    demand(
        write(ends[1], bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
        "room in the socket's buffer");
    shutdown(ends[1], SHUT_WR);
    for (auto const kind : kinds) {
        try {
            receive(connection, std::to_integer<unsigned>(kind));
        } catch (mp::EOFError const&) {
            break;
        } catch (mp::OSError const&) {
            break;
        } catch (mp::TypeError const&) {
        } catch (mp::ValueError const&) {
        } catch (mp::BufferTooShort const&) {
        } catch (mp::AuthenticationError const&) {
        }
    }
    close(ends[1]);
    return 0;
}
