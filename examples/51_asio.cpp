// not on windows
// Coroutines that leave heavy work to other processes and go on in an executor, here the io_context of Boost.Asio. They all
// run in the one thread that runs the context, so nothing needs a lock, and the thread stays free while the others work.
#include <multiprocessing/futures.hpp>
#include <multiprocessing/spawn.hpp>

#include <coroutine>
#include <exception>
#include <iostream>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

namespace asio = boost::asio;
namespace mp = multiprocessing;

long count_primes(long end) {
    long count = 0;
    for (long n = 2; n < end; ++n) {
        bool is_prime = true;
        for (long i = 2; i * i <= n && is_prime; ++i) is_prime = n % i != 0;
        count += is_prime;
    }
    return count;
}

/// A coroutine that begins at once, and that nobody waits for.
struct Job {
    struct promise_type {
        Job get_return_object() const { return {}; }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        std::suspend_never final_suspend() const noexcept { return {}; }
        void return_void() const {}
        void unhandled_exception() const { std::terminate(); }
    };
};

Job add_primes(asio::io_context& context, mp::futures::ProcessPoolExecutor& executor, long end, long& sum) {
    auto const busy = asio::make_work_guard(context); // run() goes on as long as somebody will come back to it
    sum += co_await executor.submit(count_primes, end).via(context);
}

int main() {
    mp::freeze_support();
    asio::io_context context; // ends after the executor, whose threads hand the results over to it
    mp::futures::ProcessPoolExecutor executor(2);
    long sum = 0;
    for (long end : {10'000L, 20'000L, 30'000L}) add_primes(context, executor, end, sum);
    context.run();
    std::cout << sum << '\n';
}
