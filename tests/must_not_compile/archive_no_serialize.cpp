// expect: this type cannot travel to another process\. Give it a member function
#include <multiprocessing/detail/archive.hpp>

#include <string>

struct person {
    std::string name;
#if defined(CORRECT)
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& name;
    }
#endif
};

int main() {
    multiprocessing::detail::byte_buffer buffer;
    multiprocessing::detail::save(buffer, person());
}
