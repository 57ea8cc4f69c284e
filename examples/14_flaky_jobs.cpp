// Jobs that fail now and then, hang, or crash: a time limit for each, another try, and in the end an outcome of each.
// Python's pool has none of these: a job that hangs hangs for ever, a crash costs the whole map, and the first exception
// hides all results.
#include <multiprocessing.hpp>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace mp = multiprocessing;
using namespace std::chrono_literals;

std::string job(std::string const& kind) {
    if (kind == "flaky" && mp::task_attempt() == 1) throw std::runtime_error("no luck");
    if (kind == "hopeless") throw std::runtime_error("it cannot be done");
    if (kind == "hanging") std::this_thread::sleep_for(1h);
    if (kind == "crashing") std::_Exit(3);
    return "done at attempt " + std::to_string(mp::task_attempt());
}

int main() {
    mp::freeze_support();
    mp::Pool pool(2);
    std::vector<std::string> const kinds{"good", "flaky", "hopeless", "hanging", "crashing", "good"};
    auto const outcomes = pool.map(job, kinds, {.timeout = 1s, .retries = 1, .on_error = mp::collect});

    for (std::size_t i = 0; i < kinds.size(); ++i) {
        std::cout << kinds[i] << ": ";
        try {
            std::cout << outcomes[i].value() << '\n';
        } catch (mp::TaskTimeoutError const& error) {
            std::cout << "took too long, " << error.attempt() << " times\n";
        } catch (mp::WorkerDiedError const& error) {
            std::cout << "its worker ended with " << error.exitcode() << ", " << error.attempt() << " times\n";
        } catch (std::exception const& error) {
            std::cout << error.what() << '\n';
        }
    }
}
