// expect: this target holds state that cannot travel to a spawned process
#include <multiprocessing/context.hpp>

int main() {
    multiprocessing::freeze_support();
    int number = 1;
#if defined(CORRECT)
    multiprocessing::ForkContext const context;
#else
    multiprocessing::SpawnContext const context;
#endif
    auto process = context.Process([&number](int more) { number += more; }, 1);
    process.start();
}
