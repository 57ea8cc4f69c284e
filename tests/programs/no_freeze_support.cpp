// A program that forgets freeze_support(). What it is started for again, as a child, runs main from the beginning: that
// must be an error in the child, never another child.
#include <multiprocessing/context.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace mp = multiprocessing;

namespace {

void hello() {
    std::printf("child: 123\n");
    std::fflush(stdout);
}

} // namespace

int main() {
    char const* const method = std::getenv("NO_FREEZE_SUPPORT_METHOD");
    mp::set_start_method(method != nullptr ? method : "spawn");
    mp::Process process(hello);
    try {
        process.start();
    } catch (mp::RuntimeError const& error) {
        std::printf("RuntimeError: %s\n", error.what());
        std::fflush(stdout);
        return std::string(error.what()).starts_with("An attempt") ? 3 : 0; // in the child, in the parent
    }
    process.join();
    std::printf("the child ended with %d\n", process.exitcode().value());
}
