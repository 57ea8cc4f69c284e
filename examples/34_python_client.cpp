// not on windows
// A server in C++ that a program in Python talks to, by the Client of its own multiprocessing; both know a key. The other
// side is 34_python_client.py, which is started here; it could run on its own as well.
#include <multiprocessing.hpp>

#include <cstdlib>
#include <cstring>
#include <iostream>
#include <numeric>
#include <string>
#include <vector>

namespace mp = multiprocessing;

int main() {
    mp::freeze_support();

    mp::Listener listener({"127.0.0.1", 0}, {.authkey = "open sesame"});
    mp::Process python(
        [](mp::Address const& address) {
            std::string const command =
                "python3 34_python_client.py " + address.host() + ' ' + std::to_string(address.port());
            if (std::system(command.c_str()) != 0) mp::exit("the Python program failed");
        },
        listener.address());
    python.start();

    auto connection = listener.accept(); // Python has proved that it knows the key, and so have we
    try {
        for (;;) {
            auto const bytes = connection.recv_bytes(); // array('d', ...).tobytes()
            std::vector<double> numbers(bytes.size() / sizeof(double));
            if (!numbers.empty()) std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(double));
            double const sum = std::accumulate(numbers.begin(), numbers.end(), 0.0);
            connection.send_bytes(
                "the sum of " + std::to_string(numbers.size()) + " numbers is " + std::to_string(sum));
        }
    } catch (mp::EOFError const&) {
    } // Python has closed the connection
    python.join();
    std::cout << "Python ended with exit code " << python.exitcode().value() << '\n';
}
