// not on windows
// A web server in several processes: the parent accepts connections and hands them to its workers, in turn. A worker that
// crashes takes one request with it, not the server.
//
//     33_prefork_web_server        serves until it is interrupted, at the address that it prints
//     33_prefork_web_server 6      serves 6 requests that it sends itself, with curl or Python
//
// In Python the parent would call multiprocessing.reduction.send_handle(pipe, client.fileno(), worker.pid), too.
#include <multiprocessing.hpp>

#include <cstdlib>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

namespace mp = multiprocessing;

void answer(int socket, int worker) {
    std::string request;
    char buffer[1000];
    while (request.find("\r\n\r\n") == std::string::npos) {
        auto const count = ::read(socket, buffer, sizeof buffer);
        if (count <= 0) return;
        request.append(buffer, static_cast<std::size_t>(count));
    }
    std::string const path = request.substr(4, request.find(' ', 4) - 4); // GET /path HTTP/1.1
    std::string const body = "worker " + std::to_string(worker) + " served " + path + "\n";
    std::string const reply = "HTTP/1.0 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    if (::write(socket, reply.data(), reply.size()) < 0) std::cerr << "the client has gone\n";
}

void work(mp::Connection clients, int worker) {
    for (;;) {
        int const socket = mp::recv_handle(clients);
        answer(socket, worker);
        ::close(socket);
    }
}

void send_requests(std::string const& address, int count) {
    for (int i = 0; i < count; ++i) {
        std::string const url = "http://" + address + "/page" + std::to_string(i);
        std::string const fetch = "curl -s --noproxy '*' " + url + " || python3 -c \"import urllib.request; print(" +
                                  "urllib.request.urlopen('" + url + "').read().decode(), end='')\"";
        if (std::system(fetch.c_str()) != 0) mp::exit("no client could fetch " + url);
    }
}

int main(int argc, char** argv) {
    mp::freeze_support();
    int const requests = argc > 1 ? std::atoi(argv[1]) : -1;

    mp::Listener listener({"127.0.0.1", 0});
    std::vector<std::pair<mp::Connection, mp::Process>> workers;
    for (int number = 1; number <= 3; ++number) {
        auto [here, there] = mp::Pipe();
        mp::Process process({.daemon = true}, work, there, number); // daemon: it ends with this process
        process.start();
        workers.emplace_back(here, std::move(process));
    }

    mp::Process client(send_requests, listener.address().to_string(), requests);
    if (requests >= 0) {
        client.start();
    } else {
        std::cout << "http://" << listener.address().to_string() << "/" << std::endl;
    }
    for (std::size_t served = 0; requests < 0 || served < static_cast<std::size_t>(requests); ++served) {
        auto connection = listener.accept();
        auto& [pipe, worker] = workers[served % workers.size()];
        mp::send_handle(pipe, connection.fileno(), *worker.pid());
    }
    client.join();
    return client.exitcode().value_or(0);
}
