// not on windows
// Pages of a slow web server, several at a time, each as soon as it is there. The server is a process of this program.
// Python: for page in pool.imap_unordered(partial(fetch, port), paths): …
#include <multiprocessing.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

namespace mp = multiprocessing;

std::string receive(int socket) {
    char buffer[1000];
    auto const count = ::read(socket, buffer, sizeof buffer);
    return {buffer, count > 0 ? static_cast<std::size_t>(count) : 0};
}

void send(int socket, std::string const& text) {
    if (::write(socket, text.data(), text.size()) < 0) std::cerr << "the other end has gone\n";
}

void serve(mp::Connection parent) {
    mp::Listener listener({"127.0.0.1", 0});
    for (parent.send(listener.address().port());;) {
        std::thread([client = listener.accept()] {
            auto const request = receive(client.fileno()); // GET /path HTTP/1.0
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            send(client.fileno(), "HTTP/1.0 200 OK\r\n\r\nThis is " + request.substr(4, request.find(' ', 4) - 4));
        }).detach();
    }
}

std::string fetch(std::uint16_t port, std::string const& path) {
    mp::Connection const server = mp::Client({"127.0.0.1", port}); // nothing but a socket, without a key
    send(server.fileno(), "GET " + path + " HTTP/1.0\r\n\r\n");
    std::string answer;
    for (std::string more; !(more = receive(server.fileno())).empty();) answer += more;
    return answer.substr(answer.find("\r\n\r\n") + 4);
}

int main() {
    mp::freeze_support();
    auto [here, there] = mp::Pipe();
    mp::Process server({.daemon = true}, serve, there);
    server.start();
    auto const port = here.recv<std::uint16_t>();
    std::vector<std::string> paths;
    for (int i = 1; i <= 40; ++i) paths.push_back("/page" + std::to_string(i * i));
    mp::Pool pool(8);
    std::map<std::size_t, int> sizes;
    for (auto const& page : pool.imap_unordered(mp::partial(fetch, port), paths)) ++sizes[page.size()];
    for (auto const& [size, count] : sizes) std::cout << count << " pages of " << size << " bytes\n";
}
