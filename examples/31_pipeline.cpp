// A pipeline of three stages. The queues between them are short, so that a fast stage waits for a slow one instead of
// filling the memory; how far the first may run ahead is printed at the end.
//
//     words, lengths = Queue(maxsize=4), Queue(maxsize=4)
//     Process(target=split, args=(text, words)).start()
//     Process(target=measure, args=(words, lengths)).start()
//     for word, length in iter(lengths.get, None):
//         print(word, length)
#include <multiprocessing.hpp>

#include <algorithm>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

namespace mp = multiprocessing;

using Word = std::optional<std::string>; // std::nullopt: there are no more
using Measured = std::optional<std::pair<std::string, std::size_t>>;

void split(std::string const& text, mp::Queue<Word> words) {
    std::istringstream stream(text);
    for (std::string word; stream >> word;) words.put(word); // waits while there are four words in the queue
    words.put(std::nullopt);
}

void measure(mp::Queue<Word> words, mp::Queue<Measured> lengths) {
    for (std::string const& word : words) lengths.put(std::pair(word, word.size()));
    lengths.put(std::nullopt);
}

int main() {
    mp::freeze_support();

    mp::Queue<Word> words(4);
    mp::Queue<Measured> lengths(4);
    mp::Process first(split, "a queue that is short lets nobody run far ahead of the others", words);
    mp::Process second(measure, words, lengths);
    first.start();
    second.start();

    std::size_t longest = 0;
    for (auto const& [word, length] : lengths) {
        std::cout << std::string(length, '#') << ' ' << word << '\n';
        longest = std::max(longest, words.qsize());
    }
    std::cout << (longest <= 4 ? "never more than 4 words waited" : "too many words waited") << '\n';
    first.join();
    second.join();
}
