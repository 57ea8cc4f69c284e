#pragma once

#include <multiprocessing/detail/batch_worker.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/resources.hpp>

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

/// The process of a pool's worker.
namespace multiprocessing::inline v0::detail {

/// A function without parameters that runs in workers; or nothing.
class worker_task {
public:
    worker_task() = default;
    explicit worker_task(std::shared_ptr<process_target> target) noexcept : target_(std::move(target)) {}
    template <class F>
        requires(!std::same_as<std::decay_t<F>, worker_task> && std::invocable<std::decay_t<F>&>)
    worker_task(F&& function) : target_(make_target(std::forward<F>(function))) {}

    void run() const {
        if (target_) target_->run();
        if (arrived_) arrived_->run();
    }

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        bool present = target_ != nullptr;
        archive& present;
        if (!present) return;
        if constexpr (Archive::is_saving::value) {
            if (!target_->travels()) throw PicklingError(cannot_travel_text);
            archive << target_->factory();
            target_->save(archive);
        } else {
            arrived_ = find_entry<process_factory>(archive.template make<entry_id>())(archive);
        }
    }

private:
    std::shared_ptr<process_target> target_;
    std::shared_ptr<Process> arrived_; // the same, in a process that was not forked from the one that made it
};

/// What a worker does besides its work.
struct worker_routine {
    worker_task initializer;
    worker_task finalizer;
    WorkerLimits limits;

    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& initializer& finalizer& limits;
    }
};

class crew_worker : public SpawnableProcess<crew_worker> {
public:
    crew_worker() = default;
    crew_worker(ProcessOptions options, arena_offset board, worker_number number, worker_routine routine)
        : SpawnableProcess(std::move(options)), board_(board), number_(number), routine_(std::move(routine)) {}

    void run() override;

private:
    friend class boost::serialization::access;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& board_& number_& routine_;
    }

    arena_offset board_ = 0;
    worker_number number_ = 0;
    worker_routine routine_;
};

// ---- implementation

inline void crew_worker::run() {
    platform::ignore_interrupts(); // Ctrl-C is for the owner, which ends its call and its workers
    platform::obey_termination();
    auto& board = *arena::instance().at<crew_board>(board_);
    auto& slot = board.slot(number_);
    auto& state = process_state::instance();
    state.is_worker = true;
    state.processor_shares = board.processor_shares;
    try {
        apply_limits(routine_.limits, number_);
        routine_.initializer.run();
    } catch (...) {
        auto* const record =
            make_failure(0, std::current_exception(), {state.name, platform::current_process_id(), std::nullopt});
        slot.failure.store(arena::instance().offset_of(record), std::memory_order_release);
        slot.phase.store(worker_slot::failed, std::memory_order_release);
        board.call_owner();
        multiprocessing::exit(1);
    }
    slot.ready_since.store(platform::clock::now().time_since_epoch().count(), std::memory_order_relaxed);
    slot.phase.store(worker_slot::ready, std::memory_order_release);
    std::function<bool()> has_enough;
    if (routine_.limits.memory) has_enough = [this] { return exceeds_memory(routine_.limits); };
    batch_worker(board, number_, std::move(has_enough)).serve();
    routine_.finalizer.run(); // what it throws is reported as that of any process
    slot.phase.store(worker_slot::retired, std::memory_order_release);
    board.call_owner(); // nothing in the slot is touched from here on
}

} // namespace multiprocessing::inline v0::detail
