#pragma once

#include <multiprocessing/detail/fork_generation.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/platform/clock.hpp>
#include <multiprocessing/platform/error.hpp>
#include <multiprocessing/platform/file.hpp>
#include <multiprocessing/platform/self.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace multiprocessing::inline v0::detail {

/// Something that is told about an event of a trace: a name, and a whole number or a text.
class trace_argument {
public:
    template <std::integral Number>
    trace_argument(std::string_view name, Number number);
    trace_argument(std::string_view name, std::string_view text);

    std::string const& json() const noexcept { return json_; }

private:
    std::string json_; // "name":value
};

/// Writes what happened in several processes, and when, in the trace format of Chrome: ui.perfetto.dev and
/// chrome://tracing show it as a row for each process.
///
/// It writes now and then, and makes the file whole in close(). What the system refuses after the file has been opened is
/// kept for close(), so that no event of a call fails for the sake of its trace. A forked copy of this process has no part
/// in it. Safe from one thread at a time.
class trace_file {
public:
    using time_point = platform::clock::time_point;
    using arguments = std::initializer_list<trace_argument>;

    /// path    an existing file is replaced
    /// origin  the time that the trace calls zero
    /// Throws  OSError  it cannot be written
    explicit trace_file(std::string path, time_point origin = platform::clock::now());

    /// close(); an error is reported on standard error.
    ~trace_file();
    trace_file(trace_file const&) = delete;
    trace_file& operator=(trace_file const&) = delete;

    /// What a process is called.
    void process(platform::process_id pid, std::string_view name);

    /// Something that took some time.
    void event(
        std::string_view name,
        std::string_view category,
        platform::process_id pid,
        time_point begin,
        time_point end,
        arguments args = {});

    /// Something that happened at one moment.
    void instant(
        std::string_view name, std::string_view category, platform::process_id pid, time_point at, arguments args = {});

    /// Nothing follows. Does nothing the second time.
    /// Throws  OSError  the file could not be written, now or before
    void close();

private:
    void append(
        char phase,
        std::string_view name,
        std::string_view category,
        platform::process_id pid,
        std::string_view times,
        arguments args);
    void write() noexcept;
    bool is_open() const noexcept { return file_ != nullptr && generation_ == fork_generation(); }

    std::string path_;
    time_point origin_;
    std::uint32_t generation_ = fork_generation();
    std::FILE* file_ = nullptr;
    std::error_code error_; // the first that there was
    std::string text_;      // not written yet
    bool empty_ = true;     // no event so far
};

// ---- implementation

/// The length of the UTF-8 character that a text begins with; 0 if it begins with something else.
inline std::size_t utf8_length(std::string_view text) noexcept {
    auto const byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
    unsigned const first = byte(0);
    if (text.empty() || first < 0x80) return text.empty() ? 0 : 1;
    std::size_t const length = first >= 0xC2 && first < 0xE0   ? 2
                               : (first & 0xF0U) == 0xE0       ? 3
                               : first >= 0xF0 && first < 0xF5 ? 4
                                                               : 0;
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0U) != 0x80) return 0;
    }
    bool const forbidden = (first == 0xE0 && byte(1) < 0xA0) ||  // written longer than necessary
                           (first == 0xF0 && byte(1) < 0x90) ||  //
                           (first == 0xED && byte(1) >= 0xA0) || // half of a pair of UTF-16
                           (first == 0xF4 && byte(1) >= 0x90);   // beyond the last character
    return forbidden ? 0 : length;
}

/// A text as JSON, with its quotes. Bytes that are no UTF-8 become U+FFFD.
inline std::string json_string(std::string_view text) {
    std::string json = "\"";
    while (!text.empty()) {
        std::size_t const length = utf8_length(text);
        auto const first = static_cast<unsigned char>(text.front());
        if (length == 0) {
            json += "\xEF\xBF\xBD";
        } else if (first == '"' || first == '\\') {
            json += {'\\', text.front()};
        } else if (first < ' ' || first == 0x7F) {
            char code[8];
            std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(first));
            json += code;
        } else {
            json += text.substr(0, length);
        }
        text.remove_prefix(length == 0 ? 1 : length);
    }
    return json += '"';
}

