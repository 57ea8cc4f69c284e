#!/usr/bin/env python3
"""Checks that quoted programs are the real ones: in README.md and docs/*.md a code block that follows a line

    <!-- examples/NN_name.cpp -->

has to equal that file; with "(part)" after the name it has to be some lines of it.
"""
import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MARK = re.compile(r"^[ \t]*<!-- (\S+\.(?:cpp|hpp|out))( \(part\))? -->[ \t]*\n(.*)", re.MULTILINE)
BLOCK = re.compile(r"```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def main():
    faults, quotes = [], 0
    pages = [os.path.join(ROOT, "README.md")] + sorted(glob.glob(os.path.join(ROOT, "docs", "*.md")))
    for page in filter(os.path.exists, pages):
        with open(page, encoding="utf-8") as file:
            text = file.read()
        for mark in MARK.finditer(text):
            where = f"{os.path.relpath(page, ROOT)}: <!-- {mark[1]} -->"
            quoted = os.path.join(ROOT, mark[1])
            block = BLOCK.match(text, mark.start(3))
            quotes += 1
            if not os.path.exists(quoted):
                faults.append(f"{where}: there is no such file")
            elif not block:
                faults.append(f"{where}: no code block on the next line")
            else:
                with open(quoted, encoding="utf-8") as file:
                    program = file.read()
                if block[1] != program and not (mark[2] and "\n" + block[1] in "\n" + program):
                    faults.append(f"{where}: differs from the file")
    print("\n".join(faults) or f"quotes: {quotes} code blocks equal their files")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
