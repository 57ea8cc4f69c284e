#pragma once

#include <multiprocessing/detail/fork_generation.hpp>
#include <multiprocessing/detail/shared_object.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/platform/named_memory.hpp>
#include <multiprocessing/platform/random.hpp>
#include <multiprocessing/util.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <ostream>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace multiprocessing::inline v0 {

/// How a named block is created.
struct SharedMemoryOptions {
    bool track = true;   ///< remove the name when this process ends normally, if nobody has done so before
    bool reserve = true; ///< put memory behind all of it now: or a full /dev/shm ends who touches it with SIGBUS
};

/// A block of bytes that several processes see. Copies share the block.
///
/// With a name, any process of the machine can attach to it, a Python program too: names, sizes and contents are CPython's.
/// Without one it lies in the memory of this process tree, is known to those it is handed to (as an argument, in a queue,
/// by a fork), and leaves nothing behind whatever dies.
///
///     auto block = mp::SharedMemory::create(1024, "pictures");      // here
///     auto block = mp::SharedMemory::attach("pictures");            // elsewhere
///
/// Python: `multiprocessing.shared_memory.SharedMemory`. Differs:
///  - Without a name there is no name; Python makes one up. `SharedMemory::new_name()` does that here.
///  - Who attaches never removes the block. A Python program that attaches with track=True, the default there, removes it
///    when it ends: let it use track=False (3.13), or see docs/python-to-cpp.md.
///  - A name whose creator is killed stays, as there is no tracker process; unlink(name) removes it.
///
/// Safe from  any process; what is written to the bytes needs a lock, as always.
/// Example    examples/24_shared_memory_python.cpp
class SharedMemory {
public:
    /// A block of `size` zero bytes, at least 1. Does not block.
    ///
    /// Python: `SharedMemory(name, create=True, size=size)`.
    /// Throws     ValueError  size is below 1, or the name contains a zero byte;
    ///            OSError     file_exists: the name is taken; no_space_on_device: no memory is left; or the system refused;
    ///            std::bad_alloc  without a name: no memory is left
    static SharedMemory create(std::int64_t size, std::string name = {}, SharedMemoryOptions options = {});

    /// The block of this name. Python: `SharedMemory(name)`.
    /// Throws     ValueError  the name is empty or contains a zero byte;  OSError  no_such_file_or_directory, or the system
    ///            refused
    static SharedMemory attach(std::string name);

    /// A name that nobody has, by all likelihood: CPython's prefix and eight digits.
    static std::string new_name();

    /// Removes a name, as unlink() does. Throws OSError if there is none.
    static void unlink(std::string const& name);

    /// No block.
    SharedMemory() noexcept = default;

    /// The bytes; empty after close(). Do not use them after the last copy of this handle has been closed.
    std::span<std::byte> buf() const noexcept { return {data_, size_}; }
    std::byte* data() const noexcept { return data_; }

    /// Empty for a block without a name.
    std::string const& name() const noexcept { return name_; }

    /// Bytes. With a name it is what the system says: macOS and Windows round up to pages.
    std::size_t size() const noexcept { return size_; }

    /// Lets go of the block. May be called again. The name stays.
    void close() noexcept;

    /// Removes the name; those who have the block keep it. Nothing happens without a name, and on Windows.
    /// Throws     OSError  no_such_file_or_directory: it was removed before
    void unlink() const;

    /// Python's repr: SharedMemory('name', size=N)
    std::string to_string() const { return "SharedMemory('" + name_ + "', size=" + std::to_string(size_) + ')'; }
    friend std::ostream& operator<<(std::ostream& stream, SharedMemory const& block) {
        return stream << block.to_string();
    }

private:
    friend class boost::serialization::access;
    template <class Archive>
    void serialize(Archive& archive, unsigned);

    /// A mapping of a named block.
    struct mapping {
        platform::named_block block;
        ~mapping() { platform::close_named_block(block); }
    };
    struct anonymous {
        std::uint64_t size;
    };

    void see(std::shared_ptr<mapping> block) noexcept;
    void see(detail::shared_object<anonymous> block) noexcept;
    static void check_name(std::string const& name);

    std::string name_;
    std::shared_ptr<mapping> mapping_;
    detail::shared_object<anonymous> anonymous_;
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

// ---- implementation

namespace detail {

/// The names that this process has created and not yet removed. At its end they go.
class tracked_names {
public:
    /// A forked child begins with none, in another object: a thread of its parent may have been at this one.
    MULTIPROCESSING_ONE_PER_PROCESS static tracked_names& instance() {
        static constinit std::atomic<tracked_names*> latest{nullptr};
        tracked_names* known = latest.load(std::memory_order_acquire);
        while (known == nullptr || known->generation_ != fork_generation()) {
            auto made = std::make_unique<tracked_names>();
            if (latest.compare_exchange_strong(known, made.get(), std::memory_order_acq_rel)) return *made.release();
        }
        return *known; // never destroyed: it is needed at the very end
    }

