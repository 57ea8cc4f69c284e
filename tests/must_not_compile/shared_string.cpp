// expect: only trivially copyable types can be shared
#include <multiprocessing/sharedctypes.hpp>

#include <string>

int main() {
#if defined(CORRECT)
    multiprocessing::Array<char> text("hello");
#else
    multiprocessing::Value<std::string> text("hello");
#endif
    return text.value().empty();
}
