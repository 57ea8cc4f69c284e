#!/usr/bin/env python3
"""Checks docs/python-to-cpp.md: each public name of Python's own module has a row; a row marked 'here' names a header that
exists and contains the C++ name, any other is marked 'later' or 'no'.
"""
import multiprocessing
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROW = re.compile(r"^\| `(?P<python>[^`]+)` \| `(?P<cpp>[^`]+)` \| `(?P<header>[\w./]+)` \| (?P<status>.+?) \|$")


def main():
    faults, rows = [], 0
    names = set()
    with open(os.path.join(ROOT, "docs", "python-to-cpp.md"), encoding="utf-8") as file:
        lines = file.read().splitlines()
    for number, line in enumerate(lines, 1):
        row = ROW.match(line)
        if not row:
            continue
        rows += 1
        where = f"docs/python-to-cpp.md:{number}"
        names.add(re.match(r"\w+", row["python"])[0])
        status = row["status"].split(":")[0]
        if status not in ("here", "later", "no"):
            faults.append(f"{where}: the status is neither here, later nor 'no: reason'")
        if status != "here":
            continue
        header = os.path.join(ROOT, "include", row["header"])
        if not os.path.exists(header):
            faults.append(f"{where}: there is no {row['header']}")
            continue
        with open(header, encoding="utf-8") as file:
            if not re.search(rf"\b{row['cpp'].split('::')[-1]}\b", file.read()):
                faults.append(f"{where}: {row['header']} does not declare {row['cpp']}")
    faults += [f"docs/python-to-cpp.md: no row for {name}" for name in multiprocessing.__all__ if name not in names]
    print("\n".join(faults) or f"names: {rows} rows, all {len(multiprocessing.__all__)} names of Python's module among them")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
