// expect: an argument given to partial\(\) cannot travel to another process
#include <multiprocessing/functional.hpp>

int first(int const* numbers, int) { return numbers[0]; }
int value(int number, int) { return number; }

int main() {
    int const number = 1;
#if defined(CORRECT)
    return multiprocessing::partial(value, number)(2);
#else
    return multiprocessing::partial(first, &number)(2);
#endif
}
