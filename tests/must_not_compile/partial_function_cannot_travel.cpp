// expect: the function given to partial\(\) cannot travel to another process
#include <multiprocessing/functional.hpp>

#include <string>

int main() {
    std::string const text = "captured";
#if defined(CORRECT)
    auto const bound =
        multiprocessing::partial([](std::string const& t, int n) { return t.size() + std::size_t(n); }, text);
#else
    auto const bound = multiprocessing::partial([text](int a, int n) { return text.size() + std::size_t(a + n); }, 1);
#endif
    return bound(1) == 0;
}
