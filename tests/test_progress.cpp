#include <multiprocessing/progress.hpp>

#include "support/catch.hpp"
#include "support/hidden_case.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#if !defined(_WIN32)
#    include <fcntl.h>
#    include <sys/ioctl.h>
#    include <unistd.h>
#endif

namespace mp = multiprocessing;
using namespace std::chrono_literals;
using mp::ProgressState;
using mp::detail::progress_meter;
using mp::detail::progress_text;
using time_point = progress_meter::time_point;

namespace {

void set_no_progress(char const* value) {
#if defined(_WIN32)
    ::_putenv_s("NO_PROGRESS", value);
#else
    ::setenv("NO_PROGRESS", value, 1);
#endif
}

/// A file that can be read while it is written.
class Recorder {
public:
    Recorder() : file_(std::tmpfile()) {
        REQUIRE(file_ != nullptr);
        set_no_progress("");
    }
    ~Recorder() { std::fclose(file_); }
    Recorder(Recorder const&) = delete;
    Recorder& operator=(Recorder const&) = delete;

    std::FILE* stream() const { return file_; }

    /// What has been written since the last time.
    std::string take() {
        std::string text;
        std::fseek(file_, read_, SEEK_SET);
        for (int c = std::fgetc(file_); c != EOF; c = std::fgetc(file_)) text += static_cast<char>(c);
        read_ = std::ftell(file_);
        std::fseek(file_, 0, SEEK_END);
        return text;
    }

private:
    std::FILE* file_;
    long read_ = 0;
};

time_point const start{1h};

ProgressState halfway() {
    return {.done = 450, .total = 1000, .elapsed = 12s, .rate = 37.5, .eta = 14s, .label = "map"};
}

} // namespace

// ---- the text

TEST_CASE("a state with a bar") {
    CHECK(progress_text(halfway(), 60) == "map:  45%|#######         | 450/1000 [00:12<00:14, 37.5it/s]");
    CHECK(progress_text(halfway(), 50) == "map:  45%|##    | 450/1000 [00:12<00:14, 37.5it/s]");
    CHECK(progress_text(halfway(), 0) == "map:  45% 450/1000 [00:12<00:14, 37.5it/s]");
}

TEST_CASE("a line never exceeds the width, which counts characters and not bytes") {
    ProgressState state = halfway();
    for (std::size_t width = 1; width < 100; ++width) {
        state.label = "gr\xc3\xb6\xc3\x9f"
                      "e \xe2\x82\xac";
        std::string const text = progress_text(state, width);
        CHECK(mp::detail::columns_of(text) <= width);
        if (width >= 60) CHECK(mp::detail::columns_of(text) == width);
        state.total = 0;
        CHECK(mp::detail::columns_of(progress_text(state, width)) <= width);
        state.total = 1000;
    }
    CHECK(progress_text(state, 4) == "gr\xc3\xb6\xc3\x9f");
}

TEST_CASE("states without a total, before the first item, and beyond the end") {
    CHECK(progress_text({.done = 7, .elapsed = 3725s, .rate = 0.25}, 60) == "7it [1:02:05, 4.00s/it]");
    CHECK(progress_text({.total = 5}, 0) == "  0% 0/5 [00:00<?, ?it/s]");
    CHECK(
        progress_text({.done = 9, .total = 5, .rate = 12345.6, .eta = 0s}, 40) ==
        "100%|#####| 9/5 [00:00<00:00, 12346it/s]");
}

TEST_CASE("rates have three digits or more") {
    using mp::detail::rate_text;
    CHECK(rate_text(1) == "1.00it/s");
    CHECK(rate_text(9.99) == "9.99it/s");
    CHECK(rate_text(9.996) == "10.0it/s");
    CHECK(rate_text(99.96) == "100it/s");
    CHECK(rate_text(1e6) == "1000000it/s");
    CHECK(rate_text(0.1) == "10.0s/it");
    CHECK(rate_text(0) == "?it/s");
}

// ---- the display

TEST_CASE("a bar is drawn over and over, after the delay and then once per interval") {
    Recorder recorder;
    mp::ProgressOptions const options{.stream = recorder.stream(), .width = 48, .bar = true};
    progress_meter meter(options, "map", 10, start);
    CHECK(meter.due() == start + 300ms);
    meter.update(1, start + 299ms);
    CHECK(recorder.take().empty());
    meter.update(2, start + 500ms);
    CHECK(recorder.take() == "\rmap:  20%|#       | 2/10 [00:00<00:02, 4.00it/s]");
    CHECK(meter.due() == start + 600ms);
    meter.update(9, start + 599ms);
    CHECK(recorder.take().empty());
    meter.update(5, start + 100s);
    CHECK(recorder.take() == "\rmap:  50%|####    | 5/10 [01:40<01:40, 20.0s/it]");
    meter.finish(10, start + 101s);
    CHECK(recorder.take() == "\rmap: 100%|#######| 10/10 [01:41<00:00, 10.1s/it]\n");
    CHECK(meter.due() == mp::platform::never);
    meter.update(10, start + 200s);
    meter.finish(10, start + 200s);
    CHECK(recorder.take().empty());
}

