#pragma once

#include <multiprocessing/platform/clock.hpp>
#include <multiprocessing/platform/terminal.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

/// How far a call has come, as people know it from tqdm and mpire.
namespace multiprocessing::inline v0 {

/// How far a call has come at some moment.
struct ProgressState {
    std::uint64_t done = 0;                        ///< items that are done
    std::uint64_t total = 0;                       ///< items in all; 0: unknown
    std::chrono::nanoseconds elapsed{};            ///< since the call began
    double rate = 0;                               ///< items per second, the mean since the call began
    std::optional<std::chrono::nanoseconds> eta{}; ///< what is still to come if it goes on like this; empty: unknown
    std::string_view label{};                      ///< valid during the callback
    bool finished = false;                         ///< no other state follows
};

/// How progress is shown; everything is optional.
struct ProgressOptions {
    std::FILE* stream = nullptr;                    ///< where it is drawn; empty: standard error
    std::chrono::nanoseconds interval{100'000'000}; ///< at least so much lies between two states
    std::chrono::nanoseconds delay{300'000'000};    ///< calls that are shorter draw nothing
    std::optional<unsigned> width{};                ///< of the whole line, in columns; empty: the width of the terminal
    std::optional<bool> bar{};                      ///< empty: a bar on a terminal, and lines elsewhere
};

/// Whether and how the progress of a call is shown: not at all, drawn, or given to a function.
///
///     pool.map(func, items, {.progress = true});
///     map:  45%|###########               | 450/1000 [00:12<00:14, 37.5it/s]
///
///     pool.map(func, items, {.progress = [](mp::ProgressState const& state) { show(state.done, state.total); }});
///
/// On a terminal a bar is drawn over and over: the share that is done, counts, the time that has gone by < the time to come,
/// and the rate. Elsewhere, say in a log file, there is a line for each tenth, at most one per second; every ten seconds if
/// nobody knows how many items there are; and a last one. Nothing is drawn in calls that take less than `delay`, and if the
/// environment variable NO_PROGRESS is set and not empty.
///
/// A callback is called by the thread that waits for the call, of an asynchronous call by a thread of the pool, at most once per `interval`, and once at the end with
/// `finished`, unless the call fails; NO_PROGRESS does not concern it. What it throws is dropped, and reported once on
/// standard error.
///
/// Python: what `tqdm(pool.imap(func, items), total=n)` shows. Example    pool.map(func, items, {.progress = true});
class Progress {
public:
    using Callback = std::function<void(ProgressState const&)>;

    /// Shows nothing.
    Progress() = default;

    /// true: draws on standard error.
    template <std::same_as<bool> Bool> // nothing that only converts to bool, such as a pointer
    Progress(Bool draw) : draws_(draw) {}

    /// Draws as the options say.
    Progress(ProgressOptions options) : draws_(true), options_(std::move(options)) {}

    /// Calls a function; of the options the interval is used.
    template <class F>
        requires std::invocable<F&, ProgressState const&> && (!std::same_as<std::remove_cvref_t<F>, Progress>)
    Progress(F callback, ProgressOptions options = {}) : callback_(std::move(callback)), options_(std::move(options)) {}

    /// Whether anything is shown or called.
    explicit operator bool() const noexcept { return draws_ || callback_; }

    bool draws() const noexcept { return draws_; }
    Callback const& callback() const noexcept { return callback_; }
    ProgressOptions const& options() const noexcept { return options_; }

private:
    bool draws_ = false;
    Callback callback_;
    ProgressOptions options_;
};

// ---- implementation

namespace detail {

/// Shows the progress of one call, for the thread that waits for it. Nothing of it throws but the constructor.
class progress_meter {
public:
    using time_point = platform::clock::time_point;

    /// label   stands in front
    /// total   0: unknown
    /// start   when the call began
    progress_meter(
        Progress progress, std::string_view label, std::uint64_t total, time_point start = platform::clock::now());
    ~progress_meter();
    progress_meter(progress_meter const&) = delete;
    progress_meter& operator=(progress_meter const&) = delete;

    /// When the next update shows something; platform::never: none does.
    time_point due() const noexcept { return due_; }

