// Lists in a block that somebody else has written, and keeps writing to: one of the first words after the other changes, to
// the number in the first byte of the input.

#include <multiprocessing/shareable_list.hpp>

#include "input.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include <sanitizer/asan_interface.h>
#include <unistd.h>

namespace mp = multiprocessing;

namespace {

template <class Function>
void try_to(Function function) {
    try {
        function();
    } catch (mp::ValueError const&) {
    } catch (mp::TypeError const&) {
    }
}

void use(mp::ShareableList& list) {
    try_to([&] { list.to_string(); });
    try_to([&] { list.format(); });
    try_to([&] { list.count(1); });
    for (std::size_t i = 0; i < list.size(); ++i) {
        auto const at = static_cast<std::ptrdiff_t>(i);
        try_to([&] { list.get<std::string>(at); });
        try_to([&] { list.get<short>(at); });
    }
    for (std::size_t i = 0; i < list.size(); ++i) {
        auto const at = -static_cast<std::ptrdiff_t>(i) - 1;
        try_to([&] { list.set(at, "sixteen letters."); });
        try_to([&] { list.set(at, mp::ShareableList::Bytes(3)); });
        try_to([&] { list.set(at, 2.5); });
        try_to([&] {
            list.set(at, {});
            demand(list.get(at) == mp::ShareableList::Item(), "what was set");
        });
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    static std::string const name = "fuzz-shareable-list-" + std::to_string(getpid());
    Input input(data, size);
    auto const value = static_cast<std::byte>(input.number());
    auto const bytes = input.rest();
    if (bytes.empty()) return 0;
    auto const block =
        mp::SharedMemory::create(static_cast<std::int64_t>(bytes.size()), name, {.track = false, .reserve = false});
    std::ranges::copy(bytes, block.data());
    mp::ShareableList list;
    try_to([&] { list = mp::ShareableList::attach(name); });
    block.unlink();
    if (list.shm().data() == nullptr) return 0;

    // The rest of the page is nobody's.
    auto* const end = list.shm().data() + list.shm().size();
    auto const rest = static_cast<std::size_t>(-static_cast<std::ptrdiff_t>(bytes.size()) & 4095);
    ASAN_POISON_MEMORY_REGION(end, rest);
    use(list);
    for (std::size_t word = 0; word < std::min<std::size_t>(bytes.size(), 128); word += 8) {
        std::ranges::copy(bytes, block.data());
        block.data()[word] = value;
        use(list);
    }
    ASAN_UNPOISON_MEMORY_REGION(end, rest);
    return 0;
}
