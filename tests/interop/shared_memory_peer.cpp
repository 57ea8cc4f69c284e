// The C++ side of shared_memory.py: shared_memory_peer <create|attach> <name of a block> <name of a list, or "none">
#include <multiprocessing/shareable_list.hpp>
#include <multiprocessing/shared_memory.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace mp = multiprocessing;
using Item = mp::ShareableList::Item;

namespace {

void require(bool condition, char const* what) {
    if (!condition) throw std::runtime_error(what);
}

mp::ShareableList::Bytes bytes(std::string_view text) {
    auto const* const data = reinterpret_cast<std::byte const*>(text.data());
    return {data, data + text.size()};
}

// The same as in shared_memory.py.
std::vector<Item> const everything{
    std::int64_t{42},
    2.5,
    true,
    false,
    std::monostate(),
    std::string("hi"),
    std::string("exactly8"),
    bytes(std::string_view("\x01\x00\xff", 3)),
    std::string(),
    std::numeric_limits<std::int64_t>::min(),
    std::string("h\xc3\xa9llo"),
    bytes("12345678")};
std::vector<Item> const changed{
    std::int64_t{-1},
    true,
    0.25,
    std::monostate(),
    std::int64_t{7},
    std::string("bye"),
    std::string("shorter"),
    bytes("\xfe"),
    std::string("was none"),
    std::int64_t{0},
    bytes("bytes"),
    std::string("text")};

void require_text(mp::SharedMemory const& block, std::string_view text) {
    require(block.size() >= text.size() && std::memcmp(block.data(), text.data(), text.size()) == 0, "the bytes");
}

void require_items(mp::ShareableList const& list, std::vector<Item> const& items) {
    require(list.size() == items.size(), "the length of the list");
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (list[static_cast<std::ptrdiff_t>(i)] != items[i]) throw std::runtime_error("item " + std::to_string(i));
    }
}

void write(mp::SharedMemory const& block, std::string_view text) {
    std::memcpy(block.data(), text.data(), text.size());
}

void wait_for_the_other() {
    std::puts("ready");
    std::fflush(stdout);
    while (std::getchar() != '\n') {
    }
}

void create(std::string const& name, std::string const& list_name) {
    auto const block = mp::SharedMemory::create(1000, name);
    require(block.size() == 1000, "the size");
    write(block, "from c++");
    mp::ShareableList list;
    if (list_name != "none") list = mp::ShareableList(everything, list_name);
    wait_for_the_other();
    require_text(block, "from python");
    if (list_name != "none") require_items(list, changed);
    block.unlink();
    if (list_name != "none") list.shm().unlink();
}

void attach(std::string const& name, std::string const& list_name) {
    auto const block = mp::SharedMemory::attach(name);
    require(block.size() == 1000, "the size");
    require_text(block, "from python");
    write(block, "from c++");
    if (list_name == "none") return;
    auto list = mp::ShareableList::attach(list_name);
    require_items(list, everything);
    for (std::size_t i = 0; i < changed.size(); ++i) list.set(static_cast<std::ptrdiff_t>(i), changed[i]);
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 4) return 2;
    try {
        (std::string_view(argv[1]) == "create" ? create : attach)(argv[2], argv[3]);
        std::puts("ok");
        return 0;
    } catch (std::exception const& error) {
        std::printf("error: %s\n", error.what());
        return 1;
    }
}
