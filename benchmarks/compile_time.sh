#!/bin/bash
# What `#include <multiprocessing.hpp>` costs, against the headers of the standard library that it uses, and against
# those and the ones of the system and of Boost: processor seconds of the compiler, the least and the median of 5 runs,
# interleaved.
#
#     benchmarks/compile_time.sh [compiler [flags...]]        default: g++
cd "$(dirname "$0")/.." || exit 1
compiler=("${@:-g++}")
compiler+=(-std=c++20 -I include -fsyntax-only)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

echo '#include <multiprocessing.hpp>' >"$work/all.cpp"
mapfile -t ours < <("${compiler[@]}" -M "$work/all.cpp" | tr ' \\' '\n\n' | grep -E '(^|/)include/multiprocessing')
[ "${#ours[@]}" -gt 0 ] || exit 1
grep -hoE '^# *include <[^>]+>' "${ours[@]}" | grep -v '<multiprocessing' | sort -u >"$work/foreign.cpp"
grep -E '<[a-z_]+>' "$work/foreign.cpp" >"$work/std.cpp"
# Headers of other systems are named in branches that are not compiled here.
while read -r line; do
    echo "$line" | "${compiler[@]}" -x c++ - 2>/dev/null && echo "$line"
done <"$work/foreign.cpp" >"$work/foreign_here.cpp"

TIMEFORMAT='%U %S'
for _ in 1 2 3 4 5; do
    for source in all std foreign_here; do
        { time "${compiler[@]}" "$work/$source.cpp"; } 2>&1 | awk '{ print $1 + $2 }' >>"$work/$source.times"
    done
done
report() {
    sort -n "$work/$1.times" | awk -v what="$2" '{ t[NR] = $1 } END { printf "%-44s least %.2f s, median %.2f s\n", what, t[1], t[3] }'
}
report all "#include <multiprocessing.hpp>"
report std "the headers of std that it includes"
report foreign_here "these, and those of the system and of Boost"
least() { sort -n "$work/$1.times" | head -n 1; }
awk -v all="$(least all)" -v std="$(least std)" 'BEGIN { printf "ratio to std (least): %.2f\n", all / std }'