    /// Says how many items are done. Cheap before `due`: it compares two times, or none if nothing is shown.
    void update(std::uint64_t done) noexcept {
        if (due_ != platform::never) update(done, platform::clock::now());
    }
    void update(std::uint64_t done, time_point now) noexcept {
        if (now >= due_) show_now(done, now, false);
    }

    /// The call has come to its end. A meter that ends without it only ends its line.
    void finish(std::uint64_t done) noexcept {
        if (due_ != platform::never) finish(done, platform::clock::now());
    }
    void finish(std::uint64_t done, time_point now) noexcept {
        if (due_ != platform::never) show_now(done, now, true);
        due_ = platform::never;
    }

private:
    ProgressState state(std::uint64_t done, time_point now, bool finished) const noexcept;
    void show_now(std::uint64_t done, time_point now, bool finished) noexcept;
    void call(ProgressState const& state) noexcept;
    void draw_bar(ProgressState const& state);
    void write_line(ProgressState const& state);

    Progress progress_;
    std::string label_;
    std::uint64_t total_;
    time_point start_;
    time_point due_ = platform::never;
    std::FILE* stream_ = nullptr;
    bool bar_ = false;
    bool line_is_open_ = false;            // the bar stands in a line that has not ended
    bool reported_ = false;                // that the callback threw
    std::uint64_t tenths_ = 0;             // of the last line
    std::chrono::nanoseconds last_line_{}; // elapsed then
};

/// The columns that a text takes: bytes that continue a UTF-8 character take none.
inline std::size_t columns_of(std::string_view text) noexcept {
    return static_cast<std::size_t>(std::count_if(
        text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; }));
}

/// Drops what does not fit, at the end.
inline std::string cut_to_columns(std::string text, std::size_t columns) {
    while (columns_of(text) > columns) {
        while ((static_cast<unsigned char>(text.back()) & 0xC0U) == 0x80) text.pop_back();
        text.pop_back();
    }
    return text;
}

/// "01:07", or "2:01:07" from an hour on.
inline std::string clock_text(std::chrono::nanoseconds time) {
    auto const seconds = std::chrono::duration_cast<std::chrono::seconds>(time).count();
    auto const hours = static_cast<long long>(seconds / 3600);
    int const minutes = static_cast<int>(seconds / 60 % 60);
    int const rest = static_cast<int>(seconds % 60);
    char text[40];
    if (hours != 0)
        std::snprintf(text, sizeof text, "%lld:%02d:%02d", hours, minutes, rest);
    else
        std::snprintf(text, sizeof text, "%02d:%02d", minutes, rest);
    return text;
}

/// "37.5it/s", or "2.00s/it" below one item per second.
inline std::string rate_text(double rate) {
    if (!(rate > 0)) return "?it/s";
    bool const slow = rate < 1;
    double const number = slow ? 1 / rate : rate;
    char text[64];
    std::snprintf(
        text,
        sizeof text,
        "%.*f%s",
        number < 9.995   ? 2
        : number < 99.95 ? 1
                         : 0,
        number,
        slow ? "s/it" : "it/s");
    return text;
}

/// A state as one line of at most so many columns, with a bar in it if there is room. width 0: no bar, and no limit.
inline std::string progress_text(ProgressState const& state, std::size_t width) {
    std::string head(state.label);
    if (!head.empty()) head += ": ";
    if (state.total == 0) {
        head += std::to_string(state.done) + "it [" + clock_text(state.elapsed) + ", " + rate_text(state.rate) + ']';
        return width == 0 ? head : cut_to_columns(std::move(head), width);
    }
    double const share = std::min(1.0, static_cast<double>(state.done) / static_cast<double>(state.total));
    char percent[16];
    std::snprintf(percent, sizeof percent, "%3d%%", static_cast<int>(share * 100));
    head += percent;
    std::string const tail = ' ' + std::to_string(state.done) + '/' + std::to_string(state.total) + " [" +
                             clock_text(state.elapsed) + '<' + (state.eta ? clock_text(*state.eta) : "?") + ", " +
                             rate_text(state.rate) + ']';
    if (width == 0) return head + tail;
    std::size_t const used = columns_of(head) + columns_of(tail) + 2;
    if (width < used + 5) return cut_to_columns(head + tail, width);
    std::size_t const room = width - used;
    std::string bar(static_cast<std::size_t>(share * static_cast<double>(room)), '#');
    bar.resize(room, ' ');
    return head + '|' + bar + '|' + tail;
}

inline progress_meter::progress_meter(Progress progress, std::string_view label, std::uint64_t total, time_point start)
    : progress_(std::move(progress)), label_(label), total_(total), start_(start) {
    ProgressOptions const& options = progress_.options();
    for (char& c : label_) {
        if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = ' '; // a line end would spoil the line
    }
    if (progress_.callback()) {
        due_ = start + options.interval;
        return;
    }
    char const* const forbidden = std::getenv("NO_PROGRESS");
    if (!progress_.draws() || (forbidden != nullptr && *forbidden != '\0')) return;
    stream_ = options.stream != nullptr ? options.stream : stderr;
    bar_ = options.bar.value_or(platform::terminal_width(stream_).has_value());
    due_ = start + std::max(options.delay, options.interval);
}

inline progress_meter::~progress_meter() {
    if (!line_is_open_) return;
    std::fputc('\n', stream_);
    std::fflush(stream_);
}

inline ProgressState progress_meter::state(std::uint64_t done, time_point now, bool finished) const noexcept {
    ProgressState state{.done = done, .total = total_, .elapsed = now - start_, .label = label_, .finished = finished};
    double const elapsed = std::chrono::duration<double>(state.elapsed).count();
    if (done > 0 && elapsed > 0) state.rate = static_cast<double>(done) / elapsed;
    if (total_ != 0 && done >= total_) {
        state.eta = std::chrono::nanoseconds(0);
    } else if (total_ != 0 && state.rate > 0) {
        double const seconds = static_cast<double>(total_ - done) / state.rate;
        if (seconds < 1e9) { // a later end is no news, and would not fit into nanoseconds
            state.eta = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(seconds));
        }
    }
    return state;
}

