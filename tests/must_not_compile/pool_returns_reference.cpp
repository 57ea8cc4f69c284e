// expect: the function returns a reference, which means nothing outside its process
#include <multiprocessing/pool.hpp>

#ifdef CORRECT
int bigger(int number) { return number + 1; }
#else
int const& bigger(int const& number) { return number; }
#endif

void use(multiprocessing::Pool& pool) { pool.map(bigger, {1, 2}); }
