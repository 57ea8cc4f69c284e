#!/usr/bin/env python3
"""Checks the architecture: docs/layers.txt against the headers. Prints every fault; exit status 1 if there is any.

1. Every header is in the list, every name in the list is a header, and a header includes only headers above it.
2. Headers of an operating system are included only in platform/<system>/.
3. Macros of an operating system are used only in config.hpp.
4. Only a contract platform/x.hpp includes its twins platform/<system>/x.hpp. A twin may include what its contract may,
   its contract, and others of its own system; linux and macos build on posix. In the same way detail/x_impl.hpp holds the
   bodies of x.hpp: only x.hpp includes it, at its end, although it stands below.
5. No file has more than 800 lines; every public header has tests/test_<name>[_suffix].cpp and is named in
   docs/python-to-cpp.md.
6. Below the edges nothing drags in <iostream>, <regex> or <future>, but for the header that flushes the standard streams.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
INCLUDE = os.path.join(ROOT, "include")
BASE = os.path.join(INCLUDE, "multiprocessing")
LONGEST = 800
BUILDS_ON = {"posix": {"posix"}, "linux": {"linux", "posix"}, "macos": {"macos", "posix"}, "windows": {"windows"}}
FLUSHES_STREAMS = "detail/standard_streams.hpp"
NOT_A_MODULE = {"version.hpp", "config.hpp", "fwd.hpp", "errors.hpp", "../multiprocessing.hpp"}

TWIN = re.compile(r"platform/(posix|linux|macos|windows)/(.+)")
OWN_INCLUDE = re.compile(r'\s*#\s*include\s*[<"](multiprocessing(?:/[^>"]+|\.hpp))[>"]')
SYSTEM_INCLUDE = re.compile(
    r"\s*#\s*include\s*<(windows|winsock|winsock2|ws2tcpip|mswsock|bcrypt|psapi|io|process|unistd|pthread|fcntl|poll|sched|"
    r"dlfcn|link|elf|spawn|netdb|libproc|crt_externs|(?:sys|netinet|arpa|linux|mach|mach-o|asm)/\w+)\.h>|.*<semaphore\.h>")
SYSTEM_MACRO = re.compile(r"\s*#\s*(if|elif|ifdef|ifndef)\b.*\b(_WIN32|_WIN64|__linux__|__APPLE__|__unix__|__MINGW32__|__MINGW64__)\b")
HEAVY = re.compile(r"\s*#\s*include\s*<(iostream|regex|future)>")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


def key_of(path):
    """The name that the list uses for a path under include/."""
    return "../multiprocessing.hpp" if path == "multiprocessing.hpp" else path[len("multiprocessing/"):]


def contract_of(key):
    twin = TWIN.fullmatch(key)
    return "platform/" + twin[2] if twin else key


def body_of(key):
    """The header that holds the bodies of this one: detail/x_impl.hpp belongs to x.hpp and to detail/x.hpp."""
    return "detail/" + os.path.basename(key).replace(".hpp", "_impl.hpp")


def files(folder, *endings):
    for directory, _, names in os.walk(folder):
        for name in sorted(names):
            if name.endswith(endings):
                yield os.path.join(directory, name)


def main():
    faults = []
    order = [line.split("#")[0].split() for line in read(os.path.join(ROOT, "docs", "layers.txt"))]
    order = [entry for entry in order if entry]
    for entry in order:
        if len(entry) != 2:
            sys.exit(f"docs/layers.txt: not 'layer header # text': {' '.join(entry)}")
    rank = {header: i for i, (_, header) in enumerate(order)}
    layer = {header: name for name, header in order}
    table = os.path.join(ROOT, "docs", "python-to-cpp.md")
    table = "\n".join(read(table)) if os.path.exists(table) else ""
    tests = os.listdir(os.path.join(ROOT, "tests"))

    headers = {key_of(os.path.relpath(path, INCLUDE).replace(os.sep, "/")): path for path in files(INCLUDE, ".hpp")}
    for key, path in sorted(headers.items()):
        twin = TWIN.fullmatch(key)
        contract = contract_of(key)
        if twin and twin[2].count("/") == 0 and contract not in rank:
            # A helper of a twin belongs to the system's folder as a whole: it may know everything that the platform may.
            position = max((rank[h] for h in rank if h.startswith("platform/")), default=-1) + 1
        elif contract not in rank:
            faults.append(f"{key}: not in docs/layers.txt")
            continue
        else:
            position = rank[contract]

        for number, line in enumerate(read(path), 1):
            where = f"{key}:{number}"
            included = OWN_INCLUDE.match(line)
            if included:
                target = key_of(included[1])
                target_twin = TWIN.fullmatch(target)
                if target not in headers:
                    faults.append(f"{where}: there is no {target}")
                elif target_twin:
                    same_system = twin and target_twin[1] in BUILDS_ON[twin[1]]
                    if not same_system and key != contract_of(target):
                        faults.append(f"{where}: {target} is for its contract and for twins of its system only")
                elif target not in rank:
                    pass  # reported where that header is checked
                elif target == body_of(key) or (twin and target == contract):
                    pass
                elif target.endswith("_impl.hpp"):
                    faults.append(f"{where}: {target} holds the bodies of another header, which alone includes it")
                elif rank[target] >= position:
                    faults.append(f"{where}: includes {target}, which is not above it in docs/layers.txt")
            if SYSTEM_INCLUDE.match(line) and not twin:
                faults.append(f"{where}: a header of an operating system outside platform/<system>/")
            if SYSTEM_MACRO.match(line) and key != "config.hpp":
                faults.append(f"{where}: a macro of an operating system outside config.hpp; use MULTIPROCESSING_WINDOWS...")
            if HEAVY.match(line) and layer.get(contract) != "edges" and key != FLUSHES_STREAMS:
                faults.append(f"{where}: too heavy a header for everybody who includes this one")

        if "/" not in key and key not in NOT_A_MODULE:
            name = key[:-len(".hpp")]
            if not any(re.fullmatch(rf"test_{name}(_\w+)?\.cpp", test) for test in tests):
                faults.append(f"{key}: there is no tests/test_{name}.cpp")
            if f"multiprocessing/{key}" not in table:
                faults.append(f"{key}: docs/python-to-cpp.md does not name multiprocessing/{key}")

    faults += [f"{header}: in docs/layers.txt, but there is no such header" for header in rank if header not in headers]

    for folder in ("include", "tests", "examples", "benchmarks", "tools"):
        for path in files(os.path.join(ROOT, folder), ".hpp", ".cpp", ".py", ".sh"):
            lines = len(read(path))
            if lines > LONGEST:
                faults.append(f"{os.path.relpath(path, ROOT)}: {lines} lines, more than {LONGEST}")

    print("\n".join(faults) or f"layers: {len(headers)} headers, {len(rank)} lines in the list, no fault")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