#if !defined(_WIN32)

TEST_CASE("a terminal gets a bar that leaves its last column free") {
    set_no_progress("");
    int const leader = ::posix_openpt(O_RDWR | O_NOCTTY);
    REQUIRE(leader >= 0);
    REQUIRE((::grantpt(leader) == 0 && ::unlockpt(leader) == 0));
    int const follower = ::open(::ptsname(leader), O_RDWR | O_NOCTTY);
    REQUIRE(follower >= 0);
    struct winsize size {};
    size.ws_col = 49;
    REQUIRE(::ioctl(leader, TIOCSWINSZ, &size) == 0);
    ::setenv("TERM", "xterm", 1);
    std::FILE* const stream = ::fdopen(follower, "w");
    REQUIRE(stream != nullptr);
    progress_meter(mp::ProgressOptions{.stream = stream}, "map", 10, start).finish(10, start + 101s);

    std::string text;
    for (char c = 0; c != '\n' && ::read(leader, &c, 1) == 1;) text += c;
    CHECK(text == "\rmap: 100%|#######| 10/10 [01:41<00:00, 10.1s/it]\r\n"); // the terminal adds a \r
    std::fclose(stream);
    ::close(leader);
}

#endif

TEST_CASE("a shorter text covers a longer one") {
    Recorder recorder;
    progress_meter meter(mp::ProgressOptions{.stream = recorder.stream(), .width = 30, .bar = true}, "", 0, start);
    meter.update(1000, start + 1s);
    CHECK(recorder.take() == "\r1000it [00:01, 1000it/s]      ");
    meter.finish(1000, start + 100s);
    CHECK(recorder.take() == "\r1000it [01:40, 10.0it/s]      \n");
}

TEST_CASE("a call that fails leaves its bar in a line of its own") {
    Recorder recorder;
    {
        progress_meter meter(mp::ProgressOptions{.stream = recorder.stream(), .width = 20, .bar = true}, "", 0, start);
        meter.update(1, start + 1s);
        recorder.take();
    }
    CHECK(recorder.take() == "\n");
}

TEST_CASE("a short call draws nothing") {
    Recorder recorder;
    for (bool const bar : {true, false}) {
        progress_meter meter(mp::ProgressOptions{.stream = recorder.stream(), .bar = bar}, "map", 10, start);
        meter.update(5, start + 100ms);
        meter.finish(10, start + 299ms);
    }
    CHECK(recorder.take().empty());
    progress_meter meter(mp::ProgressOptions{.stream = recorder.stream(), .delay = 0ns}, "map", 10, start);
    meter.finish(10, start);
    CHECK(recorder.take() == "map: 100% 10/10 [00:00<00:00, ?it/s]\n");
}

TEST_CASE("what is no terminal gets a line for each tenth, not more than one per second") {
    Recorder recorder;
    progress_meter meter(mp::ProgressOptions{.stream = recorder.stream()}, "tiles\n", 100, start);
    meter.update(9, start + 2s); // not a tenth yet
    CHECK(recorder.take().empty());
    meter.update(25, start + 5s);
    CHECK(recorder.take() == "tiles :  25% 25/100 [00:05<00:15, 5.00it/s]\n");
    meter.update(29, start + 5500ms); // the same tenth
    meter.update(30, start + 5900ms); // another, but too early
    CHECK(recorder.take().empty());
    meter.update(31, start + 6200ms);
    CHECK(recorder.take() == "tiles :  31% 31/100 [00:06<00:13, 5.00it/s]\n");
    meter.finish(100, start + 6300ms);
    CHECK(recorder.take() == "tiles : 100% 100/100 [00:06<00:00, 15.9it/s]\n");
}

TEST_CASE("without a total there is a line every ten seconds") {
    Recorder recorder;
    progress_meter meter(mp::ProgressOptions{.stream = recorder.stream()}, "map", 0, start);
    meter.update(90, start + 9s);
    CHECK(recorder.take().empty());
    meter.update(100, start + 10s);
    CHECK(recorder.take() == "map: 100it [00:10, 10.0it/s]\n");
    meter.update(150, start + 19s);
    CHECK(recorder.take().empty());
}

