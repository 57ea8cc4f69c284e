// expect: needs a public default constructor
#include <multiprocessing/detail/archive.hpp>

struct person {
#if defined(CORRECT)
    person() = default;
#endif
    explicit person(int a) : age(a) {}
    int age = 0;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& age;
    }
};

int main() {
    multiprocessing::detail::byte_buffer buffer;
    multiprocessing::detail::save(buffer, person(1));
    return multiprocessing::detail::load<person>(buffer.bytes()).age;
}
