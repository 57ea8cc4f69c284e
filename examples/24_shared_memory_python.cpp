// not on windows
// A block of shared memory and a list in it that a Python program reads and changes: 24_shared_memory_python.py, which is
// started here. Both know the names; nothing is copied. The argument is the path of the Python program.
#include <multiprocessing/shareable_list.hpp>
#include <multiprocessing/spawn.hpp>

#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>

namespace mp = multiprocessing;

int main(int argc, char** argv) {
    mp::freeze_support();
    std::string const script = argc > 1 ? argv[1] : "24_shared_memory_python.py";

    auto block = mp::SharedMemory::create(4 * sizeof(double), mp::SharedMemory::new_name());
    double numbers[4] = {1.5, 2.5, 3.5, 4.5};
    std::memcpy(block.data(), numbers, sizeof numbers);
    mp::ShareableList list({std::string("from C++"), std::int64_t{42}, 2.5, true}, mp::SharedMemory::new_name());

    std::string const command = "python3 " + script + ' ' + block.name() + ' ' + list.shm().name();
    int const failed = std::system(command.c_str());

    std::memcpy(numbers, block.data(), sizeof numbers);
    std::cout << "C++ finds";
    for (double const number : numbers) std::cout << ' ' << number;
    std::cout << "\nC++ finds";
    for (auto const& item : list) {
        if (auto const* text = std::get_if<std::string>(&item)) std::cout << ' ' << *text;
        if (auto const* whole = std::get_if<std::int64_t>(&item)) std::cout << ' ' << *whole;
        if (std::holds_alternative<std::monostate>(item)) std::cout << " nothing";
    }
    std::cout << '\n';
    block.unlink();
    list.shm().unlink();
    return failed == 0 ? 0 : 1;
}
