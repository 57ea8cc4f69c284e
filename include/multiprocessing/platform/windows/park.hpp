#pragma once

#include <multiprocessing/platform/error.hpp>
#include <multiprocessing/platform/park.hpp>
#include <multiprocessing/platform/windows/identity.hpp>
#include <multiprocessing/platform/windows/wait.hpp>

#include <array>
#include <new>

// WaitOnAddress works within one process only. Here a sleeper takes one of a fixed number of slots in shared memory,
// notes the word it sleeps on there, and waits for an event of its own process; who wakes it duplicates that event, once
// for each slot and process.
//
// There is no lock in shared memory: whatever instruction a process is killed at, the others go on. A stray signal of an
// event (of a waker that was slow) ends some later sleep for no reason, which park may do.
namespace multiprocessing::inline v0 {

namespace platform::windows {

inline constexpr std::size_t parking_slots = 256;

/// The slots of a tree of processes, in shared memory. A slot is taken while its owner is not 0.
struct parking_lot {
    using word = std::atomic<std::uint64_t>;
    static_assert(word::is_always_lock_free);

    /// In `sleeping`: a waker is about to signal the event, or has.
    static constexpr std::uint64_t called = std::uint64_t{1} << 63;

    std::array<word, parking_slots> sleeping{}; ///< the key of the word that the owner sleeps on; 0: on none
    std::array<word, parking_slots> owners{};   ///< the identity of the process
    std::array<word, parking_slots> events{};   ///< its event: the process id, and the handle in the lower half
    std::atomic<std::uint32_t> next_wake{0};    ///< where the next waker begins to look: nobody is overlooked for ever
    std::atomic<std::uint32_t> next_repair{0};  ///< which slots are looked at next when all are taken
};

/// What this process knows of the lot.
struct parking {
    parking_lot* lot = nullptr;
    std::byte const* base = nullptr;
    std::array<HANDLE, parking_slots> events{}; ///< made when a slot is first taken, and kept

    /// The process that last slept in a slot, and its event. While it is open its id is not reused.
    struct acquaintance {
        identity owner = 0;
        HANDLE process = nullptr;
        HANDLE event = nullptr;
    };
    std::array<acquaintance, parking_slots> known{};
    SRWLOCK known_lock = SRWLOCK_INIT;
};

inline parking& this_parking() noexcept {
    static parking one;
    return one;
}

inline HANDLE handle_in(std::uint64_t number) noexcept {
    return reinterpret_cast<HANDLE>(static_cast<std::uintptr_t>(number & 0xffffffff)); // the bits that handles have
}

/// Finds the events of sleepers, as long as it lives for one thread at a time.
class waker {
public:
    explicit waker(parking& mine) noexcept : mine_(mine) { ::AcquireSRWLockExclusive(&mine_.known_lock); }
    ~waker() { ::ReleaseSRWLockExclusive(&mine_.known_lock); }
    waker(waker const&) = delete;
    waker& operator=(waker const&) = delete;

    /// The event of the owner of a slot. Null if it has ended (`gone`), or is no more the owner.
    HANDLE event_of(std::size_t slot, identity owner, bool& gone) noexcept {
        gone = false;
        if (owner == own_identity()) return mine_.events[slot];
        auto& known = mine_.known[slot];
        if (known.owner != owner) {
            forget(known);
            bool doubt = false;
            std::uint64_t const event = mine_.lot->events[slot].load();
            if (owner == 0 || event >> 32 != pid_of(owner)) return nullptr;
            known.process = open_process(owner, doubt, PROCESS_DUP_HANDLE);
            gone = known.process == nullptr && !doubt;
            if (known.process == nullptr) return nullptr;
            HANDLE const self = ::GetCurrentProcess();
            ::DuplicateHandle(known.process, handle_in(event), self, &known.event, EVENT_MODIFY_STATE, FALSE, 0);
            known.owner = owner;
        }
        gone = has_ended(known.process);
        HANDLE const event = gone ? nullptr : known.event;
        if (event == nullptr) forget(known);
        return event;
    }

private:
    static void forget(parking::acquaintance& known) noexcept {
        if (known.event != nullptr) ::CloseHandle(known.event);
        if (known.process != nullptr) ::CloseHandle(known.process);
        known = {};
    }

