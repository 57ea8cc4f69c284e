"""CPython's side of benchmarks/synchronize.cpp: reads the name of a measurement, does it, and prints the seconds it took."""
import multiprocessing
import sys
import time

FORK = multiprocessing.get_context("fork")
LOCK, RLOCK = FORK.Lock(), FORK.RLock()
VALUE, ARRAY = FORK.Value("i", 0), FORK.Array("i", 10)


def repeat(times, call):
    begin = time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - begin


def lock_and_unlock(lock):
    def call():
        lock.acquire()
        lock.release()
    return call


def add():
    with VALUE.get_lock():
        VALUE.value += 1


def both(times, here, there):
    """The second one runs in a child; the time until both are done, per 1000 times."""
    ready = FORK.Event()

    def child():
        ready.set()
        repeat(times, there)
    process = FORK.Process(target=child)
    process.start()
    ready.wait()
    begin = time.perf_counter()
    repeat(times, here)
    process.join()
    return (time.perf_counter() - begin) * 1000 / times


def semaphores():
    a, b = FORK.Semaphore(0), FORK.Semaphore(0)
    return both(1000, lambda: (a.release(), b.acquire()), lambda: (a.acquire(), b.release()))


def events():
    a, b = FORK.Event(), FORK.Event()
    return both(1000, lambda: (a.set(), b.wait(), b.clear()), lambda: (a.wait(), a.clear(), b.set()))


def conditions():
    condition, turn = FORK.Condition(), FORK.RawValue("i", 0)

    def step(mine):
        def call():
            with condition:
                while turn.value != mine:
                    condition.wait()
                turn.value = 1 - mine
                condition.notify()
        return call
    return both(1000, step(0), step(1))


def barriers():
    barrier = FORK.Barrier(2)
    return both(1000, barrier.wait, barrier.wait)


def main():
    print(sys.implementation.name, sys.version.split()[0], flush=True)
    contended = FORK.Lock()
    measurements = {
        "lock": lambda: repeat(1000, lock_and_unlock(LOCK)),
        "rlock": lambda: repeat(1000, lock_and_unlock(RLOCK)),
        "add": lambda: repeat(1000, add),
        "array": lambda: repeat(1000, lambda: ARRAY[3]),
        "contended": lambda: both(20_000, lock_and_unlock(contended), lock_and_unlock(contended)),
        "semaphores": semaphores,
        "events": events,
        "conditions": conditions,
        "barriers": barriers,
    }
    for line in sys.stdin:
        print(measurements[line.strip()](), flush=True)


if __name__ == "__main__":
    main()
