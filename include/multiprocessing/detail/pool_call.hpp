#pragma once

#include <multiprocessing/async_result.hpp>
#include <multiprocessing/detail/call_data.hpp>
#include <multiprocessing/detail/call_traits.hpp>
#include <multiprocessing/detail/crew.hpp>
#include <multiprocessing/progress.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

/// A call of a pool with its items and results: what is behind an AsyncResult.
namespace multiprocessing::inline v0::detail {

/// The function of a call: serialised in shared memory, or here, for workers that are forked now.
struct placed_callable {
    arena_block block;
    std::uint64_t size = 0;
    std::vector<std::shared_ptr<void>> kept_alive; ///< what it refers to
    std::shared_ptr<void> inherited;

    void describe(batch& work) const noexcept {
        work.callable = inherited ? reinterpret_cast<std::uintptr_t>(inherited.get()) : block.offset();
        work.callable_size = size;
    }
};

/// Where a call is worked on, and by what.
struct workplace {
    std::shared_ptr<crew> workers;
    std::shared_ptr<placed_callable const> callable;
    bool own_workers = false; ///< forked for this call
};

/// Puts a function where workers find it. One that cannot travel gets workers that are forked now, and so have it, with
/// everything that it refers to; at most `most` of them.
template <class F>
workplace place(std::shared_ptr<crew> const& workers, F&& function, std::uint64_t most, bool one_call);
template <class F>
using callable_in_workers = std::conditional_t<callable_travels<F>, travelling_callable<F>, inherited_callable<F>>;

/// Something that the user gave us to call has thrown; nobody is there to whom it could be thrown on.
inline void report_callback(std::exception_ptr error) noexcept {
    try {
        std::string const text =
            "multiprocessing: a callback of a pool threw " + describe_exception(std::move(error)) + "\n";
        std::fputs(text.c_str(), stderr);
    } catch (...) {
    }
}

template <class R, call_shape shape>
class pool_call final : public crew_call, public async_state<call_value<R, shape>> {
public:
    using value = call_value<R, shape>;

    pool_call(placed_items items, std::shared_ptr<placed_callable const> callable)
        : items_(std::move(items)), callable_(std::move(callable)), output_(items_.count), count_(items_.count) {}
    ~pool_call() override;

    void describe(batch& work) noexcept {
        items_.describe(work);
        callable_->describe(work);
        output_.describe(work);
    }

    /// Whose workers it was given to.
    crew& workers() const noexcept { return *workers_; }

    /// Before it is submitted.
    void call_back(Callbacks<value> callbacks) {
        callbacks_ = std::move(callbacks);
        announced_by_attendant = true;
    }
    /// Shows how far it is, by the attendant or by wait_showing().
    void show(Progress const& progress, std::string const& label, bool attended) {
        meter_.emplace(progress, label, count_);
        shows_progress = attended;
        announced_by_attendant = announced_by_attendant || attended;
    }
    /// For the one thread that waits.
    void wait_showing();

    /// Has it worked on. Without items it is done at once, and nobody is called back, as in Python.
    void begin(std::shared_ptr<crew> workers, std::shared_ptr<pool_call> const& self, std::stop_token const& stop);

    bool wait(platform::deadline until) override { return is_empty() || workers_->wait(*this, until); }
    bool cancel() override { return !is_empty() && workers_->cancel(*this, std::make_exception_ptr(CancelledError())); }
    Outcome<value>& outcome() override;

private:
    struct canceller {
        pool_call& call;
        void operator()() const {
            if (call.workers_->is_owned()) call.cancel();
        }
    };

    bool is_empty() const noexcept { return count_ == 0; }
    void announce() noexcept override;
    void show_progress(std::uint64_t done) noexcept override { meter_->update(done); }
    void finish_progress() noexcept {
        if (meter_ && !ended && failed.empty()) meter_->finish(count_);
        meter_.reset();
    }
    value collect();
    std::exception_ptr first_failure() const noexcept;

