// Handshakes with somebody who does not have the key. The first byte chooses the part that is played here, then come his
// messages: a length in one byte, the bytes.

#include <multiprocessing/detail/handshake.hpp>

#include "input.hpp"

#include <algorithm>
#include <string_view>

using namespace multiprocessing;
using namespace multiprocessing::detail;

namespace {

struct Stranger {
    Input& input;
    bool welcomes = false; // his last message

    void send(byte_view message) { demand(message.size() <= handshake::longest_message, "a short message"); }
    byte_vector receive(std::size_t longest) {
        demand(longest == handshake::longest_message, "a short message is expected");
        if (input.empty()) throw EOFError();
        auto const bytes = input.take(input.number());
        welcomes = handshake::is(bytes, handshake::welcome_tag);
        return {bytes.begin(), bytes.end()};
    }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    Input input(data, size);
    auto const part = input.number();
    auto const key = handshake::bytes_of("a key that the other end does not have");
    bool const require_sha256 = (part & 2) != 0;
    Stranger stranger{input};
    bool believed = false;
    try {
        if (part & 1) {
            handshake::deliver(stranger, key, require_sha256);
            believed = true;
            handshake::answer(stranger, key, require_sha256);
        } else {
            handshake::answer(stranger, key, require_sha256);
            demand(stranger.welcomes, "accepted only by a welcome");
            handshake::deliver(stranger, key, require_sha256);
            believed = true;
        }
    } catch (AuthenticationError const&) {
    } catch (EOFError const&) {
    }
    demand(!believed, "nobody is believed without the key");
    return 0;
}