/// Nanoseconds as microseconds with three digits behind the point; the locale has no say in it.
inline std::string json_microseconds(std::chrono::nanoseconds time) {
    bool const negative = time.count() < 0;
    std::uint64_t const count =
        negative ? 0 - static_cast<std::uint64_t>(time.count()) : static_cast<std::uint64_t>(time.count());
    std::string const digits = std::to_string(1000 + count % 1000); // "1ddd"
    return (negative ? "-" : "") + std::to_string(count / 1000) + '.' + digits.substr(1);
}

template <std::integral Number>
trace_argument::trace_argument(std::string_view name, Number whole_number)
    : json_(json_string(name) + ':' + std::to_string(whole_number)) {}

inline trace_argument::trace_argument(std::string_view name, std::string_view text)
    : json_(json_string(name) + ':' + json_string(text)) {}

inline trace_file::trace_file(std::string path, time_point origin) : path_(std::move(path)), origin_(origin) {
    std::error_code error;
    file_ = platform::create_file(path_, error);
    if (error) throw OSError(error, "trace file " + path_);
    text_ = "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[";
}

inline trace_file::~trace_file() {
    try {
        close();
    } catch (std::exception const& error) {
        std::fprintf(stderr, "multiprocessing: %s\n", error.what());
    }
}

inline void trace_file::append(
    char phase,
    std::string_view name,
    std::string_view category,
    platform::process_id pid,
    std::string_view times,
    arguments args) {
    if (!is_open()) return;
    std::string const number = std::to_string(pid);
    text_ += std::exchange(empty_, false) ? "\n{\"ph\":\"" : ",\n{\"ph\":\"";
    text_ += phase;
    text_ += "\",\"name\":" + json_string(name);
    if (!category.empty()) text_ += ",\"cat\":" + json_string(category);
    text_ += ",\"pid\":" + number + ",\"tid\":" + number;
    text_ += times;
    char const* separator = ",\"args\":{";
    for (trace_argument const& argument : args) {
        text_ += std::exchange(separator, ",");
        text_ += argument.json();
    }
    text_ += args.size() != 0 ? "}}" : "}";
    if (text_.size() > (std::size_t{1} << 16)) write();
}

inline void trace_file::process(platform::process_id pid, std::string_view name) {
    append('M', "process_name", "", pid, "", {{"name", name}});
}

inline void trace_file::event(
    std::string_view name,
    std::string_view category,
    platform::process_id pid,
    time_point begin,
    time_point end,
    arguments args) {
    append(
        'X',
        name,
        category,
        pid,
        ",\"ts\":" + json_microseconds(begin - origin_) + ",\"dur\":" + json_microseconds(end - begin),
        args);
}

inline void trace_file::instant(
    std::string_view name, std::string_view category, platform::process_id pid, time_point at, arguments args) {
    append(
        'i',
        name,
        category,
        pid,
        ",\"ts\":" + json_microseconds(at - origin_) + ",\"s\":\"p\"",
        args); // a mark on its process
}

inline void trace_file::write() noexcept {
    if (!error_ && std::fwrite(text_.data(), 1, text_.size(), file_) != text_.size()) error_ = platform::last_error();
    text_.clear();
}

inline void trace_file::close() {
    bool const is_ours = is_open();
    if (is_ours) {
        text_ += "\n]}\n";
        write();
    }
    if (file_ == nullptr) return;
    if (std::fclose(std::exchange(file_, nullptr)) != 0 && !error_) error_ = platform::last_error();
    if (is_ours && error_) throw OSError(error_, "trace file " + path_);
}

} // namespace multiprocessing::inline v0::detail
