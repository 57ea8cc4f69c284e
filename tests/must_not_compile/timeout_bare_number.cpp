// expect: (no matching function|no viable conversion|could not convert|cannot convert|candidate constructor)
#include <multiprocessing/detail/deadline.hpp>

#include <chrono>

void wait(multiprocessing::Timeout) {}

int main() {
#if defined(CORRECT)
    wait(std::chrono::seconds(5));
#else
    wait(5); // seconds? milliseconds?
#endif
}
