#include "support/hooks.hpp"

namespace multiprocessing_test {

void warm_up() {}

bool is_helper_process(long) { return false; }

} // namespace multiprocessing_test
