// Objects from bytes. The first byte chooses the type. What was loaded is saved, and comes out the same when it is loaded
// again; everything else is a ValueError.

#include <multiprocessing/detail/archive.hpp>
#include <multiprocessing/detail/archive_filesystem.hpp>
#include <multiprocessing/detail/exceptions.hpp>
#include <multiprocessing/synchronize.hpp>

#include "input.hpp"

#include <array>
#include <deque>
#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

using namespace multiprocessing;
using namespace multiprocessing::detail;
using byte_view = std::span<std::byte const>;

namespace {

struct Nothing {
    friend bool operator<(Nothing, Nothing) { return false; }
    template <class Archive>
    void serialize(Archive&, unsigned) {}
};

/// Nested as deep as the bytes say.
struct Tree {
    std::string name;
    std::vector<Tree> children;
    std::unique_ptr<Tree> next;
    std::optional<std::variant<int, std::vector<Tree>>> more;

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& name& children& next& more;
    }
};

template <class T>
byte_buffer saved(T const& value) {
    byte_buffer buffer;
    output_archive(buffer) << value;
    return buffer;
}

template <class T>
T loaded(byte_view bytes) {
    input_archive archive(bytes);
    T value = archive.make<T>();
    archive.expect_end();
    return value;
}

template <class T, bool ordered = true>
void try_type(byte_view bytes) {
    std::optional<T> value;
    try {
        value.emplace(loaded<T>(bytes));
    } catch (ValueError const&) {
        return;
    }
    auto const once = saved(*value);
    auto const twice = saved(loaded<T>(once.bytes()));
    demand(once.bytes().size() == twice.bytes().size(), "the same size again");
    if (ordered) demand(std::ranges::equal(once.bytes(), twice.bytes()), "the same again");
}

void try_exception(byte_view bytes) {
    std::exception_ptr exception;
    try {
        exception = load_exception(bytes);
    } catch (ValueError const&) {
        return;
    }
    describe_exception(exception);
    byte_buffer buffer;
    save_exception(buffer, exception, {"fuzzer", 1, {}});
    demand(describe_exception(load_exception(buffer.bytes())) == describe_exception(exception), "the same exception");
}

constexpr std::array attempts{
    &try_type<std::vector<std::map<std::string, std::vector<std::optional<std::string>>>>>,
    &try_type<
        std::variant<std::monostate, bool, std::int64_t, std::string, std::vector<std::variant<int, std::string>>>>,
    &try_type<std::pair<std::shared_ptr<std::string>, std::vector<std::shared_ptr<std::string const>>>>,
    &try_type<std::tuple<std::vector<std::shared_ptr<std::vector<int>>>, std::vector<std::shared_ptr<int>>>>,
    &try_type<Tree>,
    &try_type<std::unordered_map<std::u16string, std::unordered_multiset<int>>, false>,
    &try_type<std::deque<std::pair<std::wstring, std::list<std::array<std::string, 3>>>>>,
    &try_type<std::pair<std::vector<bool>, std::multimap<bool, Nothing>>>,
    &try_type<std::pair<std::set<Nothing>, std::vector<std::vector<Nothing>>>>,
    &try_type<std::vector<std::filesystem::path>>,
    &try_type<std::vector<std::unique_ptr<std::array<std::unique_ptr<std::u32string>, 2>>>>,
    &try_exception,
    &try_type<std::vector<Lock>>,
    &try_type<std::optional<std::pair<Condition, Barrier>>>,
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    Input input(data, size);
    auto const type = input.number();
    attempts[type % attempts.size()](input.rest());
    return 0;
}
