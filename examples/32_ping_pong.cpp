// Parent and child talk over a pipe: objects there and back, until one end is closed.
//
//     def player(connection):
//         while True:
//             try:
//                 word, count = connection.recv()
//             except EOFError:
//                 break
//             connection.send((word.replace("i", "o"), count + 1))
//
//     here, there = Pipe()
//     p = Process(target=player, args=(there,))
//     p.start()
//     there.close()
//     ...
#include <multiprocessing.hpp>

#include <algorithm>
#include <iostream>
#include <string>
#include <utility>

namespace mp = multiprocessing;

using Ball = std::pair<std::string, int>;

void player(mp::Connection connection) {
    try {
        for (;;) {
            auto [word, count] = connection.recv<Ball>();
            std::replace(word.begin(), word.end(), 'i', 'o');
            connection.send(Ball(word, count + 1));
        }
    } catch (mp::EOFError const&) {
    } // the other end was closed: the game is over
}

int main() {
    mp::freeze_support();

    auto [here, there] = mp::Pipe();
    mp::Process p(
        [](mp::Connection mine, mp::Connection parents) {
            parents.close(); // a forked child has a copy of this end too: with it open, the stream would never end
            player(mine);
        },
        there,
        here);
    p.start();
    there.close();

    for (int round = 0; round < 3; ++round) {
        here.send(Ball("ping", 2 * round));
        auto const [word, count] = here.recv<Ball>();
        std::cout << "ping " << 2 * round << " -> " << word << ' ' << count << '\n';
    }

    here.send(Ball("ping", 6));
    try {
        here.recv<double>();
    } catch (mp::TypeError const& error) {
        std::cout << error.what() << '\n'; // bytes of one type are never taken for another
    }
    here.close();
    p.join();
    std::cout << "the child ended with exit code " << p.exitcode().value() << '\n';
}
