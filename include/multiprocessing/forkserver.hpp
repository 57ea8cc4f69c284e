#pragma once

#include <multiprocessing/detail/exceptions.hpp>
#include <multiprocessing/detail/made_once.hpp>
#include <multiprocessing/platform/handle_passing.hpp>
#include <multiprocessing/spawn.hpp>

#include <cstdio>
#include <exception>
#include <mutex>
#include <utility>
#include <vector>

namespace multiprocessing::inline v0 {

/// Functions that the fork server calls once when it starts: what they load is there in every child from the beginning.
/// Has no effect on a server that runs already. One that throws is reported on standard error, no more.
///
/// Python: `multiprocessing.set_forkserver_preload(module_names)`.
inline void set_forkserver_preload(std::vector<void (*)()> functions);

// ---- implementation

namespace detail {

/// This process' connection to the fork server: a small process, started from this program, without threads and without
/// this one's memory, that forks children on request. Children inherit the connection; it ends when nobody has it.
class fork_server {
public:
    MULTIPROCESSING_ONE_PER_PROCESS static fork_server& instance() {
        static constinit made_once<fork_server> only;
        return only.get();
    }

    /// Has the server fork a child for the record. `lifeline` is the child's end. Returns when the child exists.
    /// A server that has died is replaced.
    void start(child_state& child, launch_record& record, platform::native_handle lifeline);

    void preload(std::vector<void (*)()> functions) {
        std::scoped_lock const guard(mutex_);
        preload_ = std::move(functions);
    }

    /// The process id of the server, 0 if there is none. For tests and for the curious.
    platform::process_id pid() const noexcept { return server_.pid(); }

    /// Lets go of the server; the next start makes a new one.
    void stop() noexcept;

    void begin_child() noexcept { new (&mutex_) std::mutex; }

private:
    struct greeting; // what a new server and its maker tell each other

    void ensure();
    [[noreturn]] static void serve(launch_record& record, std::vector<platform::native_handle> handles);