    void add(std::string const& name) {
        {
            std::scoped_lock const guard(mutex_);
            names_.insert(name);
            if (std::exchange(registered_, true)) return;
        }
        at_exit([] { instance().remove_all(); }); // without the lock, as at_exit has its own
    }
    void forget(std::string const& name) {
        std::scoped_lock const guard(mutex_);
        names_.erase(name);
    }

private:
    void remove_all() {
        std::scoped_lock const guard(mutex_);
        for (auto const& name : names_) {
            std::error_code ignored;
            platform::unlink_named_block(name, ignored);
        }
        names_.clear();
        registered_ = false;
    }

    std::mutex mutex_;
    std::set<std::string> names_;
    std::uint32_t const generation_ = fork_generation();
    bool registered_ = false;
};

} // namespace detail

inline void SharedMemory::check_name(std::string const& name) {
    if (name.find('\0') != std::string::npos) throw ValueError("embedded null character");
}

inline std::string SharedMemory::new_name() {
    std::array<std::byte, 4> bytes;
    std::error_code error;
    platform::random_bytes(bytes, error);
    if (error) throw OSError(error, "SharedMemory: random bytes for a name");
    std::string name = platform::made_up_prefix;
    for (auto const byte : bytes) {
        char digits[3];
        std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(byte));
        name += digits;
    }
    return name;
}

inline SharedMemory SharedMemory::create(std::int64_t size, std::string name, SharedMemoryOptions options) {
    if (size < 1) throw ValueError("'size' must be a positive number different from zero");
    check_name(name);
    SharedMemory result;
    auto const bytes = static_cast<std::size_t>(size);
    if (name.empty()) {
        auto block = detail::shared_object<anonymous>::make_with_extra(bytes, anonymous{bytes});
        std::memset(block.extra(), 0, bytes);
        result.see(std::move(block));
        return result;
    }
    std::error_code error;
    auto mapped = std::make_shared<mapping>();
    mapped->block = platform::create_named_block(name, bytes, options.reserve, error);
    if (error) throw OSError(error, "SharedMemory: creating '" + name + "'");
    if (options.track) {
        try {
            detail::tracked_names::instance().add(name);
        } catch (...) {
            platform::unlink_named_block(name, error);
            throw;
        }
    }
    result.name_ = std::move(name);
    result.see(std::move(mapped));
    return result;
}

inline SharedMemory SharedMemory::attach(std::string name) {
    if (name.empty()) throw ValueError("the name of the block to attach to is empty");
    check_name(name);
    std::error_code error;
    auto mapped = std::make_shared<mapping>();
    mapped->block = platform::open_named_block(name, error);
    if (error) throw OSError(error, "SharedMemory: attaching to '" + name + "'");
    SharedMemory result;
    result.name_ = std::move(name);
    result.see(std::move(mapped));
    return result;
}

inline void SharedMemory::see(std::shared_ptr<mapping> block) noexcept {
    mapping_ = std::move(block);
    data_ = mapping_->block.address;
    size_ = mapping_->block.size;
}

inline void SharedMemory::see(detail::shared_object<anonymous> block) noexcept {
    anonymous_ = std::move(block);
    data_ = anonymous_.extra();
    size_ = static_cast<std::size_t>(anonymous_->size);
}

inline void SharedMemory::close() noexcept {
    mapping_.reset();
    anonymous_ = {};
    data_ = nullptr;
    size_ = 0;
}

inline void SharedMemory::unlink(std::string const& name) {
    check_name(name);
    std::error_code error;
    platform::unlink_named_block(name, error);
    if (error) throw OSError(error, "SharedMemory: removing '" + name + "'");
    detail::tracked_names::instance().forget(name);
}

inline void SharedMemory::unlink() const {
    if (!name_.empty()) unlink(name_);
}

/// A named block travels by its name, another one by its place in the shared memory of the tree.
template <class Archive>
void SharedMemory::serialize(Archive& archive, unsigned) {
    archive& name_;
    if (!name_.empty()) {
        if constexpr (Archive::is_loading::value) *this = attach(name_);
        return;
    }
    archive& anonymous_;
    if constexpr (Archive::is_loading::value) {
        if (anonymous_) see(anonymous_);
    }
}

} // namespace multiprocessing::inline v0
