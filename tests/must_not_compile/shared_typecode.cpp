// expect: no such typecode
#include <multiprocessing/sharedctypes.hpp>

#if defined(CORRECT)
using number = multiprocessing::typecode<'i'>;
#else
using number = multiprocessing::typecode<'z'>;
#endif

int main() { return sizeof(number) == 0; }
