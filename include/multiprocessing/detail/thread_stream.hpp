#pragma once

#include <multiprocessing/detail/condition_wait.hpp>
#include <multiprocessing/detail/thread_call.hpp>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <ranges>
#include <stop_token>
#include <utility>
#include <vector>

/// What is behind imap of a pool of threads.
namespace multiprocessing::inline v0::detail {

/// Reads a range, has its items worked on, some ahead of the one who takes the results, and gives these one by one.
///
/// Items: a range, or a reference to one. Convert: makes a kept item from an element.
template <class F, class Signature, class Items, class Convert>
class thread_stream final : public result_stream<streamed<result_of<Signature>>> {
    using R = streamed<result_of<Signature>>;
    using kept = typename Signature::kept;

    /// Calls the function; nothing is a value too.
    struct perform {
        items_kept<std::reference_wrapper<F>, Signature> calls;
        R operator()(std::uint64_t i, bool once_more) {
            if constexpr (std::is_same_v<R, std::monostate>) {
                calls(i, once_more);
                return {};
            } else {
                return calls(i, once_more);
            }
        }
    };

public:
    thread_stream(
        std::shared_ptr<thread_crew> crew,
        F function,
        Items items,
        Convert convert,
        bool in_order,
        MapOptions const& options)
        : crew_(std::move(crew)), window_(2 * std::size_t{crew_->size()} + 1),
          shared_(std::make_shared<shared_state>(std::move(function), window_)), items_(std::forward<Items>(items)),
          convert_(std::move(convert)), in_order_(in_order),
          chunksize_(static_cast<std::size_t>(options.chunksize.value_or(1))), retries_(options.retries),
          stop_(options.stop) {
        if (options.progress) {
            std::uint64_t total = 0;
            if constexpr (std::ranges::sized_range<Items>) total = std::ranges::size(items_);
            meter_.emplace(options.progress, options.label, total);
        }
        crew_->open_stream();
        try {
            at_.emplace(std::ranges::begin(items_));
            read_ahead();
        } catch (...) {
            crew_->close_stream();
            throw;
        }
    }

    ~thread_stream() override {
        if (!crew_->is_owner()) return;
        abandon(std::make_exception_ptr(CancelledError()));
        close();
        // The items that run use nothing that ends here.
    }
    thread_stream(thread_stream const&) = delete;
    thread_stream& operator=(thread_stream const&) = delete;

    std::optional<Outcome<R>> next(platform::deadline until) override {
        crew_->require_owner();
        if (stop_.stop_requested() && !closed_) give_up();
        if (turn_.empty()) {
            read_ahead();
            take_chunk(until);
        }
        if (turn_.empty()) {
            close();
            if (auto const error = std::exchange(input_error_, nullptr)) return Outcome<R>(error);
            if (meter_) meter_->finish(given_);
            return std::nullopt;
        }
        auto outcome = std::move(turn_.front());
        turn_.pop_front();
        ++given_;
        if (meter_) meter_->update(given_);
        return outcome;
    }

private:
    using outcomes = std::vector<Outcome<R>>;
    using call = thread_call<all_outcomes<R>, perform>;

    /// What the threads know.
    struct shared_state {
        shared_state(F f, std::size_t window) : function(std::move(f)), done(window) {}

        std::optional<Outcome<outcomes>>& place(std::uint64_t number) {
            return done[static_cast<std::size_t>(number % done.size())];
        }

        F function;
        std::mutex mutex;
        std::condition_variable arrived;
        std::vector<std::optional<Outcome<outcomes>>>
            done; // a ring of chunks, by their number or that of their arrival
        std::uint64_t arrivals = 0;
    };

    /// Fills the window.
    void read_ahead() {
        while (at_ && submitted_ - taken_ < window_) {
            std::vector<kept> items;
            try {
                for (; items.size() < chunksize_; ++*at_) {
                    if (*at_ == std::ranges::end(items_)) {
                        at_.reset();
                        break;
                    }
                    items.push_back(convert_(**at_));
                }
            } catch (...) { // the input fails at this place
                input_error_ = std::current_exception();
                at_.reset();
            }
            if (!items.empty()) submit(std::move(items));
        }
    }

    void submit(std::vector<kept> items) {
        auto const count = items.size();
        auto work = std::make_shared<call>(
            count,
            count,
            retries_,
            perform{{std::ref(shared_->function), std::move(items)}},
            [shared = shared_, number = submitted_, in_order = in_order_](Outcome<outcomes> outcome) {
                {
                    std::scoped_lock const guard(shared->mutex);
                    shared->place(in_order ? number : shared->arrivals++).emplace(std::move(outcome));
                }
                shared->arrived.notify_all();
            });
        work->begins_at(begun_);
        begun_ += count;
        try {
            std::erase_if(calls_, [](auto const& one) { return one.expired(); });
            calls_.push_back(work);
            crew_->submit_to_stream(std::move(work));
        } catch (...) {
            input_error_ = std::current_exception();
            at_.reset();
            return;
        }
        ++submitted_;
    }

    /// The outcomes of the chunk whose turn it is.
    void take_chunk(platform::deadline until) {
        if (taken_ == submitted_) return;
        std::unique_lock guard(shared_->mutex);
        auto& place = shared_->place(taken_);
        if (!wait_until(shared_->arrived, guard, until, [&] { return place.has_value(); })) throw TimeoutError();
        auto chunk = *std::exchange(place, std::nullopt);
        guard.unlock();
        ++taken_;
        if (chunk) {
            for (auto& outcome : *chunk) turn_.push_back(std::move(outcome));
        } else {
            turn_.push_back(chunk.error());
        }
        read_ahead();
    }

    /// Nothing comes any more but the news of it.
    void give_up() {
        input_error_ = std::make_exception_ptr(CancelledError());
        abandon(input_error_);
        at_.reset();
        turn_.clear();
        taken_ = submitted_;
    }

    void abandon(std::exception_ptr const& reason) noexcept {
        for (auto const& one : calls_) {
            if (auto const work = one.lock()) {
                work->abandon();
                crew_->withdraw(*work, reason);
            }
        }
    }

    void close() noexcept {
        if (!std::exchange(closed_, true)) crew_->close_stream();
    }

    std::shared_ptr<thread_crew> const crew_;
    std::size_t const window_; // chunks that are submitted and not taken
    std::shared_ptr<shared_state> const shared_;
    Items items_;
    Convert convert_;
    std::optional<std::ranges::iterator_t<Items>> at_; // empty: nothing is left to read
    bool const in_order_;
    std::size_t const chunksize_;
    std::uint64_t begun_ = 0; // items that were given to threads
    std::uint64_t given_ = 0; // results that were taken
    std::optional<progress_meter> meter_;
    int const retries_;
    std::stop_token const stop_;
    std::uint64_t submitted_ = 0;
    std::uint64_t taken_ = 0;
    std::vector<std::weak_ptr<call>> calls_;
    std::deque<Outcome<R>> turn_;
    std::exception_ptr input_error_;
    bool closed_ = false;
};

} // namespace multiprocessing::inline v0::detail
