#include <multiprocessing/insights.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <sstream>
#include <string>

namespace mp = multiprocessing;
using namespace std::chrono_literals;
using mp::detail::duration_text;

namespace {

mp::Insights example() {
    return {
        .workers =
            {{.pid = 4711,
              .name = "Worker-1",
              .items = 750,
              .chunks = 21,
              .start_up = 1200us,
              .waiting = 310ms,
              .working = 1520ms},
             {.pid = 4712,
              .name = "Worker-2",
              .items = 750,
              .chunks = 19,
              .start_up = 1310us,
              .waiting = 270ms,
              .working = 1560ms},
             {.pid = 123456, .name = "a longer name", .waiting = 7ns}},
        .slowest =
            {{.index = 1034, .duration = 410ms, .pid = 4711, .label = "parse"},
             {.index = 7, .duration = 9us, .pid = 4712}},
        .items = 1500,
        .deaths = 1,
        .retries = 3};
}

} // namespace

TEST_CASE("insights are a table") {
    std::string const text = R"(1500 items in 3 workers, 1 death, 3 retries, 0 timeouts; 84 % of the time was work

worker            pid  items  chunks  start-up  waiting  working  per item  work
Worker-1         4711    750      21   1.20 ms   310 ms   1.52 s   2.03 ms  83 %
Worker-2         4712    750      19   1.31 ms   270 ms   1.56 s   2.08 ms  85 %
a longer name  123456      0       0      0 ns     7 ns     0 ns             0 %
all                     1500      40   2.51 ms   580 ms   3.08 s   2.05 ms  84 %

slowest items  duration   pid  call
1034             410 ms  4711  parse
7               9.00 us  4712
)";
    CHECK(example().to_string() == text);
    std::ostringstream stream;
    stream << example();
    CHECK(stream.str() == text);
}

TEST_CASE("insights of nothing, and of one worker") {
    CHECK(
        mp::Insights().to_string() ==
        "0 items in 0 workers, 0 deaths, 0 retries, 0 timeouts; 0 % of the time was work\n");
    mp::Insights const one{
        .workers = {{.pid = 5, .name = "Worker-1", .items = 1, .chunks = 1, .working = 2s}},
        .items = 1,
        .deaths = 2,
        .retries = 1,
        .timeouts = 1};
    CHECK(
        one.to_string() == "1 item in 1 worker, 2 deaths, 1 retry, 1 timeout; 100 % of the time was work\n"
                           "\n"
                           "worker    pid  items  chunks  start-up  waiting  working  per item   work\n"
                           "Worker-1    5      1       1      0 ns     0 ns   2.00 s    2.00 s  100 %\n");
}

TEST_CASE("the sums over all workers, and the share of work") {
    mp::WorkerInsights const all = example().all_workers();
    CHECK(
        all ==
        mp::WorkerInsights{
            .name = "all", .items = 1500, .chunks = 40, .start_up = 2510us, .waiting = 580ms + 7ns, .working = 3080ms});
    CHECK(mp::WorkerInsights{.start_up = 1s, .waiting = 2s, .working = 1s}.working_share() == 0.25);
    CHECK(mp::WorkerInsights().working_share() == 0);
    CHECK(example() == example());
    CHECK(example() != mp::Insights());
}

TEST_CASE("durations have a unit that fits") {
    CHECK(duration_text(0ns) == "0 ns");
    CHECK(duration_text(999ns) == "999 ns");
    CHECK(duration_text(1000ns) == "1.00 us");
    CHECK(duration_text(9994ns) == "9.99 us");
    CHECK(duration_text(9996ns) == "10.0 us");
    CHECK(duration_text(999'400ns) == "999 us");
    CHECK(duration_text(999'600ns) == "1.00 ms");
    CHECK(duration_text(12s) == "12.0 s");
    CHECK(duration_text(100h) == "360000 s");
}
