#include <multiprocessing/detail/trace_file.hpp>

#include "support/catch.hpp"
#include "support/hidden_case.hpp"
#include "support/json.hpp"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>

#if !defined(_WIN32)
#    include "support/forked.hpp"
#endif

namespace mp = multiprocessing;
using namespace std::chrono_literals;
using mp::detail::json_microseconds;
using mp::detail::json_string;
using mp::detail::trace_file;
using multiprocessing_test::contents_of;
using multiprocessing_test::Json;
using multiprocessing_test::parse_json;

namespace {

trace_file::time_point const origin{1h};

/// A name for a file, which is removed in the end.
struct TemporaryFile {
    std::string path = multiprocessing_test::temporary_file("trace");
    ~TemporaryFile() { std::remove(path.c_str()); }
};

bool is_json(std::string const& text) {
    try {
        parse_json(text);
        return true;
    } catch (std::runtime_error const&) {
        return false;
    }
}

} // namespace

TEST_CASE("the parser of the tests takes JSON and nothing else") {
    Json const json = parse_json(R"( {"a": [1, -0.5e+1, true, null, {}, []], "\u00e9\ud83d\ude00\n": "x\/y"} )");
    CHECK(json["a"].list().size() == 6);
    CHECK(json["a"].list()[1].number() == -5.0);
    CHECK(json["\xc3\xa9\xf0\x9f\x98\x80\n"].text() == "x/y");
    for (char const* const text :
         {"",
          "{",
          "[1,]",
          "{\"a\":1,}",
          "{a:1}",
          "{\"a\" 1}",
          "01",
          "+1",
          "1.",
          ".5",
          "1e",
          "-",
          "nul",
          "[1] 2",
          "\"\t\"",
          "\"a",
          "\"\\x\"",
          "\"\\u12g4\"",
          "\"\\ud800\"",
          "\"\\udc00\"",
          "{\"a\":1,\"a\":2}",
          "\"\x80\"",
          "\"\xc3\"",
          "\"\xc0\x80\"",
          "\"\xed\xa0\x80\"",
          "\"\xf5\x80\x80\x80\""}) {
        INFO(text);
        CHECK_FALSE(is_json(text));
    }
}

TEST_CASE("every text becomes a string of JSON") {
    CHECK(json_string("plain") == "\"plain\"");
    CHECK(json_string("a\"b\\c/d\n") == R"("a\"b\\c/d\u000a")");
    std::string all;
    for (int c = 0; c < 128; ++c) all += static_cast<char>(c);
    all += "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xef\xbf\xbf \xf4\x8f\xbf\xbf";
    CHECK(parse_json(json_string(all)).text() == all);
}

TEST_CASE("what is no UTF-8 is replaced, byte by byte") {
    std::string const bad = "\xef\xbf\xbd";
    CHECK(
        json_string("a\xff"
                    "b") == "\"a" + bad + "b\"");
    CHECK(json_string("\xc3") == '"' + bad + '"');                               // cut off
    CHECK(json_string("\xc0\x80") == '"' + bad + bad + '"');                     // too long
    CHECK(json_string("\xe0\x9f\xbf") == '"' + bad + bad + bad + '"');           // too long
    CHECK(json_string("\xed\xa0\x80") == '"' + bad + bad + bad + '"');           // half a pair
    CHECK(json_string("\xf4\x90\x80\x80") == '"' + bad + bad + bad + bad + '"'); // beyond the last
    std::string every; // sequences of three bytes, each with all others
    for (int first = 0x78; first < 256; first += 5) {
        for (int second = 0x78; second < 256; second += 7) {
            for (char const third : {'a', '\x80', '\xbf', '\xc3'})
                every += {static_cast<char>(first), static_cast<char>(second), third};
        }
    }
    CHECK(is_json(json_string(every)));
}

TEST_CASE("times are microseconds with three digits") {
    CHECK(json_microseconds(0ns) == "0.000");
    CHECK(json_microseconds(1234567ns) == "1234.567");
    CHECK(json_microseconds(1000007ns) == "1000.007");
    CHECK(json_microseconds(-42ns) == "-0.042");
    CHECK(json_microseconds(std::chrono::nanoseconds::min()) == "-9223372036854775.808");
}

