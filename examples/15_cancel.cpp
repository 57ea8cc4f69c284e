// A call that runs is given up: its worker is ended and replaced, whatever it was doing. In Python only terminate() can
// do that, and the pool with it.
#include <multiprocessing.hpp>

#include <chrono>
#include <iostream>
#include <stop_token>
#include <thread>
#include <vector>

namespace mp = multiprocessing;
using namespace std::chrono_literals;

int think(mp::Event begun, int) {
    begun.set();
    for (;;) std::this_thread::sleep_for(1h);
}

int square(int x) { return x * x; }

int main() {
    mp::freeze_support();
    mp::Pool pool(2);

    mp::Event begun;
    auto thoughts = pool.apply_async(think, begun, 1);
    begun.wait();
    std::cout << "cancelled while it ran: " << std::boolalpha << thoughts.cancel() << '\n';
    try {
        thoughts.get();
    } catch (mp::CancelledError const&) {
        std::cout << "get throws CancelledError\n";
    }

    // The same by a token, for calls that block, and for many at a time.
    mp::Event begun_again;
    std::stop_source source;
    std::jthread const other([&] {
        begun_again.wait();
        source.request_stop();
    });
    try {
        pool.map(mp::partial(think, begun_again), std::vector<int>(1000), {.stop = source.get_token()});
    } catch (mp::CancelledError const&) {
        std::cout << "so does map\n";
    }

    std::cout << "and the pool works on: " << pool.apply(square, 12) << '\n';
}
