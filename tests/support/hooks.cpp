#include "support/hooks.hpp"

#include <multiprocessing/forkserver.hpp>

namespace multiprocessing_test {

void warm_up() { multiprocessing::detail::participant::self(); } // makes the shared memory

void let_go() { multiprocessing::detail::fork_server::instance().stop(); }

bool is_helper_process(long) { return false; }

} // namespace multiprocessing_test
