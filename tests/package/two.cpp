#include <multiprocessing.hpp>

void const* process_seen_by_two() { return &multiprocessing::current_process(); }
