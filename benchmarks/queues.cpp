// Queue between processes, against pipe(2), a bare futex, Boost.Interprocess' message_queue, ZeroMQ over ipc, and CPython's
// multiprocessing.Queue (python3, or what the variable PYTHON names).
//
//     g++ -std=c++20 -O2 -I include benchmarks/queues.cpp -o queues -pthread && ./queues [rounds [case [peer]]]
//
// and for ZeroMQ -D MULTIPROCESSING_BENCHMARKS_ZMQ -lzmq. Linux. A peer that is not installed is left out. Ours and the
// peer run in turns, in changing order; printed are the medians in nanoseconds per message, or per round trip, and the
// median of the ratios of the pairs: above 1, the peer takes longer. "two cores": every process is confined to one of two
// processors, each with the same number, so that both sides really run at the same time; "one core": all to the same.

#include <multiprocessing/queues.hpp>

#if __has_include(<boost/interprocess/ipc/message_queue.hpp>)
#    define HAS_BOOST 1
#    include <boost/interprocess/ipc/message_queue.hpp>
#endif

#if defined(MULTIPROCESSING_BENCHMARKS_ZMQ)
#    include <zmq.h>
#endif

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mp = multiprocessing;

namespace {

constexpr long places = 1024; // of the bounded transports

/// Bytes there and back: what is measured.
struct Transport {
    virtual ~Transport() = default;
    /// In a process that will send, or receive: before the time is taken.
    virtual void open(bool /*sends*/) {}
    /// Whether a process that has sent everything has to live until it has been received.
    virtual bool sends_later() const { return false; }
    virtual void send(std::byte const* data) = 0;
    virtual void receive(std::byte* data) = 0;
};
using Maker = std::function<std::unique_ptr<Transport>(std::size_t size, long limit)>;

template <std::size_t size>
struct PlainQueue final : Transport {
    using Message = std::array<std::byte, size>;
    explicit PlainQueue(long limit) : queue(limit) {}
    void send(std::byte const* data) override {
        Message message;
        std::memcpy(&message, data, size);
        queue.put(message);
    }
    void receive(std::byte* data) override {
        Message const message = queue.get();
        std::memcpy(data, &message, size);
    }
    mp::Queue<Message> queue;
};

struct VectorQueue final : Transport {
    VectorQueue(std::size_t bytes, long limit) : queue(limit), message(bytes) {}
    void send(std::byte const* data) override {
        std::memcpy(message.data(), data, 8);
        queue.put(message);
    }
    void receive(std::byte* data) override { std::memcpy(data, queue.get().data(), 8); }
    mp::Queue<std::vector<std::byte>> queue;
    std::vector<std::byte> message;
};

/// Memory that is filled where it is and handed over; one element in each page is written and read.
struct LoanQueue final : Transport {
    LoanQueue(std::size_t bytes, long limit) : queue(limit), size(bytes) {}
    void send(std::byte const* data) override {
        auto loan = queue.loan(size);
        std::memcpy(loan.data(), data, 8);
        queue.put(std::move(loan));
    }
    void receive(std::byte* data) override {
        auto view = queue.get_view();
        std::memcpy(data, view.data(), 8);
    }
    mp::Queue<std::vector<std::byte>> queue;
    std::size_t size;
};

std::unique_ptr<Transport> make_ours(std::size_t size, long limit) {
    if (size == 8) return std::make_unique<PlainQueue<8>>(limit);
    if (size == 256) return std::make_unique<PlainQueue<256>>(limit);
    return std::make_unique<VectorQueue>(size, limit);
}

/// Whole messages up to PIPE_BUF need no lock; larger ones would, so they are measured with one writer only.
struct Pipe final : Transport {
    explicit Pipe(std::size_t bytes) : size(bytes), buffer(bytes) {
        if (::pipe(ends) != 0) std::abort();
    }
    ~Pipe() override {
        ::close(ends[0]);
        ::close(ends[1]);
    }
    void send(std::byte const* data) override {
        std::memcpy(buffer.data(), data, 8);
        for (std::size_t done = 0; done < size;) done += advance(::write(ends[1], buffer.data() + done, size - done));
    }
    void receive(std::byte* data) override {
        for (std::size_t done = 0; done < size;) done += advance(::read(ends[0], buffer.data() + done, size - done));
        std::memcpy(data, buffer.data(), 8);
    }
    static std::size_t advance(ssize_t count) {
        if (count <= 0) std::abort();
        return static_cast<std::size_t>(count);
    }
    int ends[2];
    std::size_t size;
    std::vector<std::byte> buffer;
};

/// Nothing but a word in shared memory on which the reader sleeps: the floor of who sleeps at once. For one message at a
/// time.
struct Futex final : Transport {
    void send(std::byte const*) override {
        word->store(1);
        ::syscall(SYS_futex, word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
    }
    void receive(std::byte*) override {
        while (word->exchange(0) == 0) ::syscall(SYS_futex, word, FUTEX_WAIT, 0, nullptr, nullptr, 0);
    }
    ~Futex() override { ::munmap(word, 4096); }
    std::atomic<int>* word = static_cast<std::atomic<int>*>(
        ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
};

#if defined(HAS_BOOST)
namespace bip = boost::interprocess;

struct BoostQueue final : Transport {
    BoostQueue(std::size_t bytes, long limit)
        : name("queues-benchmark-" + std::to_string(::getpid()) + "-" + std::to_string(++made)),
          queue(
              bip::create_only,
              name.c_str(),
              static_cast<std::size_t>(std::min(limit, (64L << 20) / static_cast<long>(bytes))),
              bytes),
          size(bytes), buffer(bytes) {
        bip::message_queue::remove(name.c_str());
    }
    void send(std::byte const* data) override {
        std::memcpy(buffer.data(), data, 8);
        queue.send(buffer.data(), size, 0);
    }
    void receive(std::byte* data) override {
        bip::message_queue::size_type received = 0;
        unsigned priority = 0;
        queue.receive(buffer.data(), size, received, priority);
        std::memcpy(data, buffer.data(), 8);
    }
    static inline int made = 0;
    std::string name;
    bip::message_queue queue;
    std::size_t size;
    std::vector<std::byte> buffer;
};
#endif

#if defined(MULTIPROCESSING_BENCHMARKS_ZMQ)
/// One end in each of two processes: who receives binds, who sends connects.
struct ZmqIpc final : Transport {
    ZmqIpc(std::size_t bytes, long limit)
        : address("ipc://@queues-benchmark-" + std::to_string(::getpid()) + "-" + std::to_string(++made)), size(bytes),
          most(static_cast<int>(limit)), buffer(bytes) {}
    void open(bool sends) override {
        context = ::zmq_ctx_new();
        socket = ::zmq_socket(context, sends ? ZMQ_PUSH : ZMQ_PULL);
        int const soon = 1; // ms
        ::zmq_setsockopt(socket, ZMQ_RECONNECT_IVL, &soon, sizeof soon);
        ::zmq_setsockopt(socket, sends ? ZMQ_SNDHWM : ZMQ_RCVHWM, &most, sizeof most);
        int const failed = sends ? ::zmq_connect(socket, address.c_str()) : ::zmq_bind(socket, address.c_str());
        if (failed != 0) std::abort();
    }
    bool sends_later() const override { return true; }
    void send(std::byte const* data) override {
        std::memcpy(buffer.data(), data, 8);
        if (::zmq_send(socket, buffer.data(), size, 0) < 0) std::abort();
    }
    void receive(std::byte* data) override {
        if (::zmq_recv(socket, buffer.data(), size, 0) < 0) std::abort();
        std::memcpy(data, buffer.data(), 8);
    }
    static inline int made = 0;
    std::string address;
    std::size_t size;
    int most;
    std::vector<std::byte> buffer;
    void* context = nullptr;
    void* socket = nullptr;
};
#endif

int processors = 2; // that the processes of a measurement are spread over

void stay_on_processor_of(int process) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(process % processors), &set);
    if (::sched_setaffinity(0, sizeof set, &set) != 0) std::abort();
}

template <class Function>
pid_t run(Function function) {
    pid_t const pid = ::fork();
    if (pid == 0) {
        function();
        ::_exit(0);
    }
    return pid;
}

double now() { return static_cast<double>(std::chrono::steady_clock::now().time_since_epoch().count()); }

/// All start together, and the clock runs from then until the last has ended. `stay`: nobody ends before the last is done.
template <class Prepare, class Function>
double together(int count, bool stay, Prepare const& prepare, Function const& function) {
    auto* const gate = static_cast<std::atomic<int>*>(
        ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    std::vector<pid_t> children;
    for (int i = 0; i < count; ++i) {
        children.push_back(run([&, i] {
            stay_on_processor_of(i);
            prepare(i);
            gate[0].fetch_add(1);
            while (gate[1].load() == 0) ::sched_yield();
            function(i);
            gate[2].fetch_add(1);
            while (stay && gate[2].load() != count) ::usleep(50);
        }));
    }
    while (gate[0].load() != count) ::sched_yield();
    double const begin = now();
    gate[1].store(1);
    for (pid_t const child : children) ::waitpid(child, nullptr, 0);
    double const taken = now() - begin;
    ::munmap(gate, 4096);
    return taken;
}

struct Case {
    char const* name;
    std::size_t size;
    int producers;
    int consumers; // 0: round trips
    long messages;
};

double measure(Maker const& make, Case const& c, long limit) {
    auto there = make(c.size, limit);
    long const count = c.messages;
    std::vector<std::byte> first(std::max<std::size_t>(c.size, 8));
    if (c.consumers == 0) {
        auto back = make(c.size, limit);
        double const taken = together(
            2,
            there->sends_later(),
            [&](int i) {
                there->open(i == 0);
                back->open(i == 1);
            },
            [&](int i) {
                std::vector<std::byte> message(std::max<std::size_t>(c.size, 8));
                for (long n = 0; n < count; ++n) {
                    if (i == 0) there->send(message.data());
                    (i == 0 ? back : there)->receive(message.data());
                    if (i == 1) back->send(message.data());
                }
            });
        return taken / static_cast<double>(count);
    }
    double const taken = together(
        c.producers + c.consumers,
        there->sends_later(),
        [&](int i) { there->open(i < c.producers); },
        [&](int i) {
            std::vector<std::byte> message(std::max<std::size_t>(c.size, 8));
            if (i < c.producers) {
                for (long n = 0; n < count / c.producers; ++n) there->send(message.data());
            } else {
                for (long n = 0; n < count / c.consumers; ++n) there->receive(message.data());
            }
        });
    return taken / static_cast<double>(count);
}

std::string_view only_case, only_peer; // parts of their names

double median(std::vector<double> values) {
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
    return values[values.size() / 2];
}

void compare(
    char const* peer,
    Case const& c,
    int rounds,
    std::function<double()> const& ours,
    std::function<double()> const& theirs) {
    if (std::string_view(c.name).find(only_case) == std::string_view::npos) return;
    if (std::string_view(peer).find(only_peer) == std::string_view::npos) return;
    std::vector<double> our_times, their_times, ratios;
    for (int round = 0; round < rounds; ++round) {
        double a = 0, b = 0;
        if (round % 2 == 0) a = ours();
        b = theirs();
        if (round % 2 != 0) a = ours();
        if (b <= 0) return;
        our_times.push_back(a);
        their_times.push_back(b);
        ratios.push_back(b / a);
    }
    std::printf(
        "  %-22s %-20s %10.0f %12.0f %8.2f\n", c.name, peer, median(our_times), median(their_times), median(ratios));
    std::fflush(stdout);
}

/// CPython measures itself.
double python(Case const& c, long limit) {
    char script[2000];
    std::snprintf(
        script,
        sizeof script,
        "import multiprocessing as m, os, time\n"
        "c=m.get_context('fork')\n"
        "n,p,k,x=%ld,%d,%d,bytes(%zu)\n"
        "q,r=c.Queue(%ld),c.Queue(%ld)\n"
        "def stay(i): os.sched_setaffinity(0,{i%%%d})\n"
        "def put(i,n):\n"
        "    stay(i)\n"
        "    for i in range(n): q.put(x)\n"
        "def get(i,n):\n"
        "    stay(i)\n"
        "    for i in range(n): q.get()\n"
        "def echo(n):\n"
        "    stay(1)\n"
        "    for i in range(n): r.put(q.get())\n"
        "stay(0)\n"
        "ps=[c.Process(target=echo,args=(n,))] if k==0 else [c.Process(target=put,args=(i,n//p)) for i in "
        "range(p)]+[c.Process(target=get,args=(p+i,n//k)) for i in range(k)]\n"
        "t=time.perf_counter()\n"
        "for z in ps: z.start()\n"
        "if k==0:\n"
        "    for i in range(n): q.put(x); r.get()\n"
        "for z in ps: z.join()\n"
        "print((time.perf_counter()-t)/n*1e9)\n",
        c.messages,
        c.producers,
        c.consumers,
        c.size,
        limit,
        limit,
        processors);
    char const* const chosen = std::getenv("PYTHON");
    std::string const interpreter = chosen != nullptr ? chosen : "python3";
    std::FILE* const pipe = ::popen((interpreter + " -c \"" + script + "\" 2>/dev/null").c_str(), "r");
    double result = 0;
    if (pipe == nullptr || std::fscanf(pipe, "%lf", &result) != 1) result = 0;
    if (pipe != nullptr) ::pclose(pipe);
    return result;
}

} // namespace

int main(int argc, char** argv) {
    int const rounds = argc > 1 ? std::atoi(argv[1]) : 7;
    only_case = argc > 2 ? argv[2] : "";
    only_peer = argc > 3 ? argv[3] : "";
    constexpr std::array cases{
        Case{"8 B, 1 to 1", 8, 1, 1, 400'000},
        Case{"8 B, 4 to 4", 8, 4, 4, 400'000},
        Case{"256 B, 1 to 1", 256, 1, 1, 200'000},
        Case{"256 B, 4 to 4", 256, 4, 4, 200'000},
        Case{"4 KB, 1 to 1", 4096, 1, 1, 50'000},
        Case{"4 KB, 4 to 4", 4096, 4, 4, 50'000},
        Case{"1 MB, 1 to 1", 1 << 20, 1, 1, 400},
        Case{"8 B, there and back", 8, 1, 0, 20'000},
        Case{"4 KB, there and back", 4096, 1, 0, 10'000},
    };
    for (int const number : {2, 1}) {
        processors = number;
        std::printf(
            "%s\n  %-22s %-20s %10s %12s %8s\n",
            number == 1 ? "one core" : "two cores",
            "",
            "peer",
            "ours ns",
            "peer ns",
            "ratio");
        for (Case const& c : cases) {
            long const limit = c.size > 100'000 ? 32 : places;
            auto const ours = [&] { return measure(make_ours, c, limit); };
            if (c.size <= 4096 || c.producers == 1) {
                compare("pipe", c, rounds, ours, [&] {
                    return measure([](std::size_t size, long) { return std::make_unique<Pipe>(size); }, c, limit);
                });
            }
#if defined(HAS_BOOST)
            compare("Boost message_queue", c, rounds, ours, [&] {
                return measure(
                    [](std::size_t size, long n) { return std::make_unique<BoostQueue>(size, n); }, c, limit);
            });
#endif
#if defined(MULTIPROCESSING_BENCHMARKS_ZMQ)
            if (c.producers == 1) { // more need somebody in between
                compare("ZeroMQ ipc", c, rounds, ours, [&] {
                    return measure(
                        [](std::size_t size, long n) { return std::make_unique<ZmqIpc>(size, n); }, c, limit);
                });
            }
#endif
            compare("CPython Queue", c, std::min(rounds, 3), ours, [&] {
                Case fewer = c;
                fewer.messages = std::max(100L, c.messages / 20);
                return python(fewer, limit);
            });
            if (c.consumers == 0) {
                compare("futex alone", c, rounds, ours, [&] {
                    return measure([](std::size_t, long) { return std::make_unique<Futex>(); }, c, limit);
                });
            }
            if (c.size == 8) {
                compare("ours without a limit", c, rounds, ours, [&] { return measure(make_ours, c, 0); });
            }
        }
        Case const whole{"4 MB lent, 1 to 1", 4 << 20, 1, 1, 50'000};
        Case const small{"64 B lent, 1 to 1", 64, 1, 1, 50'000};
        auto const lend = [](std::size_t size, long limit) { return std::make_unique<LoanQueue>(size, limit); };
        compare(
            "64 B lent",
            whole,
            rounds,
            [&] { return measure(lend, whole, 4); },
            [&] { return measure(lend, small, 4); });
    }
}
