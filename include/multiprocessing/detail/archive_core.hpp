#pragma once

#include <multiprocessing/detail/archive_traits.hpp>
#include <multiprocessing/detail/byte_sink.hpp>
#include <multiprocessing/errors.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include <boost/mpl/bool.hpp>

/// The two archives. They fulfil the Archive concept of Boost.Serialization, so that its headers and the `serialize`
/// functions written for it work here, and nothing has to be linked. What they write is for the same program on the
/// same machine; what they read is trusted in nothing.
namespace multiprocessing::inline v0::detail {

/// Sends operating-system handles beside a message, which carries only a token for each.
class handle_carrier {
public:
    virtual ~handle_carrier() = default;
    virtual std::uint64_t attach(std::intptr_t native_handle) = 0;
    virtual std::intptr_t take(std::uint64_t token) = 0;
};

/// How often a message will be loaded. Objects in shared memory count their references in flight by it.
enum class delivery { once, many };

/// Objects may be nested this deep: far more than sensible data, and a damaged message cannot exhaust the stack.
inline constexpr int deepest_nesting = 1000;

[[noreturn]] inline void throw_damaged_message() { throw ValueError("truncated or damaged message"); }

/// What both archives have.
class archive_base : private boost::serialization::multiprocessing_archive {
public:
    archive_base(archive_base const&) = delete;
    archive_base& operator=(archive_base const&) = delete;

    /// From now on handles travel by `carrier`; null: they cannot travel.
    void carry_handles(handle_carrier* carrier) noexcept { carrier_ = carrier; }
    /// Throws PicklingError if no carrier is set.
    handle_carrier& handles() const {
        if (carrier_ == nullptr) throw PicklingError("this kind of message cannot carry operating-system handles");
        return *carrier_;
    }

    void delivery_mode(delivery mode) noexcept { delivery_ = mode; }
    delivery delivery_mode() const noexcept { return delivery_; }

    /// An object that has to live as long as the message is loaded, of one that is loaded often.
    void keep_alive(std::shared_ptr<void> object) { kept_alive_.push_back(std::move(object)); }
    std::vector<std::shared_ptr<void>>& kept_alive() noexcept { return kept_alive_; }

    // ---- asked for by functions written for Boost.Serialization

    unsigned int get_flags() const noexcept { return 0; }
    template <class Version = boost::serialization::library_version_type>
    Version get_library_version() const {
        return Version(18u); // the format of the Boost headers whose functions run here: 1.74
    }
    template <class T>
    void const* register_type(T const* = nullptr) noexcept {
        return nullptr;
    }
    /// An object that lives as long as the archive, created at the first call: one for each type and `id`.
    template <class Helper>
    Helper& get_helper(void const* id = nullptr) {
        for (helper* h = helpers_.get(); h != nullptr; h = h->next.get())
            if (h->id == id && *h->type == typeid(Helper)) return *static_cast<Helper*>(h->object.get());
        auto const object = std::make_shared<Helper>();
        helpers_ = std::make_unique<helper>(helper{id, &typeid(Helper), object, std::move(helpers_)});
        return *object;
    }

protected:
    archive_base() = default;
    ~archive_base() = default;

    /// Counts how deep objects are nested while one is saved or loaded.
    class nesting {
    public:
        explicit nesting(int& depth) noexcept : depth_(depth) { ++depth_; }
        ~nesting() { --depth_; }
        nesting(nesting const&) = delete;
        nesting& operator=(nesting const&) = delete;

    private:
        int& depth_;
    };

    int depth_ = 0;

private:
    struct helper {
        void const* id;
        std::type_info const* type;
        std::shared_ptr<void> object;
        std::unique_ptr<helper> next;
    };

    delivery delivery_ = delivery::once;
    std::vector<std::shared_ptr<void>> kept_alive_;
    handle_carrier* carrier_ = nullptr;
    std::unique_ptr<helper> helpers_;
};

/// Writes objects into a sink.
class output_archive : public archive_base {
public:
    using is_saving = boost::mpl::bool_<true>;
    using is_loading = boost::mpl::bool_<false>;

    explicit output_archive(byte_sink& sink) noexcept : sink_(sink) {}

