#pragma once

#include <multiprocessing/config.hpp>
#include <multiprocessing/detail/archive.hpp>
#include <multiprocessing/errors.hpp>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <variant>
#include <vector>

#if __has_include(<cxxabi.h>)
#    include <cxxabi.h>
#endif

/// Which exception types can be built again in another process, and from what.
namespace multiprocessing::inline v0::detail {

/// An E that came from another process: caught as E, its bases and RemoteError.
template <class E>
class remote final : public E, public RemoteError {
public:
    remote(E original, Details details) : E(std::move(original)), RemoteError(std::move(details)) {}
};
template <std::derived_from<std::exception> E>
class remote<E> final : public E, public RemoteError {
public:
    remote(E original, Details details) : E(std::move(original)), RemoteError(std::move(details)) {}
    /// The text of the original, whatever E would make of what it was built from here.
    char const* what() const noexcept override { return RemoteError::message().c_str(); }
};

template <>
struct codec<RemoteError::Details> {
    static constexpr bool saves = true, loads = true;
    static void save(output_archive& archive, RemoteError::Details const& details) {
        archive << details.type_name << details.message << details.causes;
        archive << details.process_name << details.pid << details.task_index;
    }
    static void load(input_archive& archive, RemoteError::Details& details) {
        archive >> details.type_name >> details.message >> details.causes;
        archive >> details.process_name >> details.pid >> details.task_index;
    }
};

// ---- the state of one type: what is needed besides the text

template <class E>
concept with_error_code = std::derived_from<E, std::system_error> && std::constructible_from<E, std::error_code>;
template <class E>
concept with_text = std::constructible_from<E, std::string const&>;

template <class E>
concept rebuildable =
    std::move_constructible<E> && (with_error_code<E> || travels<E> || with_text<E> || std::default_initializable<E>);

/// Whether it succeeded; it may also throw.
template <class E>
bool save_state(output_archive& archive, E const& exception) {
    if constexpr (travels<E>) {
        archive << exception;
    } else if constexpr (with_error_code<E>) {
        std::error_code const& code = exception.code();
        bool const is_generic = code.category() == std::generic_category();
        if (!is_generic && code.category() != std::system_category()) return false; // a category is an address
        archive << is_generic << code.value();
    } else {
        static_assert(rebuildable<E>);
    }
    return true;
}

template <class E>
E load_state(input_archive& archive, std::string const& message) {
    if constexpr (travels<E>) {
        return archive.make<E>();
    } else if constexpr (with_error_code<E>) {
        bool const is_generic = archive.make<bool>();
        return E(std::error_code(archive.make<int>(), is_generic ? std::generic_category() : std::system_category()));
    } else if constexpr (with_text<E>) {
        return E(message);
    } else {
        return E();
    }
}

template <>
struct codec<BufferTooShort> {
    static constexpr bool saves = true, loads = true;
    static void save(output_archive& archive, BufferTooShort const& error) { archive << error.message(); }
    static BufferTooShort make(input_archive& archive) {
        return BufferTooShort(archive.make<std::vector<std::byte>>());
    }
    static void load(input_archive& archive, BufferTooShort& error) { error = make(archive); }
};

template <>
struct codec<MaybeEncodingError> {
    static constexpr bool saves = true, loads = true;
    static void save(output_archive& archive, MaybeEncodingError const& error) {
        archive << error.exc() << error.value();
    }
    static MaybeEncodingError make(input_archive& archive) {
        auto const exc = archive.make<std::string>();
        return MaybeEncodingError(exc, archive.make<std::string>());
    }
    static void load(input_archive& archive, MaybeEncodingError& error) { error = make(archive); }
};

template <>
struct codec<WorkerDiedError> {
    static constexpr bool saves = true, loads = true;
    static void save(output_archive& archive, WorkerDiedError const& error) {
        archive << error.pid() << error.exitcode() << error.signal_name() << error.task_index() << error.attempt();
    }
    static WorkerDiedError make(input_archive& archive) {
        auto const pid = archive.make<std::int64_t>();
        auto const exitcode = archive.make<int>();
        auto signal_name = archive.make<std::string>();
        auto const task_index = archive.make<std::optional<std::size_t>>();
        return WorkerDiedError(pid, exitcode, std::move(signal_name), task_index, archive.make<unsigned>());
    }
    static void load(input_archive& archive, WorkerDiedError& error) { error = make(archive); }
};

// ---- the types that are known

/// How exceptions of one type travel.
struct exception_kind {
    std::type_info const* type;
    std::type_info const* remote_type;
    /// Writes the state; false if that is not possible.
    bool (*save)(output_archive&, std::exception_ptr const&);
    std::exception_ptr (*load)(input_archive&, RemoteError::Details const&);