TEST_CASE("a trace is read as it was written") {
    TemporaryFile const file;
    {
        trace_file trace(file.path, origin);
        trace.process(7, "worker \"1\"");
        trace.event("square", "item", 7, origin + 1500ns, origin + 4us, {{"index", 3U}, {"label", "t\xc3\xa4t"}});
        trace.instant("died", "", -8, origin - 1us, {{"largest", std::numeric_limits<std::uint64_t>::max()}});
        trace.event("empty", "chunk", 7, origin, origin);
    }
    std::string const text = contents_of(file.path);
    CHECK(
        text ==
        R"({"displayTimeUnit":"ms","traceEvents":[
{"ph":"M","name":"process_name","pid":7,"tid":7,"args":{"name":"worker \"1\""}},
{"ph":"X","name":"square","cat":"item","pid":7,"tid":7,"ts":1.500,"dur":2.500,"args":{"index":3,"label":"tät"}},
{"ph":"i","name":"died","pid":-8,"tid":-8,"ts":-1.000,"s":"p","args":{"largest":18446744073709551615}},
{"ph":"X","name":"empty","cat":"chunk","pid":7,"tid":7,"ts":0.000,"dur":0.000}
]}
)");
    Json const trace = parse_json(text);
    REQUIRE(trace["traceEvents"].list().size() == 4);
    Json const& square = trace["traceEvents"].list()[1];
    CHECK((square["ph"].text() == "X" && square["ts"].number() == 1.5 && square["dur"].number() == 2.5));
    CHECK((square["args"]["index"].number() == 3 && square["args"]["label"].text() == "t\xc3\xa4t"));
}

TEST_CASE("a trace without events, closed twice, and events after it") {
    TemporaryFile const file;
    trace_file trace(file.path, origin);
    trace.close();
    trace.close();
    trace.event("late", "", 1, origin, origin);
    CHECK(parse_json(contents_of(file.path))["traceEvents"].list().empty());
}

TEST_CASE("a long trace is written while it grows, and replaces what was there") {
    TemporaryFile const file;
    for (int const count : {10'000, 5'000}) {
        trace_file trace(file.path, origin);
        for (int i = 0; i < count; ++i) trace.event("item", "", 1, origin, origin + 1us, {{"index", i}});
        CHECK(contents_of(file.path).size() > 100'000);
        trace.close();
        Json const read = parse_json(contents_of(file.path));
        REQUIRE(read["traceEvents"].list().size() == static_cast<std::size_t>(count));
        CHECK(read["traceEvents"].list().back()["args"]["index"].number() == count - 1);
    }
}

TEST_CASE("a file that cannot be made is an OSError with its path") {
    std::string const path = multiprocessing_test::temporary_file("no folder") + "/trace.json";
    try {
        trace_file const trace(path);
        FAIL("it was made");
    } catch (mp::OSError const& error) {
        CHECK(error.code() == std::errc::no_such_file_or_directory);
        CHECK(std::string(error.what()).starts_with("trace file " + path));
    }
}

#if defined(__linux__)

TEST_CASE("a disk that is full is noticed at the end") {
    trace_file trace("/dev/full");
    for (int i = 0; i < 2000; ++i) trace.event("item", "category", 1, origin, origin + 1us, {{"index", i}});
    try {
        trace.close();
        FAIL("it was written");
    } catch (mp::OSError const& error) {
        CHECK(error.code() == std::errc::no_space_on_device);
        CHECK(std::string(error.what()).starts_with("trace file /dev/full"));
    }
    trace.close();
}

TEST_CASE("child: cannot write its trace", "[.]") { trace_file const trace("/dev/full"); }

TEST_CASE("a trace that ends by itself reports that it could not be written") {
    auto const child = multiprocessing_test::run_hidden_case("child: cannot write its trace");
    CHECK(child.errors.starts_with("multiprocessing: trace file /dev/full: No space left on device"));
}

#endif

#if !defined(_WIN32)

TEST_CASE("a forked copy writes nothing") {
    TemporaryFile const file;
    trace_file trace(file.path, origin);
    trace.process(1, "before");
    int const code = multiprocessing_test::in_child([&] {
        trace.process(2, "in the child");
        trace.close();
        return 5;
    });
    CHECK(code == 5);
    trace.process(3, "after");
    trace.close();
    Json const read = parse_json(contents_of(file.path));
    REQUIRE(read["traceEvents"].list().size() == 2);
    CHECK(read["traceEvents"].list()[1]["args"]["name"].text() == "after");
}

#endif
