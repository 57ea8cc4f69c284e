#pragma once

#include <multiprocessing/detail/child.hpp>
#include <multiprocessing/detail/process_state.hpp>
#include <multiprocessing/util.hpp>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace multiprocessing::inline v0 {

/// Has to be the first line of `main` in a program that uses the start methods spawn or forkserver (on Windows and
/// macOS: in every program): a new process runs the same program again, and becomes the child here. It does not return
/// there. In any other process it does nothing.
///
/// Python: `multiprocessing.freeze_support()`, which only frozen programs on Windows need.
/// Throws     PicklingError  the program that was started is not the one that asked for it
/// Example    int main() { mp::freeze_support(); … }
inline void freeze_support();

/// Sets the program that is run for children by spawn and forkserver; it has to be a copy of this one. Empty: this
/// program itself.
///
/// Python: `multiprocessing.set_executable(executable)`.
inline void set_executable(std::string path);

// ---- implementation

namespace detail {

/// A process that was started without having passed freeze_support() would start its own children, and these theirs…
inline void require_bootstrapped() {
    if (!process_state::instance().bootstrapping) return;
    throw RuntimeError(
        "An attempt has been made to start a new process before the current process has finished its bootstrapping "
        "phase. This means that main() does not begin with multiprocessing::freeze_support();");
}

/// The two ends of a lifeline: the parent keeps the first and never writes to it; the child dies with it.
inline std::pair<unique_handle, unique_handle> make_lifeline() {
    std::error_code error;
    auto const [parents, childs] = platform::make_channel(error);
    if (error) throw OSError(error, "Process.start: the channel between parent and child");
    return {unique_handle(parents), unique_handle(childs)};
}

/// A record for a child that will run `role` with this message.
inline launch_record* make_launch_record(entry_id role, byte_sink const& message, launch_handles const& handles) {
    arena& memory = arena::instance();
    auto* const record = memory.create<launch_record>();
    record->role = role;
    try {
        record->message_size = message.size();
        if (message.size() != 0) {
            record->message = memory.allocate(message.size());
            std::memcpy(memory.at(record->message), message.data(), message.size());
        }
    } catch (...) {
        memory.destroy(record);
        throw;
    }
    for (auto const handle : handles.all()) record->handles[record->handle_count++] = handle_number(handle);
    return record;
}

inline void free_launch_record(launch_record* record) noexcept {
    arena& memory = arena::instance();
    if (record->message != 0) memory.deallocate(record->message, record->message_size);
    memory.destroy(record);
}

/// Starts this program again, which will find `record`. `lifeline` is the child's end.
inline platform::child_process start_this_program(launch_record* record, platform::native_handle lifeline) {
    arena& memory = arena::instance();
    child_message const message{memory.segment(), memory.size(), lifeline, memory.offset_of(record)};
    auto const& chosen = process_state::instance().executable;
    std::vector<platform::native_handle> inherited{memory.segment()};
    if (lifeline != platform::invalid_handle) inherited.push_back(lifeline);
    auto const parking = platform::parking_handles();
    inherited.insert(inherited.end(), parking.begin(), parking.end());
    for (std::uint64_t i = 0; i < record->handle_count; ++i) inherited.push_back(numbered_handle(record->handles[i]));
    std::error_code error;
    platform::program const program{
        chosen.empty() ? platform::executable() : chosen, {child_message::variable, message.text()}, inherited};
    auto const child = platform::start_program(program, error);
    if (error) throw OSError(error, "Process.start: starting " + program.executable);
    return child;
}

} // namespace detail

inline void freeze_support() {
    auto& message = detail::child_message::received();
    if (!message) return;
    detail::arena& memory = detail::arena::instance();
    auto& record = *memory.at<detail::launch_record>(message->record);
    std::error_code error;
    if (message->lifeline != platform::invalid_handle) platform::die_with(message->lifeline, error);
    message.reset();
    detail::process_state::instance().bootstrapping = false;
    std::vector<platform::native_handle> handles;
    for (std::uint64_t i = 0; i < record.handle_count; ++i)
        handles.push_back(detail::numbered_handle(record.handles[i]));
    detail::find_entry<detail::child_role>(record.role)(record, std::move(handles));
    platform::exit_process(0); // a role does not return
}

inline void set_executable(std::string path) { detail::process_state::instance().executable = std::move(path); }

} // namespace multiprocessing::inline v0
