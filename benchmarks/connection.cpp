// Messages over a Pipe between two processes, against pipe(2) with the same framing and against CPython's Pipe.
//
//     g++ -std=c++20 -O2 -I include benchmarks/connection.cpp -o connection -pthread && ./connection [rounds [case [apart]]]
//
// With a third argument the two processes of ours and of pipe(2) are on two processors; otherwise the scheduler puts them
// where it likes. Linux. Ours and the peer run in turns, in changing order; printed are the medians in nanoseconds per
// message, or per round trip, and the median of the ratios of the pairs: above 1, the peer takes longer.

#include <multiprocessing/connection.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mp = multiprocessing;

namespace {

struct Case {
    char const* name;
    std::size_t size;
    bool objects; // else bytes
    bool round_trips;
    long messages;
};

/// Ours: one end each.
struct Ours {
    explicit Ours(Case const& what) : c(what), ends(mp::Pipe()), buffer(what.size) {}

    void send(bool first) {
        auto& end = first ? ends.first : ends.second;
        if (c.objects && c.size == 8) return end.send(std::int64_t{1});
        if (c.objects) return end.send(buffer);
        end.send_bytes(buffer);
    }
    void receive(bool first) {
        auto& end = first ? ends.first : ends.second;
        if (c.objects && c.size == 8) {
            end.recv<std::int64_t>();
        } else if (c.objects) {
            end.recv<std::vector<std::byte>>();
        } else {
            end.recv_bytes_into(buffer);
        }
    }

    Case c;
    std::pair<mp::Connection, mp::Connection> ends;
    std::vector<std::byte> buffer;
};

/// Two pipes of the system; a message has four bytes for its size in front.
struct SystemPipe {
    explicit SystemPipe(Case const& c) : buffer(4 + c.size) {
        if (::pipe(there) != 0 || ::pipe(back) != 0) std::abort();
        auto const size = static_cast<std::uint32_t>(c.size);
        std::memcpy(buffer.data(), &size, 4);
    }
    ~SystemPipe() {
        for (int const end : {there[0], there[1], back[0], back[1]}) ::close(end);
    }
    SystemPipe(SystemPipe const&) = delete;
    SystemPipe& operator=(SystemPipe const&) = delete;

    void send(bool first) {
        int const end = first ? there[1] : back[1];
        for (std::size_t done = 0; done < buffer.size();) {
            done += advance(::write(end, buffer.data() + done, buffer.size() - done));
        }
    }
    void receive(bool first) {
        int const end = first ? back[0] : there[0];
        std::uint32_t size = 0;
        if (::read(end, &size, 4) != 4) std::abort();
        for (std::size_t done = 0; done < size;) done += advance(::read(end, buffer.data() + 4 + done, size - done));
    }
    static std::size_t advance(ssize_t count) {
        if (count <= 0) std::abort();
        return static_cast<std::size_t>(count);
    }

    int there[2];
    int back[2];
    std::vector<std::byte> buffer;
};

bool apart = false;

/// This process, alone on a processor; -1: wherever the scheduler likes.
void run_on(int processor) {
    ::cpu_set_t set;
    CPU_ZERO(&set);
    for (int i = 0; i < CPU_SETSIZE; ++i) {
        if (processor < 0 || processor == i) CPU_SET(static_cast<unsigned>(i), &set);
    }
    ::sched_setaffinity(0, sizeof set, &set);
}

double now() { return static_cast<double>(std::chrono::steady_clock::now().time_since_epoch().count()); }

/// This process sends, a child receives; with round trips it also sends back.
template <class Transport>
double measure(Case const& c) {
    Transport transport(c);
    pid_t const child = ::fork();
    if (child == 0) {
        if (apart) run_on(1);
        for (long n = 0; n < c.messages; ++n) {
            transport.receive(false);
            if (c.round_trips || n + 1 == c.messages) transport.send(false);
        }
        ::_exit(0);
    }
    if (apart) run_on(0);
    double const begin = now();
    for (long n = 0; n < c.messages; ++n) {
        transport.send(true);
        if (c.round_trips || n + 1 == c.messages) transport.receive(true);
    }
    double const taken = now() - begin;
    ::waitpid(child, nullptr, 0);
    if (apart) run_on(-1);
    return taken / static_cast<double>(c.messages);
}

/// CPython measures itself.
double python(Case const& c) {
    char const* const send = c.objects ? "send" : "send_bytes";
    char const* const receive = c.objects ? "recv" : "recv_bytes";
    char script[2000];
    std::snprintf(
        script,
        sizeof script,
        "import multiprocessing as m, time\n"
        "n,trips,x=%ld,%d,%s\n"
        "a,b=m.Pipe()\n"
        "def child():\n"
        "    for i in range(n):\n"
        "        y=b.%s()\n"
        "        if trips or i+1==n: b.%s(x)\n"
        "p=m.get_context('fork').Process(target=child)\n"
        "p.start()\n"
        "t=time.perf_counter()\n"
        "for i in range(n):\n"
        "    a.%s(x)\n"
        "    if trips or i+1==n: a.%s()\n"
        "print((time.perf_counter()-t)/n*1e9)\n"
        "p.join()\n",
        c.messages / 10,
        c.round_trips ? 1 : 0,
        c.objects && c.size == 8 ? "1" : ("bytes(" + std::to_string(c.size) + ")").c_str(),
        receive,
        send,
        send,
        receive);
    std::FILE* const pipe = ::popen((std::string("python3 -c \"") + script + "\" 2>/dev/null").c_str(), "r");
    double result = 0;
    if (pipe == nullptr || std::fscanf(pipe, "%lf", &result) != 1) result = 0;
    if (pipe != nullptr) ::pclose(pipe);
    return result;
}

double median(std::vector<double> values) {
    auto const middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

void compare(Case const& c, char const* peer, int rounds, double (*theirs)(Case const&)) {
    std::vector<double> our_times, their_times, ratios;
    for (int round = 0; round < rounds; ++round) {
        double ours = 0;
        if (round % 2 == 0) ours = measure<Ours>(c);
        double const other = theirs(c);
        if (round % 2 != 0) ours = measure<Ours>(c);
        if (other <= 0) return;
        our_times.push_back(ours);
        their_times.push_back(other);
        ratios.push_back(other / ours);
    }
    std::printf(
        "%-26s %-8s %10.0f %12.0f %8.2f\n", c.name, peer, median(our_times), median(their_times), median(ratios));
    std::fflush(stdout);
}

} // namespace

int main(int argc, char** argv) {
    int const rounds = argc > 1 ? std::atoi(argv[1]) : 7;
    std::string const wanted = argc > 2 ? argv[2] : ""; // part of the name
    apart = argc > 3;
    std::printf("%-26s %-8s %10s %12s %8s\n", "", "peer", "ours ns", "peer ns", "ratio");
    for (Case const& c : {
             Case{"8 B objects", 8, true, false, 200'000},
             Case{"8 B bytes", 8, false, false, 200'000},
             Case{"8 B objects, round trip", 8, true, true, 20'000},
             Case{"4 KB bytes", 4096, false, false, 50'000},
             Case{"1 MB objects", 1 << 20, true, false, 500},
             Case{"1 MB bytes", 1 << 20, false, false, 500},
         }) {
        if (std::string(c.name).find(wanted) == std::string::npos) continue;
        compare(c, "pipe(2)", rounds, measure<SystemPipe>);
        compare(c, "CPython", std::min(rounds, 5), python);
    }
}
