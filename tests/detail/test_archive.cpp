#include <multiprocessing/detail/archive.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace mp = multiprocessing;
using namespace mp::detail;

namespace {

/// Something of everything that carries counts, flags, indexes or numbers of objects.
struct everything {
    int number = 7;
    std::string text = "some text";
    std::vector<double> reals{1, 2, 3};
    std::vector<std::string> words{"one", "two"};
    std::vector<bool> bits{true, false, true};
    std::map<std::string, int> map{{"a", 1}, {"b", 2}};
    std::unordered_map<int, std::string> unordered{{1, "x"}};
    std::multiset<int> set{1, 1, 2};
    std::optional<std::string> optional = "maybe";
    std::variant<int, std::string, std::monostate> variant = "text";
    std::unique_ptr<everything> next;
    std::shared_ptr<std::string> shared = std::make_shared<std::string>("shared");
    std::shared_ptr<std::string> again = shared;
    std::weak_ptr<std::string> weak = shared;
    std::shared_ptr<int> other = std::make_shared<int>(5);

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& number& text& reals& words& bits& map& unordered& set& optional& variant& next;
        archive& shared& again& weak& other;
    }
};

std::vector<std::byte> message() {
    everything value;
    value.next = std::make_unique<everything>();
    byte_buffer buffer;
    save(buffer, value);
    return {buffer.bytes().begin(), buffer.bytes().end()};
}

/// Loads bytes that are perhaps damaged; whether they were accepted. Anything but a clean error fails the test.
bool survives(std::span<std::byte const> bytes) {
    // An exact copy, so that a sanitizer sees each read beyond the end.
    auto const copy = std::make_unique<std::byte[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), copy.get());
    try {
        (void)load<everything>({copy.get(), bytes.size()});
        return true;
    } catch (mp::ValueError const&) {
        return false;
    }
}

} // namespace

TEST_CASE("a whole message arrives") {
    auto const copy = load<everything>(message());
    CHECK(copy.words == everything().words);
    CHECK(copy.variant == everything().variant);
    CHECK(copy.next->unordered == everything().unordered);
    CHECK(copy.again == copy.shared);
    CHECK(copy.weak.lock() == copy.shared);
}

TEST_CASE("bytes after the object are an error") {
    auto bytes = message();
    bytes.push_back(std::byte{});
    CHECK_FALSE(survives(bytes));
}

TEST_CASE("no beginning of a message is taken for a message") {
    auto const bytes = message();
    for (std::size_t size = 0; size != bytes.size(); ++size)
        if (survives(std::span(bytes).first(size))) FAIL("the first " << size << " bytes were accepted");
    CHECK(survives(bytes));
}

TEST_CASE("damaged messages are refused or loaded, nothing else") {
    auto const original = message();
    std::mt19937 random(20240229); // always the same damage
    int accepted = 0;
    for (int i = 0; i != 4000; ++i) {
        auto bytes = original;
        for (int flips = i % 3; flips >= 0; --flips) bytes[random() % bytes.size()] ^= std::byte(1u << random() % 8);
        accepted += survives(bytes);
    }
    // Both happen: a flip in a number goes unnoticed, a flip in a count does not.
    CHECK(accepted > 0);
    CHECK(accepted < 4000);
}

TEST_CASE("bytes that were never a message are refused or loaded, nothing else") {
    std::mt19937 random(1);
    for (int i = 0; i != 2000; ++i) {
        std::vector<std::byte> bytes(random() % 200);
        for (auto& byte : bytes) byte = random() % 2 == 0 ? std::byte{} : std::byte(random());
        (void)survives(bytes);
    }
    SUCCEED();
}
