#pragma once

#include <multiprocessing/async_result.hpp>
#include <multiprocessing/detail/pool_call.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <ranges>
#include <utility>
#include <vector>

/// What is behind imap: items are read in portions as results are taken, and each portion is a call of its own.
namespace multiprocessing::inline v0::detail {

/// A portion of a stream.
template <class R>
class stream_portion final : public crew_call {
public:
    stream_portion(placed_items items, std::shared_ptr<placed_callable const> callable)
        : items_(std::move(items)), callable_(std::move(callable)), output_(items_.count),
          marks_(static_cast<std::size_t>(items_.count)), taken_(static_cast<std::size_t>(items_.count)) {
        in_stream = true;
        for (std::size_t i = 0; i < taken_.size(); ++i)
            ::new (marks_.template get<std::atomic<std::uint8_t>>() + i) std::atomic<std::uint8_t>(0);
    }
    ~stream_portion() override { output_.adopt(std::move(regions)); }

    void describe(batch& work) noexcept {
        items_.describe(work);
        callable_->describe(work);
        output_.describe(work);
        work.marks = marks_.offset();
    }

    std::size_t left() const noexcept { return taken_.size() - taken_count_; }
    /// Nanoseconds per item when all are taken; 0: unknown. `pace` may still be written by others then.
    std::uint64_t final_pace() const noexcept { return final_pace_; }
    /// Marks an item as taken, the next one or any; empty: there is none that has an outcome. With the crew's mutex.
    std::optional<std::size_t> take(bool in_order) noexcept;
    /// Why an item failed; null: it has a result. With the crew's mutex.
    std::exception_ptr failure_of(std::size_t item) const noexcept;
    Outcome<streamed<R>> result(std::size_t item) const;

private:
    placed_items items_;
    std::shared_ptr<placed_callable const> callable_;
    call_output<R> output_;
    arena_block marks_;
    std::vector<bool> taken_;
    std::size_t taken_count_ = 0;
    std::uint64_t final_pace_ = 0;
    std::size_t next_ = 0; // where the search for one that is there begins
};

struct stream_options {
    bool in_order = true;
    std::int64_t chunksize = 0;
    std::chrono::nanoseconds timeout{0};
    unsigned attempts = 1;
    unsigned most_deaths = 3;
    std::stop_token stop;
    Progress progress;
    std::string label;
};

/// R: what an item gives. Kept: how items are kept. Source: the user's range, or a reference to it. Work: the function of
/// the batches.
template <class R, class Kept, class Source, auto Work>
class pool_stream final : public result_stream<streamed<R>> {
public:
    using value = streamed<R>;

    pool_stream(
        std::shared_ptr<crew> workers,
        bool own_workers,
        std::shared_ptr<placed_callable const> callable,
        Source&& source,
        stream_options options)
        : workers_(std::move(workers)), own_workers_(own_workers), callable_(std::move(callable)),
          source_(std::forward<Source>(source)), options_(std::move(options)), window_(smallest_window()) {
        if (options_.progress) {
            std::uint64_t total = 0;
            if constexpr (std::ranges::sized_range<range>) total = std::ranges::size(source_);
            meter_.emplace(options_.progress, options_.label, total);
        }
        label_ = workers_->options().records->label(options_.label);
        workers_->begin_stream();
    }
    ~pool_stream() override;

    std::optional<Outcome<value>> next(platform::deadline until) override;

private:
    using portion = stream_portion<R>;
    using range = std::remove_reference_t<Source>;

    struct found {
        std::shared_ptr<portion> where;
        std::size_t item;
        std::exception_ptr failure;
    };

    std::uint64_t smallest_window() const noexcept {
        return 2 * workers_->size() * static_cast<std::uint64_t>(std::max<std::int64_t>(1, options_.chunksize));
    }
    std::uint64_t most_read_ahead() const noexcept { return std::max<std::uint64_t>(smallest_window(), 4096); }
    std::optional<found> find();
    void give_up();
    void read_items();
    bool read_item();
    void submit();
    std::shared_ptr<portion> make_portion(std::vector<Kept> const& items);

    // While an item takes less time than this, more of them are read ahead, so that all workers find some.
    static constexpr std::uint64_t worth_reading_ahead = 500'000; // nanoseconds of work for each worker
    // Items that were read are not held back for longer.
    static constexpr auto patience = std::chrono::microseconds(100);

