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

mode="--dry-run --Werror"
[ "${1:-}" = --fix ] && mode=-i
sources() {
    if git rev-parse --git-dir >/dev/null 2>&1; then
        git ls-files -z -- '*.hpp' '*.cpp'
    else
        find include tests examples benchmarks \( -name '*.hpp' -o -name '*.cpp' \) -print0
    fi
}
# shellcheck disable=SC2086 # the mode is several words
sources | xargs -0 "$found" $mode || {
    echo "to mend it: tools/check_format.sh --fix"
    exit 1
}