    std::mutex mutex_;
    std::vector<void (*)()> preload_;
    unique_handle requests_;
    participant server_;
    platform::child_process process_; // if this process started it
    platform::process_id starter_ = 0;
};

/// Becomes the child that the record describes: what both the server's children and spawned programs do.
[[noreturn]] inline void become_forked_child(
    launch_record& record, platform::native_handle lifeline, std::vector<platform::native_handle> handles) {
    std::error_code error;
    platform::die_with(lifeline, error);
    find_entry<child_role>(record.role)(record, std::move(handles));
    platform::exit_process(0);
}

struct fork_server::greeting {
    std::atomic<std::uint64_t> server{0}; // its participant
    event_count changed{};
    std::atomic<bool> settled{false}; // the server does not touch this any more
};

inline void fork_server::stop() noexcept {
    std::scoped_lock const guard(mutex_);
    requests_.reset();
    if (starter_ == platform::current_process_id() && process_.pid != 0) {
        // It ends at once, unless somebody else has inherited the connection and goes on using it.
        platform::wait_process(process_, platform::clock::now() + std::chrono::milliseconds(500));
        platform::close(process_.sentinel);
    }
    process_ = {};
    server_ = {};
}

inline void fork_server::ensure() {
    if (server_ && server_.is_alive()) return;
    requests_.reset();
    if (starter_ == platform::current_process_id() && process_.pid != 0) {
        platform::wait_process(process_, platform::never); // it is dead, and ours to bury
        process_ = {};
    }
    std::error_code error;
    auto const [ours, servers] = platform::make_channel(error);
    if (error) throw OSError(error, "Process.start: the channel to the fork server");
    unique_handle mine(ours);
    unique_handle its(servers);
    auto const shared_greeting = std::shared_ptr<greeting>(
        arena::instance().create<greeting>(), [](greeting* object) { arena::instance().destroy(object); });
    byte_buffer message;
    {
        output_archive archive(message);
        archive << arena::instance().offset_of(shared_greeting.get());
        std::vector<platform::module_place> places;
        for (auto* const function : preload_) places.push_back(place_of_code(reinterpret_cast<void const*>(function)));
        archive << places;
    }
    launch_handles handles;
    handles.attach(static_cast<std::intptr_t>(handle_number(its.get())));
    auto const record = std::shared_ptr<launch_record>(
        make_launch_record(identify<&fork_server::serve>(), message, handles), free_launch_record);
    // Without a lifeline: the server itself watches the request channel, and lives as long as anybody may ask.
    process_ = start_this_program(record.get(), platform::invalid_handle);
    starter_ = platform::current_process_id();
    its.reset();
    for (;;) {
        auto& word = shared_greeting->server;
        if (shared_greeting->changed.await(
                [&] { return word.load(std::memory_order_acquire) != 0; }, platform::clock::now() + longest_nap)) {
            requests_ = std::move(mine); // first: another thread may fork in between
            server_ = participant(word.load(std::memory_order_acquire));
            break;
        }
        if (auto const status = platform::wait_process(process_, platform::deadline::min())) {
            process_ = {};
            throw RuntimeError(
                "Process.start: the fork server ended at once, with exit code " + std::to_string(*status) +
                ". Does main() begin with multiprocessing::freeze_support()?");
        }
    }
    while (!shared_greeting->settled.load(std::memory_order_acquire) && server_.is_alive()) platform::yield();
}

inline void fork_server::start(child_state& child, launch_record& record, platform::native_handle lifeline) {
    std::scoped_lock const guard(mutex_);
    for (int attempt = 0;; ++attempt) {
        ensure();
        arena_offset const position = arena::instance().offset_of(&record);
        std::vector<platform::native_handle> handles{lifeline};
        for (std::uint64_t i = 0; i < record.handle_count; ++i) handles.push_back(numbered_handle(record.handles[i]));
        std::error_code error;
        platform::send_handles(requests_.get(), std::as_bytes(std::span(&position, 1)), handles, server_.pid(), error);
        if (!error) {
            auto const answered = [&] { return record.pid.load(std::memory_order_acquire) != 0; };
            while (!record.changed.await(answered, platform::clock::now() + longest_nap) && server_.is_alive()) {
            }
            if (answered()) break;
            error = std::make_error_code(std::errc::broken_pipe);
        }
        if (server_.is_alive() || attempt == 2) throw OSError(error, "Process.start: asking the fork server");
    }
    auto const pid = record.pid.load(std::memory_order_acquire);
    if (pid < 0) {
        record.await_settled(server_);
        throw OSError({static_cast<int>(-pid), std::generic_category()}, "Process.start: fork in the fork server");
    }
    child.started_by(server_, pid);
}

inline void fork_server::serve(launch_record& record, std::vector<platform::native_handle> handles) {
    struct running_child {
        platform::child_process process;
        launch_record* record;
    };
    platform::native_handle const requests = handles.at(0);
    bool const interruptible = platform::ignore_interrupts();
    arena& memory = arena::instance();
    {
        input_archive archive({memory.at(record.message), static_cast<std::size_t>(record.message_size)});
        auto& hello = *memory.at<greeting>(archive.make<arena_offset>());
        for (auto const& place : archive.make<std::vector<platform::module_place>>()) {
            try {
                reinterpret_cast<void (*)()>(const_cast<void*>(code_at(place)))();
            } catch (...) { // a hint, not a condition
                auto const text = describe_exception(std::current_exception());
                std::fprintf(stderr, "multiprocessing: a function to preload failed:\n%s\n", text.c_str());
            }
        }
        flush_standard_streams(); // or every child would write it again
        hello.server.store(participant::self().word(), std::memory_order_release);
        hello.changed.notify_all(); // the record is gone from here on
        hello.settled.store(true, std::memory_order_release);
    }
    std::vector<running_child> all;
    std::vector<platform::native_handle> watched;
    for (;;) {
        watched.assign(1, requests);
        bool blind = false; // a child without a sentinel has to be asked
        for (auto const& child : all) {
            if (child.process.sentinel != platform::invalid_handle)
                watched.push_back(child.process.sentinel);
            else
                blind = true;
        }
        auto const ready = std::make_unique<bool[]>(watched.size());
        auto const until = blind ? platform::clock::now() + std::chrono::milliseconds(5) : platform::never;
        std::error_code error;
        platform::poll(watched, {ready.get(), watched.size()}, until, error);
        std::erase_if(all, [](running_child& child) {
            auto const status = platform::wait_process(child.process, platform::deadline::min());
            if (status) child.record->report(*status);
            return status.has_value();
        });
        if (!ready[0]) continue;
        arena_offset position = 0;
        platform::native_handle received[platform::handles_per_message];
        auto const message =
            platform::receive_handles(requests, std::as_writable_bytes(std::span(&position, 1)), received, error);
        if (error == std::errc::too_many_files_open && position != 0) { // the request came, its handles did not
            memory.at<launch_record>(position)->refuse(error);
            continue;
        }
        if (error || message.bytes != sizeof position || message.handles == 0) platform::exit_process(0);
        auto& request = *memory.at<launch_record>(position);
        auto const child = platform::fork_process(error);
        if (!error && child.pid == 0) {
            platform::close(requests);
            for (auto const& sibling : all) platform::close(sibling.process.sentinel);
            if (interruptible) platform::obey_interrupts();
            become_forked_child(request, received[0], {received + 1, received + message.handles});
        }
        for (std::size_t i = 0; i < message.handles; ++i) platform::close(received[i]);
        if (error) {
            request.refuse(error);
            continue;
        }
        all.push_back({child, &request});
        request.pid.store(child.pid, std::memory_order_release);
        request.changed.notify_all();
    }
}

} // namespace detail

inline void set_forkserver_preload(std::vector<void (*)()> functions) {
    detail::fork_server::instance().preload(std::move(functions));
}

} // namespace multiprocessing::inline v0
