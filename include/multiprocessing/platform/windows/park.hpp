#pragma once

#include <multiprocessing/platform/error.hpp>
#include <multiprocessing/platform/park.hpp>
#include <multiprocessing/platform/windows/identity.hpp>
#include <multiprocessing/platform/windows/wait.hpp>

#include <array>
#include <new>

// WaitOnAddress works within one process only. Here a sleeper takes one of a fixed number of slots in shared memory,
// notes the word it sleeps on there, and waits for the event of the slot. All processes of a tree inherit the events,
// so that a handle has the same value in each of them.
//
// There is no lock: whatever instruction a process is killed at, the others go on. A stray signal of an event (of a
// waker that was slow) ends some later sleep for no reason, which park may do.
namespace multiprocessing::inline v0 {

namespace platform::windows {

inline constexpr std::size_t parking_slots = 256;

/// The slots of a tree of processes, in shared memory. A slot is taken while its owner is not 0.
struct parking_lot {
    using word = std::atomic<std::uint64_t>;
    static_assert(word::is_always_lock_free);

    static constexpr std::uint64_t called = std::uint64_t{1}
                                            << 63; ///< in `sleeping`: a waker is about to signal, or has

    std::array<word, parking_slots> sleeping{}; ///< the key of the word that the owner sleeps on; 0: on none
    std::array<word, parking_slots> owners{};   ///< the identity of the process
    std::array<std::uint64_t, parking_slots> events{};
    std::atomic<std::uint32_t> next_wake{0};   ///< where the next waker begins to look: nobody is overlooked for ever
    std::atomic<std::uint32_t> next_repair{0}; ///< which slots are looked at next when all are taken
};

/// What this process knows of the lot.
struct parking {
    parking_lot* lot = nullptr;
    std::byte const* base = nullptr;
    std::array<native_handle, parking_slots> events{};
    std::size_t opened = 0; ///< of the events

    /// A process that is asked for often is kept open: while it is, its id is not reused.
    struct acquaintance {
        identity owner = 0;
        HANDLE process = nullptr;
    };
    std::array<acquaintance, parking_slots> known{};
    SRWLOCK known_lock = SRWLOCK_INIT;
};

inline parking& this_parking() noexcept {
    static parking one;
    return one;
}

/// Whether the owner of a slot lives. In doubt it does.
inline bool owner_is_alive(parking& mine, std::size_t slot, identity owner) noexcept {
    if (owner == 0 || owner == own_identity()) return true;
    ::AcquireSRWLockExclusive(&mine.known_lock);
    auto& known = mine.known[slot];
    bool doubt = false;
    if (known.owner != owner) {
        if (known.process != nullptr) ::CloseHandle(known.process);
        known = {owner, open_process(owner, doubt)};
    }
    bool const alive = known.process != nullptr ? !has_ended(known.process) : doubt;
    if (!alive && known.process != nullptr) ::CloseHandle(known.process);
    if (!alive || known.process == nullptr) known = {};
    ::ReleaseSRWLockExclusive(&mine.known_lock);
    return alive;
}

/// Frees the slot of a process that has ended.
inline void reclaim_slot(parking_lot& lot, std::size_t slot, identity dead_owner) noexcept {
    if (!lot.owners[slot].compare_exchange_strong(dead_owner, own_identity())) return; // somebody else was faster
    lot.sleeping[slot].store(0);
    lot.owners[slot].store(0);
}

/// A slot for this thread; parking_slots if all are taken.
inline std::size_t take_slot(parking& mine) noexcept {
    parking_lot& lot = *mine.lot;
    std::size_t const begin = ::GetCurrentThreadId() / 4; // threads of different processes meet rarely
    for (std::size_t n = 0; n < parking_slots; ++n) {
        std::size_t const slot = (begin + n) % parking_slots;
        identity free = 0;
        if (lot.owners[slot].load(std::memory_order_relaxed) == 0 &&
            lot.owners[slot].compare_exchange_strong(free, own_identity())) {
            return slot;
        }
    }
    constexpr std::size_t at_once = 8; // a few at a time: usually all owners live
    for (std::size_t n = 0; n < at_once; ++n) {
        std::size_t const slot = lot.next_repair.fetch_add(1, std::memory_order_relaxed) % parking_slots;
        identity const owner = lot.owners[slot].load();
        if (!owner_is_alive(mine, slot, owner)) reclaim_slot(lot, slot, owner);
    }
    return parking_slots;
}

/// Names a word in all processes, which have the mapping at different addresses. Never 0, and below `called`.
inline std::uint64_t key_of(parking const& mine, std::atomic<std::uint32_t> const& word) noexcept {
    auto const offset = reinterpret_cast<std::uintptr_t>(&word) - reinterpret_cast<std::uintptr_t>(mine.base);
    return static_cast<std::uint64_t>(offset) / sizeof word + 1;
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
        std::uint64_t seen = lot.sleeping[slot].load();
        if (seen == key) {
            // A sleeper that was killed must not use up the wake of a living one.
            auto const owner = lot.owners[slot].load();
            if (count < windows::parking_slots && !windows::owner_is_alive(mine, slot, owner)) {
                windows::reclaim_slot(lot, slot, owner);
            } else if (lot.sleeping[slot].compare_exchange_strong(seen, called)) {
                ::SetEvent(mine.events[slot]);
                ++woken;
            }
        }
        if (seen == called) others_called = true;
    }
    if (woken == count || !others_called) return;
    // Those that another waker has called wake by themselves, unless it was killed before it signalled.
    for (std::size_t slot = 0; slot < windows::parking_slots; ++slot) {
        if (lot.sleeping[slot].load() == called) ::SetEvent(mine.events[slot]);
    }
}

std::size_t platform::parking_bytes() noexcept { return (sizeof(windows::parking_lot) + 63) / 64 * 64; }

void platform::open_parking(std::byte* place, std::byte* base, bool create, std::error_code& error) noexcept {
    error.clear();
    auto& mine = windows::this_parking();
    auto* const lot = create ? new (place) windows::parking_lot : reinterpret_cast<windows::parking_lot*>(place);
    for (std::size_t slot = 0; slot < windows::parking_slots && create; ++slot) {
        HANDLE const event = ::CreateEventW(nullptr, FALSE, FALSE, nullptr);
        if (event == nullptr) {
            error = last_error();
            while (slot-- > 0) ::CloseHandle(reinterpret_cast<HANDLE>(static_cast<std::uintptr_t>(lot->events[slot])));
            return;
        }
        lot->events[slot] = reinterpret_cast<std::uintptr_t>(event);
    }
    for (std::size_t slot = 0; slot < windows::parking_slots; ++slot) {
        mine.events[slot] = reinterpret_cast<HANDLE>(static_cast<std::uintptr_t>(lot->events[slot]));
    }
    DWORD flags = 0;
    if (!::GetHandleInformation(mine.events[0], &flags)) { // this process did not inherit them
        error = last_error();
        return;
    }
    mine.opened = windows::parking_slots;
    mine.base = base;
    mine.lot = lot;
}

std::span<platform::native_handle const> platform::parking_handles() noexcept {
    auto const& mine = windows::this_parking();
    return std::span(mine.events).first(mine.opened);
}

} // namespace multiprocessing::inline v0