inline void progress_meter::show_now(std::uint64_t done, time_point now, bool finished) noexcept {
    ProgressOptions const& options = progress_.options();
    ProgressState const current = state(done, now, finished);
    due_ = now + options.interval;
    if (progress_.callback()) return call(current);
    if (current.elapsed < options.delay) return;
    try {
        bar_ ? draw_bar(current) : write_line(current);
    } catch (std::exception const&) { // no memory for a line that is only to please the eye
    }
}

inline void progress_meter::call(ProgressState const& current) noexcept {
    auto const report = [this](char const* what) {
        if (!std::exchange(reported_, true))
            std::fprintf(stderr, "multiprocessing: a progress callback threw: %s\n", what);
    };
    try {
        progress_.callback()(current);
    } catch (std::exception const& error) {
        report(error.what());
    } catch (...) {
        report("no std::exception");
    }
}

inline void progress_meter::draw_bar(ProgressState const& current) {
    // The last column stays free: some terminals go to the next line when it is written.
    std::size_t const columns =
        progress_.options().width.value_or(std::max(platform::terminal_width(stream_).value_or(80), 2U) - 1);
    std::string text = progress_text(current, std::max<std::size_t>(columns, 1));
    std::size_t const length = columns_of(text);
    if (length < columns) text.append(columns - length, ' '); // over what stood there
    text.insert(text.begin(), '\r');
    if (current.finished) text += '\n';
    line_is_open_ = !current.finished;
    std::fwrite(text.data(), 1, text.size(), stream_);
    std::fflush(stream_);
}

inline void progress_meter::write_line(ProgressState const& current) {
    using namespace std::chrono_literals;
    auto const pause = current.elapsed - last_line_;
    std::uint64_t tenths = 0;
    if (total_ != 0)
        tenths = static_cast<std::uint64_t>(10 * static_cast<double>(current.done) / static_cast<double>(total_));
    bool const is_time = total_ != 0 ? tenths > tenths_ && pause >= 1s : pause >= 10s;
    if (!is_time && !current.finished) return;
    tenths_ = tenths;
    last_line_ = current.elapsed;
    std::string const text = progress_text(current, 0) + '\n';
    std::fwrite(text.data(), 1, text.size(), stream_);
    std::fflush(stream_);
}

} // namespace detail

} // namespace multiprocessing::inline v0
