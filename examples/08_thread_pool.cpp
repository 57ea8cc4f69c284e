// The same on threads: one line decides. Threads see what belongs to the caller, and start at once; but they cannot be
// ended, and one that crashes takes the program with it.
//
//     with ThreadPool(2) as pool:
//         print(*pool.map(lambda word: len(word), words))
#include <multiprocessing/thread_pool.hpp>

#include <iostream>
#include <string>
#include <vector>

namespace mp = multiprocessing;

int main() {
    mp::ThreadPool pool(2); // or: mp::Pool pool(2);

    std::vector<std::string> words{"fork", "spawn", "forkserver"};
    for (auto length : pool.map([](std::string const& word) { return word.size(); }, words)) std::cout << length << ' ';
    std::cout << '\n';

    // The items are the caller's own.
    pool.map([](std::string& word) { word += '!'; }, words);

    // Results in order, while later ones are still being worked on.
    for (auto const& text : pool.imap([](std::string const& word) { return "<" + word + ">"; }, words)) {
        std::cout << text << '\n';
    }

    auto answer = pool.apply_async([](int x) { return 2 * x; }, 21);
    std::cout << answer.get() << '\n';
}
