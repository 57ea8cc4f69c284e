#!/usr/bin/env python3
"""Checks docs/parity.md, the table of CPython's own tests: every row has a known mark, a row marked 'here' names a test
case of ours that exists ("tests/test_x.cpp: name of the case"), and every other row says why or where to look.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROW = re.compile(r"^\| (?P<test>test_\w+) \| (?P<mark>[^|]*?) *\| *(?P<text>.*?) *\|$")
OURS = re.compile(r"^(tests/[\w./-]+)(?:: (.+))?$")
MARKS = {"here": "covered by a test of ours", "later": "applies, not covered yet", "no": "cannot apply to C++"}


def main():
    faults = []
    count = dict.fromkeys(MARKS, 0)
    sources = {}
    with open(os.path.join(ROOT, "docs", "parity.md"), encoding="utf-8") as file:
        lines = file.read().splitlines()
    for number, line in enumerate(lines, 1):
        if not line.startswith("| test_"):
            continue
        where = f"docs/parity.md:{number}"
        row = ROW.match(line)
        if not row or row["mark"] not in MARKS:
            faults.append(f"{where}: not '| test | here, later or no | text |'")
            continue
        count[row["mark"]] += 1
        if row["mark"] == "no" and not row["text"]:
            faults.append(f"{where}: {row['test']} is marked 'no' without a reason")
        if row["mark"] != "here":
            continue
        for reference in row["text"].split("; "):
            ours = OURS.match(reference)
            if not ours:
                faults.append(f"{where}: {row['test']} does not name a test of ours: {reference!r}")
                continue
            path, case = ours[1], ours[2]
            if path not in sources:
                try:
                    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
                        sources[path] = file.read()
                except OSError:
                    sources[path] = None
            if sources[path] is None:
                faults.append(f"{where}: there is no {path}")
            elif case and not re.search(rf'TEST_CASE(_METHOD\(\w+, |\()"{re.escape(case)}"', sources[path]):
                faults.append(f"{where}: {path} has no TEST_CASE(\"{case}\")")
    summary = ", ".join(f"{count[mark]} {mark}" for mark in MARKS)
    print("\n".join(faults) or f"parity: {sum(count.values())} tests of CPython: {summary}")
    return 1 if faults or not sum(count.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
