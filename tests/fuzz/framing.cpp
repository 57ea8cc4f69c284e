// Messages on a stream. The first byte says how many bytes come at once.

#include <multiprocessing/detail/framing.hpp>

#include "input.hpp"

#include <algorithm>
#include <vector>

using namespace multiprocessing;
using namespace multiprocessing::detail;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    Input input(data, size);
    std::size_t const at_once = 1 + (input.number() & 127);
    auto const read = [&](std::span<std::byte> place) {
        demand(!place.empty(), "there is room");
        auto const bytes = input.take(std::min(at_once, place.size()));
        std::ranges::copy(bytes, place.begin());
        return bytes.size();
    };
    try {
        for (;;) {
            auto const announced = read_frame_header(read);
            std::vector<std::byte> message;
            read_frame(
                announced,
                [&](std::size_t more) {
                    auto const before = message.size();
                    message.resize(before + more);
                    demand(message.size() <= (1 << 20) + 2 * size, "memory only for what arrives");
                    return std::span(message).subspan(before);
                },
                read);
            demand(message.size() == announced, "the whole message");
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
