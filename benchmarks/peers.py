"""CPython's side of the benchmarks: reads the name of a measurement, does it, and prints the seconds it took.

The first line that it prints is the version of the interpreter.
"""
import array
import concurrent.futures
import multiprocessing
import sys
import time


def nothing():
    pass


def square(x):
    return x * x


def text(number):
    return "a result of thirty-two characters"


def numbers(number):
    return array.array("d", bytes(8000))


def seconds(call, times=1):
    begin = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - begin) / times


def start_and_join(context):
    process = context.Process(target=nothing)
    process.start()
    process.join()


def take_all(results):
    for _ in results:
        pass


def pipelined(pool):
    for result in [pool.apply_async(square, (i,)) for i in range(1000)]:
        result.get()


def make_pool():
    with multiprocessing.get_context("fork").Pool(2):
        pass


def main():
    print(sys.implementation.name, sys.version.split()[0], flush=True)
    fork, forkserver, spawn = map(multiprocessing.get_context, ("fork", "forkserver", "spawn"))
    pool = executor = None
    sixteen = list(range(16))
    million = list(range(1_000_000))
    many = range(100_000)
    measurements = {
        "fork": lambda: seconds(lambda: start_and_join(fork), 10),
        "forkserver": lambda: seconds(lambda: start_and_join(forkserver), 3),
        "spawn": lambda: seconds(lambda: start_and_join(spawn)),
        "pool": lambda: seconds(make_pool, 3),
        "map million": lambda: seconds(lambda: pool.map(square, million)),
        "map sixteen": lambda: seconds(lambda: pool.map(square, sixteen), 100),
        "apply": lambda: seconds(lambda: pool.apply(square, (3,)), 100),
        "async round trip": lambda: seconds(lambda: pool.apply_async(square, (3,)).get(), 100),
        "async pipelined": lambda: seconds(lambda: pipelined(pool)) / 1000,
        "imap": lambda: seconds(lambda: take_all(pool.imap(square, many))),
        "imap_unordered": lambda: seconds(lambda: take_all(pool.imap_unordered(square, many))),
        "executor map": lambda: seconds(lambda: take_all(executor.map(square, range(10_000)))),
        "strings": lambda: seconds(lambda: pool.map(text, many)),
        "vectors": lambda: seconds(lambda: pool.map(numbers, range(4000))),
    }
    for line in sys.stdin:
        if pool is None and line.split()[0] in ("map", "apply", "async", "imap", "imap_unordered", "strings", "vectors"):
            pool = fork.Pool(2)
        if executor is None and line.startswith("executor"):
            executor = concurrent.futures.ProcessPoolExecutor(2, fork)
        print(measurements[line.strip()](), flush=True)
    if pool is not None:
        pool.terminate()
    if executor is not None:
        executor.shutdown()


if __name__ == "__main__":
    main()
