// Waits for whatever comes first: an item in one of several queues, or the end of a process.

#include <multiprocessing.hpp>

#include <iostream>
#include <vector>

namespace mp = multiprocessing;

void count_to(mp::Queue<int> queue, int last) {
    for (int i = 1; i <= last; ++i) queue.put(i);
}

int main() {
    mp::freeze_support();

    mp::Queue<int> short_queue, long_queue;
    mp::Process first(count_to, short_queue, 10);
    mp::Process second(count_to, long_queue, 1000);
    first.start();
    second.start();

    int sum = 0;
    std::vector<mp::Waitable> waiting{first, second, short_queue, long_queue};
    while (waiting.size() > 2 || !short_queue.empty() || !long_queue.empty()) {
        for (auto const& ready : mp::wait(waiting)) {
            if (ready == mp::Waitable(short_queue)) {
                sum += short_queue.get();
            } else if (ready == mp::Waitable(long_queue)) {
                sum += long_queue.get();
            } else {
                std::erase(waiting, ready); // a process that has ended
            }
        }
    }
    std::cout << "both have ended, the sum of all that they have put is " << sum << '\n';
}
