#include <multiprocessing.hpp>

// The state of the library exists once, although two sources include it: both must see the same.
void const* process_seen_by_two();

int main() {
    multiprocessing::freeze_support();
    return process_seen_by_two() == &multiprocessing::current_process() ? 0 : 1;
}
