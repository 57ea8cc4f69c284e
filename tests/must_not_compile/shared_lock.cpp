// expect: the lock of a Value needs acquire
#include <multiprocessing/sharedctypes.hpp>

#include <mutex>

#if defined(CORRECT)
using lock = multiprocessing::Lock;
#else
using lock = std::mutex;
#endif

int main() {
    multiprocessing::Value<int, lock> value(1);
    return value.value() == 0;
}