    parking& mine_;
};

/// Frees the slot of a process that has ended.
inline void reclaim_slot(parking_lot& lot, std::size_t slot, identity dead_owner) noexcept {
    if (!lot.owners[slot].compare_exchange_strong(dead_owner, own_identity())) return; // somebody else was faster
    lot.sleeping[slot].store(0);
    lot.owners[slot].store(0);
}

/// A slot for this thread; parking_slots if all are taken.
inline std::size_t take_slot(parking& mine) noexcept {
    parking_lot& lot = *mine.lot;
    std::size_t const begin = ::GetCurrentThreadId() / 4; // a thread gets the same one again, mostly
    for (std::size_t n = 0; n < parking_slots; ++n) {
        std::size_t const slot = (begin + n) % parking_slots;
        identity nobody = 0;
        if (lot.owners[slot].load(std::memory_order_relaxed) != 0 ||
            !lot.owners[slot].compare_exchange_strong(nobody, own_identity())) {
            continue;
        }
        HANDLE& event = mine.events[slot];
        if (event == nullptr) event = ::CreateEventW(nullptr, FALSE, FALSE, nullptr);
        if (event == nullptr) {
            lot.owners[slot].store(0);
            return parking_slots;
        }
        auto const number = static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(event));
        lot.events[slot].store(std::uint64_t{::GetCurrentProcessId()} << 32 | number);
        return slot;
    }
    constexpr std::size_t at_once = 8; // a few at a time: usually all owners live
    for (std::size_t n = 0; n < at_once; ++n) {
        std::size_t const slot = lot.next_repair.fetch_add(1, std::memory_order_relaxed) % parking_slots;
        identity const owner = lot.owners[slot].load();
        if (owner != 0 && !is_alive(owner)) reclaim_slot(lot, slot, owner);
    }
    return parking_slots;
}

/// Names a word in all processes, which have the mapping at different addresses. Never 0, and below `called`.
inline std::uint64_t key_of(parking const& mine, std::atomic<std::uint32_t> const& word) noexcept {
    auto const offset = reinterpret_cast<std::uintptr_t>(&word) - reinterpret_cast<std::uintptr_t>(mine.base);
    return static_cast<std::uint64_t>(offset) / sizeof word + 1;
}

/// Wakes who sleeps in a slot, if `from` is what it is marked with. False if nobody there could be woken.
inline bool wake_slot(parking& mine, std::size_t slot, std::uint64_t from) noexcept {
    parking_lot& lot = *mine.lot;
    waker wake(mine);
    identity owner = lot.owners[slot].load();
    bool gone = false;
    HANDLE event = wake.event_of(slot, owner, gone);
    // A sleeper that was killed must not use up the wake of a living one.
    if (gone) reclaim_slot(lot, slot, owner);
    if (event == nullptr || !lot.sleeping[slot].compare_exchange_strong(from, from | parking_lot::called)) return false;
    identity const now = lot.owners[slot].load();
    if (now != owner) event = wake.event_of(slot, now, gone); // one left, and another came to sleep on the same word
    return event != nullptr && ::SetEvent(event) != 0;
}

} // namespace platform::windows

void platform::park(std::atomic<std::uint32_t>& word, std::uint32_t expected, deadline until) noexcept {
    if (word.load() != expected) return;
    auto& mine = windows::this_parking();
    std::size_t const slot = mine.lot != nullptr ? windows::take_slot(mine) : windows::parking_slots;
    if (slot == windows::parking_slots) { // no place to sleep: the caller looks again soon
        ::Sleep(std::min<DWORD>(1, windows::milliseconds_until(until)));
        return;
    }
    mine.lot->sleeping[slot].store(windows::key_of(mine, word));
    // Either this sees the new value, or the waker, which changed it before it looks, sees the sleeper.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (word.load() == expected) ::WaitForSingleObject(mine.events[slot], windows::milliseconds_until(until));
    mine.lot->sleeping[slot].store(0);
    mine.lot->owners[slot].store(0);
}

void platform::unpark(std::atomic<std::uint32_t>& word, std::uint32_t count) noexcept {
    auto& mine = windows::this_parking();
    if (mine.lot == nullptr) return;
    auto& lot = *mine.lot;
    std::atomic_thread_fence(std::memory_order_seq_cst);
    std::uint64_t const key = windows::key_of(mine, word);
    std::uint64_t const called = key | windows::parking_lot::called;
    std::size_t const begin = lot.next_wake.fetch_add(1, std::memory_order_relaxed);
    std::uint32_t woken = 0;
    bool others_called = false;
    for (std::size_t n = 0; n < windows::parking_slots && woken < count; ++n) {
        std::size_t const slot = (begin + n) % windows::parking_slots;
        std::uint64_t const seen = lot.sleeping[slot].load();
        if (seen == key && windows::wake_slot(mine, slot, key)) {
            ++woken;
        } else if (seen == key || seen == called) {
            others_called = true;
        }
    }
    if (woken == count || !others_called) return;
    // Those that another waker has called wake by themselves, unless it was killed before it signalled.
    for (std::size_t slot = 0; slot < windows::parking_slots; ++slot) {
        if (lot.sleeping[slot].load() == called) windows::wake_slot(mine, slot, called);
    }
}

std::size_t platform::parking_bytes() noexcept { return (sizeof(windows::parking_lot) + 63) / 64 * 64; }

void platform::open_parking(std::byte* place, std::byte* base, bool create, std::error_code& error) noexcept {
    auto& mine = windows::this_parking();
    mine.base = base;
    mine.lot = create ? new (place) windows::parking_lot : reinterpret_cast<windows::parking_lot*>(place);
    error.clear();
}

std::span<platform::native_handle const> platform::parking_handles() noexcept { return {}; }

} // namespace multiprocessing::inline v0