    placed_items items_;
    std::shared_ptr<placed_callable const> callable_;
    call_output<R> output_;
    std::uint64_t count_;
    std::shared_ptr<crew> workers_;
    Callbacks<value> callbacks_;
    std::optional<progress_meter> meter_;
    std::mutex making_;
    std::optional<Outcome<value>> outcome_;
    std::optional<std::stop_callback<canceller>> stop_;
};

template <class R, call_shape shape>
AsyncResult<call_value<R, shape>> handle_on(std::shared_ptr<pool_call<R, shape>> call) {
    return AsyncResult<call_value<R, shape>>(std::move(call));
}

/// For who has waited for a call, and is the only one.
template <class R, call_shape shape>
call_value<R, shape> result_of_call(pool_call<R, shape>& call) {
    return std::move(call.outcome()).value();
}

// ---- implementation

template <class F>
workplace place(std::shared_ptr<crew> const& workers, F&& function, std::uint64_t most, bool one_call) {
    using kept = std::decay_t<F>;
    auto callable = std::make_shared<placed_callable>();
    if constexpr (callable_travels<kept>) {
        byte_buffer state;
        {
            output_archive archive(state);
            archive.delivery_mode(delivery::many);
            save_callable(archive, function);
            callable->kept_alive = std::move(archive.kept_alive());
        }
        callable->size = state.size();
        if (state.size() != 0) {
            callable->block = arena_block(state.size());
            std::memcpy(callable->block.get(), state.data(), state.size());
        }
        return {workers, std::move(callable), false};
    } else {
        if (workers->method() != StartMethod::fork) throw PicklingError(cannot_travel_text);
        callable->inherited = std::make_shared<kept>(std::forward<F>(function));
        auto options = workers->options();
        options.workers = static_cast<unsigned>(std::min<std::uint64_t>(options.workers, most));
        options.chunks_per_worker = 0;
        options.one_call = one_call;
        auto special = crew::make(std::move(options));
        workers->lodge(special);
        return {std::move(special), std::move(callable), true};
    }
}

template <class R, call_shape shape>
pool_call<R, shape>::~pool_call() {
    if (!workers_ || workers_->is_owned()) {
        if (!outcome_) output_.adopt(std::move(regions)); // nobody has asked for the results
        return;
    }
    static_cast<void>(items_.block.release());
    output_.forget();
}

template <class R, call_shape shape>
void pool_call<R, shape>::begin(
    std::shared_ptr<crew> workers, std::shared_ptr<pool_call> const& self, std::stop_token const& stop) {
    workers_ = std::move(workers);
    if (is_empty()) return;
    workers_->submit(self);
    if (stop.stop_possible()) stop_.emplace(stop, canceller{*this});
}

template <class R, call_shape shape>
void pool_call<R, shape>::wait_showing() {
    if (is_empty()) return;
    if (!meter_) {
        workers_->wait(*this, platform::never);
        return;
    }
    while (!workers_->wait(*this, meter_->due())) meter_->update(workers_->items_done(*this));
    finish_progress();
}

template <class R, call_shape shape>
Outcome<typename pool_call<R, shape>::value>& pool_call<R, shape>::outcome() {
    std::scoped_lock const guard(making_);
    if (outcome_) return *outcome_;
    output_.adopt(std::move(regions));
    try {
        if (ended) std::rethrow_exception(ended);
        if constexpr (shape != call_shape::outcomes) {
            if (!failed.empty()) std::rethrow_exception(first_failure());
        }
        if constexpr (std::is_void_v<value>) {
            outcome_.emplace();
        } else {
            outcome_.emplace(collect());
        }
    } catch (...) {
        outcome_.emplace(std::current_exception());
    }
    if (!ended) { // else workers may still be at it
        items_ = {};
        output_.clear();
        callable_.reset();
    }
    return *outcome_;
}

template <class R, call_shape shape>
typename pool_call<R, shape>::value pool_call<R, shape>::collect() {
    if constexpr (shape == call_shape::all) {
        return output_.all();
    } else if constexpr (shape == call_shape::one) {
        return output_.get(0);
    } else {
        std::sort(failed.begin(), failed.end(), [](auto const& a, auto const& b) { return a.index < b.index; });
        std::vector<Outcome<R>> outcomes;
        outcomes.reserve(static_cast<std::size_t>(count_));
        auto next = failed.begin();
        for (std::size_t i = 0; i < count_; ++i) {
            if (next != failed.end() && next->index == i) {
                outcomes.emplace_back(next->error);
                ++next;
            } else if constexpr (std::is_void_v<R>) {
                outcomes.emplace_back();
            } else {
                outcomes.emplace_back(output_.get(i));
            }
        }
        return outcomes;
    }
}

template <class R, call_shape shape>
std::exception_ptr pool_call<R, shape>::first_failure() const noexcept {
    return std::min_element(failed.begin(), failed.end(), [](auto const& a, auto const& b) { return a.when < b.when; })
        ->error;
}

template <class R, call_shape shape>
void pool_call<R, shape>::announce() noexcept {
    finish_progress();
    if (!callbacks_.callback && !callbacks_.error_callback) return;
    auto& what = outcome();
    try {
        if (!what) {
            if (callbacks_.error_callback) callbacks_.error_callback(what.error());
        } else if (callbacks_.callback) {
            if constexpr (std::is_void_v<value>) {
                callbacks_.callback();
            } else {
                callbacks_.callback(*what);
            }
        }
    } catch (...) {
        report_callback(std::current_exception());
    }
    callbacks_ = {};
}

} // namespace multiprocessing::inline v0::detail