    template <class T>
    output_archive& operator<<(T const& value) {
        save(value);
        return *this;
    }
    template <class T>
    output_archive& operator&(T const& value) {
        save(value);
        return *this;
    }

    template <class T>
    void save(T const& value);
    /// The number of elements that follow.
    void save_size(std::size_t count) { save(std::uint64_t{count}); }
    /// The number of elements and the elements; `load_elements` is the counterpart.
    template <class Range>
    void save_elements(Range const& range, std::size_t count);
    void save_binary(void const* data, std::size_t size) { sink_.write(data, size); }

private:
    template <class T>
    void save_by_serialize(T& value);

    byte_sink& sink_;
};

/// Reads objects from bytes. Every function throws ValueError if they are not what an output archive wrote.
class input_archive : public archive_base {
public:
    using is_saving = boost::mpl::bool_<false>;
    using is_loading = boost::mpl::bool_<true>;

    explicit input_archive(std::span<std::byte const> bytes) noexcept
        : position_(bytes.data()), end_(bytes.data() + bytes.size()) {}

    template <class T>
    input_archive& operator>>(T&& value) {
        load(std::forward<T>(value));
        return *this;
    }
    template <class T>
    input_archive& operator&(T&& value) {
        load(std::forward<T>(value));
        return *this;
    }

    /// Into an existing object.
    template <class T>
    void load(T&& value);
    /// As a new object.
    template <class T>
    T make();
    /// The number of elements that follow; each takes `smallest` bytes or more.
    std::size_t load_size(std::size_t smallest = 1);
    /// Calls `load_element` for each of the elements.
    template <class Function>
    void load_elements(std::size_t count, Function load_element);
    void load_binary(void* data, std::size_t size) {
        if (size != 0) std::memcpy(data, take(size), size);
    }

    /// The next bytes, which stay where they are.
    std::byte const* take(std::size_t size) {
        if (remaining() < size) throw_damaged_message();
        return std::exchange(position_, position_ + size);
    }
    std::size_t remaining() const noexcept { return static_cast<std::size_t>(end_ - position_); }
    /// Throws ValueError if there is more.
    void expect_end() const {
        if (position_ != end_) throw_damaged_message();
    }

    // ---- asked for by functions written for Boost.Serialization: nothing is tracked by address here

    void reset_object_address(void const*, void const*) noexcept {}
    void next_object_pointer(void*) noexcept {}
    void delete_created_pointers() noexcept {}

private:
    template <class T>
    void load_by_serialize(T& value);

