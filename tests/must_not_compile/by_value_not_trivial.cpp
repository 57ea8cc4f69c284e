// expect: by_value\(\) needs a lambda whose captures are trivially copyable
#include <multiprocessing/functional.hpp>

#include <string>

int main() {
#if defined(CORRECT)
    int const captured = 3;
    auto const lambda = multiprocessing::by_value([captured] { return captured; });
#else
    std::string const captured = "three";
    auto const lambda = multiprocessing::by_value([captured] { return captured.size(); });
#endif
    return lambda() == 0;
}
