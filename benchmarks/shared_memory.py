"""CPython's side of benchmarks/shared_memory.cpp: reads the name of a measurement, does it, and prints the seconds it took."""
import sys
import time
from multiprocessing.shared_memory import SharedMemory

MEGABYTE = 1 << 20
CONTENTS = b"\1" * MEGABYTE


def block():
    made = SharedMemory(create=True, size=MEGABYTE)
    made.close()
    made.unlink()


def touched_block():
    made = SharedMemory(create=True, size=MEGABYTE)
    made.buf[:] = CONTENTS
    made.close()
    made.unlink()


def seconds_each(times, call):
    begin = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - begin) / times


def main():
    print(sys.implementation.name, sys.version.split()[0], flush=True)
    measurements = {
        "block": lambda: seconds_each(100, block),
        "touched block": lambda: seconds_each(100, touched_block),
    }
    for line in sys.stdin:
        print(measurements[line.strip()](), flush=True)


if __name__ == "__main__":
    main()
