#include <multiprocessing/platform/channel.hpp>
#include <multiprocessing/platform/clock.hpp>
#include <multiprocessing/platform/error.hpp>
#include <multiprocessing/platform/file.hpp>
#include <multiprocessing/platform/handle.hpp>
#include <multiprocessing/platform/handle_passing.hpp>
#include <multiprocessing/platform/limits.hpp>
#include <multiprocessing/platform/liveness.hpp>
#include <multiprocessing/platform/memory.hpp>
#include <multiprocessing/platform/module.hpp>
#include <multiprocessing/platform/park.hpp>
#include <multiprocessing/platform/poll.hpp>
#include <multiprocessing/platform/process.hpp>
#include <multiprocessing/platform/random.hpp>
#include <multiprocessing/platform/self.hpp>
#include <multiprocessing/platform/socket.hpp>
#include <multiprocessing/platform/stream.hpp>
#include <multiprocessing/platform/terminal.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <array>

namespace platform = multiprocessing::platform;

namespace {

using AnyFunction = void (*)();

template <class Function>
AnyFunction any(Function* function) {
    return reinterpret_cast<AnyFunction>(function);
}

} // namespace

// A function that a port lacks is a mistake of the compiler or the linker here, even if nothing uses it yet.
TEST_CASE("every function of every contract is there") {
    std::array const surface{
        any(&platform::close),
        any(&platform::duplicate),
        any(&platform::last_error),
        any(&platform::signal_name),
        any(&platform::relax),
        any(&platform::yield),
        any(&platform::ticks),
        any(&platform::ticks_per_microsecond),
        any(&platform::random_bytes),
        any(&platform::current_process_id),
        any(&platform::current_thread_id),
        any(&platform::executable),
        any(&platform::cpu_count),
        any(&platform::process_cpu_count),
        any(&platform::take_environment),
        any(&platform::locate),
        any(&platform::resolve),
        any(&platform::make_channel),
        any(&platform::write_all),
        any(&platform::read_all),
        any(&platform::read_some),
        any(&platform::poll),
        any(&platform::fork_process),
        any(&platform::start_program),
        any(&platform::wait_process),
        any(&platform::terminate_process),
        any(&platform::kill_process),
        any(&platform::interrupt_process),
        any(&platform::exit_process),
        any(&platform::ignore_interrupts),
        any(&platform::close_standard_input),
        any(&platform::at_fork_in_child),
        any(&platform::send_handles),
        any(&platform::receive_handles),
        any(&platform::page_size),
        any(&platform::create_segment),
        any(&platform::map_segment),
        any(&platform::unmap_segment),
        any(&platform::commit_segment),
        any(&platform::discard_segment),
        any(&platform::park),
        any(&platform::unpark),
        any(&platform::parking_bytes),
        any(&platform::open_parking),
        any(&platform::parking_handles),
        any(&platform::take_seat),
        any(&platform::seat_is_taken),
        any(&platform::die_with),
        any(&platform::readiness_of),
        any(&platform::listen_at),
        any(&platform::accept_connection),
        any(&platform::connect_to),
        any(&platform::make_local_path),
        any(&platform::remove_local_path),
        any(&platform::create_file),
        any(&platform::limit_private_memory),
        any(&platform::limit_cpu_time),
        any(&platform::add_niceness),
        any(&platform::usable_processors),
        any(&platform::run_only_on),
        any(&platform::limit_library_threads),
        any(&platform::resident_memory),
        any(&platform::terminal_width),
        any(&platform::write_stream),
        any(&platform::read_stream),
        any(&platform::publish_handle),
        any(&platform::take_published_handle)};
    CHECK(std::count(surface.begin(), surface.end(), nullptr) == 0);
}
