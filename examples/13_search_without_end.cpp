// A search in an input that has no end: the word whose hash is known. Items are read only a little ahead of the results,
// and leaving the loop gives up what is queued. In Python imap would read the generator for ever, and fill the memory.
//
//     for word in pool.imap_unordered(check, words(), chunksize=100):
//         if word: break
#include <multiprocessing.hpp>

#include <cstddef>
#include <cstdint>
#include <iostream>
#include <iterator>
#include <optional>
#include <string>

namespace mp = multiprocessing;

std::uint64_t hash(std::string const& word) { // a hundred rounds of FNV-1a, so that it takes a while
    std::uint64_t sum = 14695981039346656037u;
    for (int round = 0; round < 100; ++round) {
        for (char const c : word) sum = (sum ^ static_cast<unsigned char>(c)) * 1099511628211u;
    }
    return sum;
}

std::optional<std::string> check(std::uint64_t wanted, std::string const& word) {
    if (hash(word) == wanted) return word;
    return std::nullopt;
}

/// a, b, …, z, aa, ab, … as a range.
struct words {
    using value_type = std::string;
    using difference_type = std::ptrdiff_t;
    std::string word = "a";

    words begin() const { return *this; }
    std::unreachable_sentinel_t end() const { return {}; }
    std::string const& operator*() const { return word; }
    words& operator++() {
        std::size_t at = word.size();
        while (at > 0 && word[at - 1] == 'z') word[--at] = 'a';
        if (at > 0) {
            ++word[at - 1];
        } else {
            word.insert(0, 1, 'a');
        }
        return *this;
    }
    void operator++(int) { ++*this; }
};

int main() {
    mp::freeze_support();
    mp::Pool pool(2);
    for (auto const& found : pool.imap_unordered(mp::partial(check, hash("pool")), words(), 100)) {
        if (!found) continue;
        std::cout << "the word is " << *found << '\n';
        break;
    }
}
