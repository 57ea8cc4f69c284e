// Messages on a stream. The first byte says how many bytes come at once, its highest bit whether bodies may be elsewhere.

#include <multiprocessing/detail/framing.hpp>

#include "input.hpp"

#include <algorithm>
#include <vector>

using namespace multiprocessing;
using namespace multiprocessing::detail;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    Input input(data, size);
    auto const first = input.number();
    std::size_t const at_once = 1 + (first & 127);
    bool const elsewhere = (first & 128) != 0;
    auto const read = [&](std::span<std::byte> place) {
        demand(!place.empty(), "there is room");
        auto const bytes = input.take(std::min(at_once, place.size()));
        std::ranges::copy(bytes, place.begin());
        return bytes.size();
    };
    try {
        for (;;) {
            auto const start = read_frame_header(read, elsewhere);
            demand(elsewhere || !start.is_elsewhere, "where it may be");
            if (start.is_elsewhere) {
                frame_header const again(start.size, start.position);
                demand(again.bytes().size() == 20, "the size of a header");
                continue;
            }
            std::vector<std::byte> message;
            read_frame(
                start.size,
                [&](std::size_t more) {
                    auto const before = message.size();
                    message.resize(before + more);
                    demand(message.size() <= (1 << 20) + 2 * size, "memory only for what arrives");
                    return std::span(message).subspan(before);
                },
                read);
            demand(message.size() == start.size, "the whole message");
        }
    } catch (EOFError const&) {
        demand(input.empty(), "the end");
    } catch (OSError const& error) {
        demand(
            error.code() == std::errc::connection_aborted || error.code() == std::errc::message_size,
            "one of the two errors");
    }
    return 0;
}
