#include "support/hooks.hpp"

#include <multiprocessing/forkserver.hpp>

#include <csignal>

namespace multiprocessing_test {

void warm_up() {
    multiprocessing::detail::participant::self(); // makes the shared memory
    // Some versions of the test framework catch signals to report them. A child is to end as it would without it.
    multiprocessing::platform::at_fork_in_child([] {
        for (int const number : {SIGINT, SIGTERM, SIGABRT, SIGSEGV, SIGFPE, SIGILL}) std::signal(number, SIG_DFL);
    });
}

void let_go() { multiprocessing::detail::fork_server::instance().stop(); }

bool is_helper_process(long) { return false; }

} // namespace multiprocessing_test