    std::byte const* position_;
    std::byte const* end_;
};

// ---- implementation

/// Says why a type cannot travel, at compile time.
template <class T>
consteval void explain_saving() {
    static_assert(
        !is_address<T>,
        "multiprocessing: a raw pointer cannot travel to another process, because what it points to stays "
        "here. Send the value itself, a std::string, a container, a std::unique_ptr or a std::shared_ptr.");
    static_assert(
        is_address<T> || can_save<T>(),
        "multiprocessing: this type cannot travel to another process. Give it a member function "
        "`template <class Archive> void serialize(Archive& ar, unsigned) { ar & member1 & member2; }` or a "
        "free one in its namespace. In a final class the member must be public.");
}

template <class T>
consteval void explain_loading() {
    static_assert(
        !is_address<T>,
        "multiprocessing: a raw pointer cannot travel to another process, because what it points to stays "
        "here. Send the value itself, a std::string, a container, a std::unique_ptr or a std::shared_ptr.");
    static_assert(
        is_address<T> || can_load_into<T>(),
        "multiprocessing: this type cannot arrive from another process. A view (std::span, "
        "std::string_view) arrives as a std::vector or std::string; another type needs a member function "
        "`template <class Archive> void serialize(Archive& ar, unsigned) { ar & member1 & member2; }`.");
}

template <class T>
void output_archive::save(T const& value) {
    using type = std::remove_cv_t<T>;
    explain_saving<type>();
    if constexpr (bitwise<type> && std::is_empty_v<type>) {
        constexpr std::byte nothing[sizeof(type)]{}; // what its bytes are is left to chance
        sink_.write(nothing, sizeof nothing);
    } else if constexpr (bitwise<type> || std::is_same_v<type, bool>) {
        sink_.write(&value, sizeof(type));
    } else if constexpr (has_codec<type>) {
        codec<type>::save(*this, value);
    } else if constexpr (std::is_array_v<type>) {
        for (auto const& element : value) save(element);
    } else if constexpr (can_save<type>()) {
        save_by_serialize(const_cast<type&>(value)); // one function serves both directions, so it cannot be const
    }
}

template <class T>
void output_archive::save_by_serialize(T& value) {
    nesting const level(depth_);
    if (depth_ > deepest_nesting) throw PicklingError("objects are nested too deep to travel");
    constexpr unsigned int version = class_version<T>();
    if constexpr (version != 0) save(version);
    if constexpr (free_serialize::exists<output_archive, T>)
        free_serialize::call(*this, value, version);
    else
        boost::serialization::access::serialize(*this, value, version);
}

template <class Range>
void output_archive::save_elements(Range const& range, std::size_t count) {
    save_size(count);
    std::size_t const before = sink_.size();
    for (auto const& element : range) save(element);
    // Elements without content: with a byte for each, the reader can check the count before it creates them.
    for (std::size_t written = sink_.size() - before; written < count; ++written) save(std::byte{});
}

template <class T>
void input_archive::load(T&& value) {
    using type = std::remove_cvref_t<T>;
    explain_loading<type>();
    static_assert(
        !std::is_const_v<std::remove_reference_t<T>> || is_boost_wrapper<type>,
        "multiprocessing: nothing can be loaded into a const object");
    auto& target = const_cast<type&>(value);
    if constexpr (bitwise<type>) {
        std::memcpy(static_cast<void*>(&target), take(sizeof(type)), sizeof(type));
    } else if constexpr (std::is_same_v<type, bool>) {
        target = make<bool>();
    } else if constexpr (has_codec<type>) {
        codec<type>::load(*this, target);
    } else if constexpr (std::is_array_v<type>) {
        for (auto& element : target) load(element);
    } else if constexpr (can_load_into<type>()) {
        load_by_serialize(target);
    }
}

template <class T>
T input_archive::make() {
    using type = std::remove_cv_t<T>;
    if constexpr (std::is_same_v<type, bool>) {
        auto const byte = make<std::uint8_t>();
        if (byte > 1) throw_damaged_message();
        return byte != 0;
    } else if constexpr (bitwise<type>) {
        struct bytes {
            std::byte content[sizeof(type)];
        } raw;
        std::memcpy(&raw, take(sizeof(type)), sizeof(type));
        return std::bit_cast<type>(raw);
    } else if constexpr (has_make<type>) {
        return codec<type>::make(*this);
    } else {
        explain_loading<type>();
        static_assert(
            !can_load_into<type>() || loadable<type>,
            "multiprocessing: a type with its own serialize needs a public default constructor, and must be "
            "movable, to arrive in another process");
        type value{};
        load(value);
        return value;
    }
}

template <class T>
void input_archive::load_by_serialize(T& value) {
    nesting const level(depth_);
    if (depth_ > deepest_nesting) throw_damaged_message();
    unsigned int version = class_version<T>();
    if constexpr (class_version<T>() != 0) {
        version = make<unsigned int>();
        if (version > class_version<T>()) throw_damaged_message();
    }
    if constexpr (free_serialize::exists<input_archive, T>)
        free_serialize::call(*this, value, version);
    else
        boost::serialization::access::serialize(*this, value, version);
}

inline std::size_t input_archive::load_size(std::size_t smallest) {
    auto const count = make<std::uint64_t>();
    if (count > remaining() / smallest) throw_damaged_message();
    return static_cast<std::size_t>(count);
}

template <class Function>
void input_archive::load_elements(std::size_t count, Function load_element) {
    std::size_t const before = remaining();
    for (std::size_t i = 0; i != count; ++i) load_element();
    std::size_t const read = before - remaining();
    if (read < count) // the bytes that stand for elements without content
        take(count - read);
}

} // namespace multiprocessing::inline v0::detail