    std::shared_ptr<crew> workers_;
    bool own_workers_; // forked for this stream
    std::shared_ptr<placed_callable const> callable_;
    Source source_;
    stream_options options_;
    std::optional<std::ranges::iterator_t<range>> at_;
    bool at_end_ = false;
    std::exception_ptr source_failure_;
    std::uint64_t read_ = 0;
    std::uint64_t given_ = 0;
    std::optional<progress_meter> meter_;
    std::uint32_t label_ = 0;
    std::uint64_t window_;
    std::uint64_t open_ = 0; // items that are read, and whose outcome is not taken
    std::vector<Kept> pending_;
    std::deque<std::shared_ptr<portion>> portions_;
};

// ---- implementation

template <class R>
std::optional<std::size_t> stream_portion<R>::take(bool in_order) noexcept {
    auto const* const marks = marks_.template get<std::atomic<std::uint8_t>>();
    if (left() == 0) return std::nullopt;
    for (std::size_t step = 0; step < taken_.size(); ++step) {
        std::size_t const i = (next_ + step) % taken_.size();
        bool const there =
            !taken_[i] && (ended || marks[i].load(std::memory_order_acquire) != 0 || failure_of(i) != nullptr);
        if (there) {
            taken_[i] = true;
            next_ = i + 1;
            if (++taken_count_ == taken_.size()) {
                final_pace_ = batches.empty() ? pace : batches.front().work->pace.load(std::memory_order_relaxed);
            }
            return i;
        }
        if (in_order) break;
    }
    return std::nullopt;
}

template <class R>
std::exception_ptr stream_portion<R>::failure_of(std::size_t item) const noexcept {
    auto const at =
        std::find_if(failed.begin(), failed.end(), [&](failed_item const& each) { return each.index == item; });
    return at == failed.end() ? nullptr : at->error;
}

template <class R>
Outcome<streamed<R>> stream_portion<R>::result(std::size_t item) const {
    if constexpr (std::is_void_v<R>) {
        return std::monostate();
    } else {
        return output_.get(item);
    }
}

template <class R, class Kept, class Source, auto Work>
pool_stream<R, Kept, Source, Work>::~pool_stream() {
    if (!workers_->is_owned()) {
        for (auto& each : portions_) static_cast<void>(new std::shared_ptr<portion>(std::move(each)));
        return;
    }
    give_up();
    workers_->end_stream();
    if (!own_workers_) return;
    workers_->terminate();
    try {
        workers_->join();
    } catch (...) {
    }
}

template <class R, class Kept, class Source, auto Work>
void pool_stream<R, Kept, Source, Work>::give_up() {
    auto const given_up = std::make_exception_ptr(CancelledError());
    for (auto const& each : portions_) workers_->cancel(*each, given_up, false);
    portions_.clear();
    pending_.clear();
    meter_.reset(); // it did not come to its end
    open_ = 0;
    at_end_ = true;
}

template <class R, class Kept, class Source, auto Work>
std::optional<Outcome<typename pool_stream<R, Kept, Source, Work>::value>>
pool_stream<R, Kept, Source, Work>::next(platform::deadline until) {
    workers_->require_owner();
    std::optional<found> result;
    // As long as workers have enough to do, what is there goes first: reading may take its time.
    if (2 * open_ >= window_ && !portions_.empty()) {
        workers_->wait(*portions_.front(), platform::deadline::min(), [&] { return (result = find()).has_value(); });
    }
    if (!result) {
        read_items();
        if (portions_.empty()) {
            if (source_failure_) return std::exchange(source_failure_, nullptr);
            if (meter_) meter_->finish(given_);
            return std::nullopt;
        }
        auto const condition = [&] { return (result = find()).has_value() || options_.stop.stop_requested(); };
        if (!workers_->wait(*portions_.front(), until, condition)) throw TimeoutError();
        if (!result) {
            give_up();
            throw CancelledError();
        }
    }
    --open_;
    ++given_;
    if (meter_) meter_->update(given_);
    while (!portions_.empty() && portions_.front()->left() == 0) {
        if (auto const pace = portions_.front()->final_pace()) {
            window_ = std::clamp(worth_reading_ahead * workers_->size() / pace, smallest_window(), most_read_ahead());
        }
        portions_.pop_front();
    }
    if (result->failure) return std::move(result->failure);
    return result->where->result(result->item);
}

template <class R, class Kept, class Source, auto Work>
std::optional<typename pool_stream<R, Kept, Source, Work>::found> pool_stream<R, Kept, Source, Work>::find() {
    for (auto const& each : portions_) {
        if (auto const item = each->take(options_.in_order)) {
            return found{each, *item, each->ended ? each->ended : each->failure_of(*item)};
        }
        if (options_.in_order) break;
    }
    return std::nullopt;
}

template <class R, class Kept, class Source, auto Work>
void pool_stream<R, Kept, Source, Work>::read_items() {
    auto submitted = platform::clock::now();
    while (!at_end_ && open_ < window_) {
        if (!read_item()) break;
        auto const now = platform::clock::now();
        if (2 * pending_.size() >= window_ || now - submitted >= patience) {
            submit();
            submitted = now;
        }
    }
    submit();
}

template <class R, class Kept, class Source, auto Work>
bool pool_stream<R, Kept, Source, Work>::read_item() {
    try {
        if (at_) {
            ++*at_;
        } else {
            at_.emplace(std::ranges::begin(source_));
        }
        if (*at_ != std::ranges::end(source_)) {
            pending_.push_back(keep_item<Kept>(**at_));
            ++open_;
            return true;
        }
    } catch (...) {
        source_failure_ = std::current_exception();
    }
    at_end_ = true;
    return false;
}

template <class R, class Kept, class Source, auto Work>
void pool_stream<R, Kept, Source, Work>::submit() {
    if (pending_.empty()) return;
    std::vector<Kept> items;
    items.swap(pending_);
    try {
        portions_.push_back(make_portion(items));
        try {
            workers_->submit(portions_.back(), true);
        } catch (...) {
            portions_.pop_back();
            throw;
        }
    } catch (...) {
        at_end_ = true; // what would follow has lost its place
        open_ -= items.size();
        throw;
    }
    read_ += items.size();
}

template <class R, class Kept, class Source, auto Work>
std::shared_ptr<stream_portion<R>> pool_stream<R, Kept, Source, Work>::make_portion(std::vector<Kept> const& items) {
    auto call = std::make_shared<portion>(call_input<Kept, std::vector<Kept>>(items, false), callable_);
    call->timeout = options_.timeout;
    call->attempts = options_.attempts;
    call->most_deaths = options_.most_deaths;
    call->batches.push_back({nullptr, nullptr});
    auto& work = call->batches.front().work;
    work = batch::make(0, items.size(), static_cast<std::uint64_t>(options_.chunksize), workers_->size());
    work->function = identify<Work>();
    work->origin = read_;
    work->label = label_;
    work->timed = options_.timeout.count() != 0;
    call->describe(*work);
    return call;
}

} // namespace multiprocessing::inline v0::detail