TEST_CASE("the variable NO_PROGRESS silences what is drawn, but no callback") {
    Recorder recorder;
    set_no_progress("1");
    progress_meter drawn(mp::ProgressOptions{.stream = recorder.stream()}, "map", 10, start);
    CHECK(drawn.due() == mp::platform::never);
    drawn.finish(10, start + 10s);
    CHECK(recorder.take().empty());
    int calls = 0;
    progress_meter called([&](ProgressState const&) { ++calls; }, "map", 10, start);
    called.finish(10, start + 10s);
    CHECK(calls == 1);
    set_no_progress("");
    progress_meter drawn_now(mp::ProgressOptions{.stream = recorder.stream()}, "map", 10, start);
    CHECK(drawn_now.due() != mp::platform::never);
}

// ---- what a caller may say

TEST_CASE("silent, drawn, or called") {
    CHECK_FALSE(mp::Progress());
    CHECK_FALSE(mp::Progress(false));
    mp::Progress const drawn = true;
    CHECK(drawn.draws());
    mp::Progress const called = [](ProgressState const&) {};
    CHECK((called && !called.draws()));
    mp::Progress const copy = called;
    CHECK(copy.callback());
    mp::Progress const narrow = mp::ProgressOptions{.width = 40};
    CHECK((narrow.draws() && narrow.options().width == 40U));
    STATIC_REQUIRE_FALSE(std::is_convertible_v<char const*, mp::Progress>); // would be true as a bool
    STATIC_REQUIRE_FALSE(std::is_convertible_v<int, mp::Progress>);
    progress_meter silent({}, "map", 10, start);
    CHECK(silent.due() == mp::platform::never);
    silent.update(3);
    silent.finish(10);
}

TEST_CASE("progress as an option of a call") {
    struct Options {
        mp::Progress progress{};
    };
    CHECK_FALSE(Options{}.progress);
    CHECK_FALSE(Options{.progress = {}}.progress);
    CHECK(Options{.progress = true}.progress.draws());
    CHECK(Options{.progress = mp::ProgressOptions{.width = 40}}.progress.draws());
    CHECK(Options{.progress = [](ProgressState const&) {}}.progress.callback());
    CHECK(Options{.progress = {[](ProgressState const&) {}, {.interval = 1s}}}.progress.options().interval == 1s);
}

TEST_CASE("a callback gets one state per interval, and the last one") {
    struct Seen {
        std::uint64_t done, total;
        std::chrono::nanoseconds elapsed;
        double rate;
        std::optional<std::chrono::nanoseconds> eta;
        std::string label;
        bool finished;
        bool operator==(Seen const&) const = default;
    };
    std::vector<Seen> seen;
    auto const note = [&](ProgressState const& s) {
        seen.push_back({s.done, s.total, s.elapsed, s.rate, s.eta, std::string(s.label), s.finished});
    };
    progress_meter meter(mp::Progress(note, {.interval = 1s}), "map", 8, start);
    meter.update(0, start + 999ms);
    meter.update(0, start + 1s);
    meter.update(2, start + 1500ms);
    meter.update(4, start + 2s);
    meter.finish(8, start + 2100ms);
    meter.finish(8, start + 2200ms);
    REQUIRE(seen.size() == 3);
    CHECK(seen[0] == Seen{0, 8, 1s, 0.0, std::nullopt, "map", false});
    CHECK(seen[1] == Seen{4, 8, 2s, 2.0, 2s, "map", false});
    CHECK((seen[2].done == 8 && seen[2].eta == 0ns && seen[2].finished));
}

TEST_CASE("child: callbacks that throw", "[.]") {
    int calls = 0;
    auto const fail = [&](ProgressState const&) {
        ++calls;
        throw std::runtime_error("a reason");
    };
    auto const fail_oddly = [&](ProgressState const&) {
        ++calls;
        throw 1;
    };
    progress_meter one(fail, "map", 3, start);
    progress_meter other(fail_oddly, "map", 3, start);
    for (int i = 1; i <= 3; ++i) {
        one.update(1, start + i * 1s);
        other.update(1, start + i * 1s);
    }
    std::printf("%d calls", calls);
}

TEST_CASE("what a callback throws is reported once") {
    auto const child = multiprocessing_test::run_hidden_case("child: callbacks that throw");
    CHECK(child.exitcode == 0);
    CHECK(child.output.starts_with("6 calls"));
    CHECK(
        child.errors == "multiprocessing: a progress callback threw: a reason\n"
                        "multiprocessing: a progress callback threw: no std::exception\n");
}

TEST_CASE("an end that is too far away is unknown") {
    std::optional<std::chrono::nanoseconds> eta = 1s;
    progress_meter meter([&](ProgressState const& s) { eta = s.eta; }, "map", ~std::uint64_t{0}, start);
    meter.update(1, start + 1s);
    CHECK_FALSE(eta);
}
