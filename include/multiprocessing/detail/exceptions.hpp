#pragma once

#include <multiprocessing/config.hpp>
#include <multiprocessing/detail/archive.hpp>
#include <multiprocessing/detail/byte_sink.hpp>
#include <multiprocessing/detail/demangle.hpp>
#include <multiprocessing/detail/exception_state.hpp>
#include <multiprocessing/errors.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

namespace multiprocessing::inline v0 {

/// Makes exceptions of type E arrive from other processes as E, so that `catch (E&)` works. Does not block.
///
/// Python: what `pickle` does for every exception class.
///
/// E          a class that is not final and has a `serialize`, or a constructor from std::string that takes the text,
///            or a default constructor; what() of the arrived exception is in every case what() of the thrown one.
/// Safe from  any thread, any number of times, also before main; in a program that spawns, call it on the way to main
///            or first in main, because the process that catches is the one that has to know.
/// Differs    in C++ a type cannot be found by its name, so an exception of a type that is not registered arrives as
///            UnknownRemoteException, also if its base is a known type: catching it as the base would hide from the
///            handler that a part is lost. The types of <stdexcept> and of this library need no registration.
template <class E>
void register_exception();

namespace detail {

/// Where an exception was thrown.
struct throw_site {
    std::string process_name;
    std::int64_t pid = 0;
    std::optional<std::uint64_t> task_index;
};

/// Writes what `load_exception` needs. Throws nothing but std::bad_alloc. An exception that came from another process
/// itself keeps what is known about its origin.
inline void save_exception(byte_sink& sink, std::exception_ptr exception, throw_site const& where);

/// The exception as the type that was thrown and as RemoteError at once, or an UnknownRemoteException. Throws
/// ValueError if the bytes are damaged.
inline std::exception_ptr load_exception(std::span<std::byte const> bytes);

/// "type: what" and a line for every exception nested in it, for reports. Throws nothing but std::bad_alloc.
inline std::string describe_exception(std::exception_ptr exception);

} // namespace detail

// ---- implementation

template <class E>
void register_exception() {
    static_assert(
        std::is_class_v<E> && !std::is_final_v<E>,
        "multiprocessing: only a class that is not final can be registered as an exception");
    static_assert(
        detail::rebuildable<E>,
        "multiprocessing: this exception cannot be built again in another process. Give it a constructor "
        "from std::string, or a default constructor and a serialize member.");
    detail::registered_exceptions::add(detail::registered<E>);
}

namespace detail {

/// More nested exceptions than this are not reported.
inline constexpr std::size_t most_causes = 32;

/// What can be learned from one exception.
struct exception_summary {
    std::string type_name; // readable
    std::string message;
    exception_kind const* kind = nullptr; // how to build it again; null: not known
    std::exception_ptr nested;
    std::optional<RemoteError::Details> remote; // if it came from another process
};

inline std::string one_line(std::string const& type_name, std::string const& message) {
    return message.empty() ? type_name : type_name + ": " + message;
}

/// `throw_with_nested` throws a class of the standard library that derives from the one that the user wrote, which is
/// the one that counts. Its name is the only trace of it.
inline std::string without_nesting(std::string const& type_name) {
    for (std::string_view const wrapper : {"std::_Nested_exception<", "std::__nested<", "class std::_With_nested<"})
        if (type_name.starts_with(wrapper)) {
            std::string inner = type_name.substr(wrapper.size(), type_name.rfind('>') - wrapper.size());
            for (std::string_view const leftover : {" ", " const"}) // "Wrapper<A<B> >", "Wrapper<A const>"
                if (inner.ends_with(leftover)) inner.resize(inner.size() - leftover.size());
            return inner;
        }
    return type_name;
}

template <class Exception>
void summarise_class(exception_summary& summary, Exception const& exception) {
    std::type_info const& type = typeid(exception);
    summary.type_name = demangle(type.name());
    summary.kind = find_kind([&](exception_kind const& kind) { return kind.is(type.name()); });
    if (auto const* const nesting = dynamic_cast<std::nested_exception const*>(&exception)) {
        summary.nested = nesting->nested_ptr();
        if (summary.kind == nullptr) {
            summary.type_name = without_nesting(summary.type_name);
            summary.kind =
                find_kind([&](exception_kind const& kind) { return demangle(kind.type->name()) == summary.type_name; });
        }
    }
    if (auto const* const remote = dynamic_cast<RemoteError const*>(&exception))
        summary.remote = RemoteError::Details{
            remote->type_name(),
            remote->message(),
            remote->causes(),
            remote->process_name(),
            remote->pid(),
            remote->task_index()};
}

inline exception_summary summarise(std::exception_ptr const& exception) {
    exception_summary summary;
    if (!exception) {
        summary.type_name = "no exception";
        return summary;
    }
    try {
        std::rethrow_exception(exception);
    } catch (std::exception const& e) {
        summarise_class(summary, e);
        char const* const what = e.what();
        summary.message = what != nullptr ? what : "";
        // Its header is large, and nothing but the paths in the text is lost with this type.
        if (summary.kind == nullptr && summary.type_name == "std::filesystem::filesystem_error")
            summary.kind =
                find_kind([](exception_kind const& kind) { return *kind.type == typeid(std::system_error); });
    } catch (RemoteError const& e) {
        summarise_class(summary, e);
    } catch (std::nested_exception const& e) {
        summarise_class(summary, e);
    } catch (int number) {
        summary.type_name = "int";
        summary.message = std::to_string(number);
    } catch (char const* text) {
        summary.type_name = "char const*";
        summary.message = text != nullptr ? text : "";
    } catch (std::string const& text) {
        summary.type_name = "std::string";
        summary.message = text;
    } catch (...) {
        summary.type_name = "an unknown type";
        if (char const* const name = caught_type_name()) {
            summary.type_name = demangle(name);
            summary.kind = find_kind([&](exception_kind const& kind) { return kind.is(name); });
        }
    }
    return summary;
}

/// "type: what" of what is nested in an exception, outermost first.
inline std::vector<std::string> causes_of(exception_summary const& outermost) {
    std::vector<std::string> causes;
    std::exception_ptr next = outermost.nested;
    while (next && causes.size() < most_causes) {
        exception_summary const cause = summarise(next);
        if (cause.remote) {
            causes.push_back(one_line(cause.remote->type_name, cause.remote->message));
            causes.insert(causes.end(), cause.remote->causes.begin(), cause.remote->causes.end());
        } else {
            causes.push_back(one_line(cause.type_name, cause.message));
        }
        next = cause.nested;
    }
    if (causes.size() > most_causes) causes.resize(most_causes);
    return causes;
}

inline void save_exception(byte_sink& sink, std::exception_ptr exception, throw_site const& where) {
    exception_summary const summary = summarise(exception);
    std::string_view key;
    byte_buffer state; // apart, because a serialize function of the user may fail half-way
    if (summary.kind != nullptr) {
        try {
            output_archive archive(state);
            if (summary.kind->save(archive, exception)) key = summary.kind->type->name();
        } catch (std::bad_alloc const&) {
            throw;
        } catch (...) { // then it arrives as an unknown one
        }
    }

    output_archive archive(sink);
    archive << key << state.bytes();
    if (summary.remote)
        archive << *summary.remote;
    else
        archive << RemoteError::Details{
            summary.type_name, summary.message, causes_of(summary), where.process_name, where.pid, where.task_index};
}

inline std::exception_ptr load_exception(std::span<std::byte const> bytes) {
    input_archive archive(bytes);
    auto const key = archive.make<std::string>();
    auto const state = archive.make<std::vector<std::byte>>();
    auto details = archive.make<RemoteError::Details>();
    archive.expect_end();

    exception_kind const* const kind =
        key.empty() ? nullptr : find_kind([&](exception_kind const& candidate) { return candidate.is(key.c_str()); });
    if (kind != nullptr) {
        try {
            input_archive state_archive(state);
            return kind->load(state_archive, details);
        } catch (std::bad_alloc const&) {
            throw;
        } catch (...) { // a constructor of the user failed
        }
    }
    return std::make_exception_ptr(UnknownRemoteException(std::move(details)));
}

inline std::string describe_exception(std::exception_ptr exception) {
    exception_summary const summary = summarise(exception);
    std::string text;
    std::vector<std::string> causes;
    if (auto const& remote = summary.remote) {
        text = one_line(remote->type_name, remote->message);
        text += " (in process " + remote->process_name + ", pid " + std::to_string(remote->pid);
        if (remote->task_index) text += ", item " + std::to_string(*remote->task_index);
        text += ")";
        causes = remote->causes;
    } else {
        text = one_line(summary.type_name, summary.message);
        causes = causes_of(summary);
    }
    for (std::string const& cause : causes) text += "\n  caused by " + cause;
    return text;
}

} // namespace detail
} // namespace multiprocessing::inline v0
