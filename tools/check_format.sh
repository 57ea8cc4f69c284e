#!/bin/sh
# Checks the format of all C++ files of the repository. Exit status 77 (skipped) where clang-format 16 is missing, but a
# failure where CI is set. With --fix it formats them instead.
cd "$(dirname "$0")/.." || exit 1

for formatter in clang-format-16 clang-format; do
    case $($formatter --version 2>/dev/null) in
        *"version 16."*) found=$formatter; break ;;
    esac
done
if [ -z "${found:-}" ]; then
    echo "clang-format 16 is missing; other versions format differently (Debian: apt-get install clang-format-16)"
    [ -n "${CI:-}" ] && exit 1
    exit 77
fi

sources() {
    if git rev-parse --git-dir >/dev/null 2>&1; then
        git ls-files -z -- '*.hpp' '*.cpp'
    else
        find include tests examples benchmarks \( -name '*.hpp' -o -name '*.cpp' \) -print0
    fi
}

if [ "${1:-}" = --fix ]; then
    sources | xargs -0 "$found" -i
elif ! faults=$(sources | xargs -0 "$found" --dry-run --Werror 2>&1); then
    echo "$faults" | sed -n 's/^\([^: ]*\):[0-9]*:[0-9]*: error: .*/not formatted: \1/p' | sort -u
    echo "to mend it: tools/check_format.sh --fix"
    exit 1
fi