    /// `name` is a type_info::name(): of the type itself, or of how it arrives from another process.
    bool is(char const* name) const noexcept {
        return std::strcmp(type->name(), name) == 0 || std::strcmp(remote_type->name(), name) == 0;
    }
};

/// Throwing makes the compiler work less than std::make_exception_ptr does.
template <class E>
std::exception_ptr arrived(E original, RemoteError::Details const& details) {
    try {
        throw remote<E>(std::move(original), details);
    } catch (...) {
        return std::current_exception();
    }
}

template <class E>
bool save_by_type(output_archive& archive, std::exception_ptr const& exception) {
    try {
        std::rethrow_exception(exception);
    } catch (E const& e) {
        return save_state(archive, e);
    } catch (...) {
        return false; // another type with the same readable name
    }
}
template <class E>
std::exception_ptr load_by_type(input_archive& archive, RemoteError::Details const& details) {
    E original = load_state<E>(archive, details.message);
    archive.expect_end();
    return arrived(std::move(original), details);
}

inline bool save_nothing(output_archive&, std::exception_ptr const&) { return true; }
template <class E>
std::exception_ptr load_text(input_archive&, RemoteError::Details const& details) {
    return arrived(E(details.message), details);
}
template <class E>
std::exception_ptr load_nothing(input_archive&, RemoteError::Details const& details) {
    return arrived(E(), details);
}

template <class E>
inline constexpr exception_kind kind_of{&typeid(E), &typeid(remote<E>), save_by_type<E>, load_by_type<E>};
// The same for types that are known to have no more than a text, or nothing; they cost the compiler less.
template <class E>
inline constexpr exception_kind kind_with_text{&typeid(E), &typeid(remote<E>), save_nothing, load_text<E>};
template <class E>
inline constexpr exception_kind kind_without_state{&typeid(E), &typeid(remote<E>), save_nothing, load_nothing<E>};

inline constexpr exception_kind const* known_exceptions[] = {
    // std
    &kind_without_state<std::exception>,
    &kind_with_text<std::logic_error>,
    &kind_with_text<std::invalid_argument>,
    &kind_with_text<std::domain_error>,
    &kind_with_text<std::length_error>,
    &kind_with_text<std::out_of_range>,
    &kind_with_text<std::runtime_error>,
    &kind_with_text<std::range_error>,
    &kind_with_text<std::overflow_error>,
    &kind_with_text<std::underflow_error>,
    &kind_of<std::system_error>,
    &kind_without_state<std::bad_alloc>,
    &kind_without_state<std::bad_array_new_length>,
    &kind_without_state<std::bad_cast>,
    &kind_without_state<std::bad_typeid>,
    &kind_without_state<std::bad_exception>,
    &kind_without_state<std::bad_function_call>,
    &kind_without_state<std::bad_optional_access>,
    &kind_without_state<std::bad_variant_access>,
    &kind_without_state<std::bad_weak_ptr>,
    // errors.hpp
    &kind_with_text<ValueError>,
    &kind_with_text<TypeError>,
    &kind_with_text<AssertionError>,
    &kind_with_text<RuntimeError>,
    &kind_with_text<NotImplementedError>,
    &kind_of<OSError>,
    &kind_with_text<EOFError>,
    &kind_with_text<PicklingError>,
    &kind_without_state<Empty>,
    &kind_without_state<Full>,
    &kind_without_state<BrokenBarrierError>,
    &kind_with_text<ProcessError>,
    &kind_with_text<TimeoutError>,
    &kind_of<BufferTooShort>,
    &kind_with_text<AuthenticationError>,
    &kind_with_text<OwnerDiedError>,
    &kind_of<MaybeEncodingError>,
    &kind_with_text<futures::BrokenProcessPool>,
    &kind_of<WorkerDiedError>};

/// The types that the user registered: a list that only grows. It has no lock, because a lock that another thread holds
/// during a fork stays locked in the child for ever.
class registered_exceptions {
public:
    struct node {
        exception_kind const* kind;
        std::atomic<bool> is_listed = false;
        node const* next = nullptr;
    };

    static void add(node& added) noexcept {
        if (added.is_listed.exchange(true)) return;
        added.next = first_.load(std::memory_order_relaxed);
        while (!first_.compare_exchange_weak(added.next, &added, std::memory_order_release)) {
        }
    }
    static node const* first() noexcept { return first_.load(std::memory_order_acquire); }

private:
    MULTIPROCESSING_ONE_PER_PROCESS static inline constinit std::atomic<node const*> first_ = nullptr;
};

template <class E>
inline constinit registered_exceptions::node registered{&kind_of<E>};

/// The first known type for which `matches` is true, or null.
template <class Predicate>
exception_kind const* find_kind(Predicate matches) {
    for (auto const* const kind : known_exceptions)
        if (matches(*kind)) return kind;
    for (auto const* node = registered_exceptions::first(); node != nullptr; node = node->next)
        if (matches(*node->kind)) return node->kind;
    return nullptr;
}

/// type_info::name() of what is being caught, also if it is no class; null if the compiler does not tell.
inline char const* caught_type_name() noexcept {
#if __has_include(<cxxabi.h>)
    if (auto const* const type = abi::__cxa_current_exception_type()) return type->name();
#endif
    return nullptr;
}

} // namespace multiprocessing::inline v0::detail
