// expect: the target takes another number of arguments
#include <multiprocessing/process.hpp>

void work(int, int) {}

int main() {
#if defined(CORRECT)
    multiprocessing::Process process(work, 1, 2);
#else
    multiprocessing::Process process(work, 1);
#endif
    process.start();
}
