// expect: the items cannot travel between processes
#include <multiprocessing/pool.hpp>

#include <string>

struct Person {
    std::string name; // not plain data
#ifdef CORRECT
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& name;
    }
#endif
};

int length(Person const& person) { return static_cast<int>(person.name.size()); }

void use(multiprocessing::Pool& pool) { pool.map(length, {Person{"a"}, Person{"b"}}); }
