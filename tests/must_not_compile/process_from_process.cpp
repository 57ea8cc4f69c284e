// expect: (deleted|implicitly-deleted|no matching)
#include <multiprocessing/process.hpp>

int main() {
    multiprocessing::Process process;
#if defined(CORRECT)
    multiprocessing::Process const other(std::move(process));
#else
    multiprocessing::Process const other(process); // two owners of one child
#endif
    return other.daemon();
}
