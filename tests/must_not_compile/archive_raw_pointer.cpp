// expect: a raw pointer cannot travel to another process
#include <multiprocessing/detail/archive.hpp>

int main() {
    multiprocessing::detail::byte_buffer buffer;
    int const number = 1;
#if defined(CORRECT)
    multiprocessing::detail::save(buffer, number);
#else
    multiprocessing::detail::save(buffer, &number);
#endif
}
