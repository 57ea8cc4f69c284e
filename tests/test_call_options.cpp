#include <multiprocessing/call_options.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <string>
#include <type_traits>

namespace mp = multiprocessing;
using namespace std::chrono_literals;

namespace {

// As the calls of a pool take them.
char call(mp::MapOptions const&) { return 'r'; }
template <class OnError = mp::collect_t>
char call(mp::BasicMapOptions<OnError> const&) {
    return 'c';
}

} // namespace

TEST_CASE("the option on_error decides between two functions, and is raise when nothing is said") {
    CHECK(call({}) == 'r');
    CHECK(call({.retries = 2}) == 'r');
    CHECK(call({.chunksize = 1, .timeout = 1s, .on_error = mp::raise, .label = "x"}) == 'r');
    CHECK(call({.on_error = mp::collect}) == 'c');
    CHECK(call({.retries = 2, .on_error = mp::collect, .quarantine_after = 1}) == 'c');
}

TEST_CASE("without options nothing is limited, and nothing tried again") {
    mp::MapOptions const options;
    CHECK_FALSE(options.chunksize);
    CHECK(options.timeout.is_infinite());
    CHECK(options.retries == 0);
    CHECK_FALSE(options.stop.stop_possible());
}
