// Functions that know more than their argument. In Python a lambda cannot be given to a pool at all.
//
//     with Pool(2) as pool:
//         print(*pool.map(partial(scale, 10), [1, 2, 3]))
#include <multiprocessing.hpp>

#include <iostream>
#include <map>
#include <string>
#include <vector>

namespace mp = multiprocessing;

int scale(int factor, int x) { return factor * x; }

void print(char const* how, auto const& results) {
    std::cout << how;
    for (auto const& result : results) std::cout << ' ' << result;
    std::cout << '\n';
}

int main() {
    mp::freeze_support();
    mp::Pool pool(2);
    std::vector<int> const items{1, 2, 3};

    // These two travel, with every start method.
    print("partial:", pool.map(mp::partial(scale, 10), items));
    int const factor = 2 * items.back();
    print("by value:", pool.map(mp::by_value([factor](int x) { return factor * x; }), items));

    // This one refers to a variable of main(). With fork it runs in workers that are forked for this call, so the
    // variable is simply there, whatever its type and size; with other start methods the lambda cannot travel.
    std::map<int, std::string> const names{{1, "one"}, {2, "two"}, {3, "three"}};
    try {
        print("by reference:", pool.map([&](int x) { return names.at(x); }, items));
    } catch (mp::PicklingError const&) {
        std::cout << "by reference: not with " << to_string(*mp::get_start_method()) << '\n';
    }
}
