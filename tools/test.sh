#!/bin/sh
# Builds and tests the library:
#     tools/test.sh              g++, and every check of the repository
#     tools/test.sh clang asan   other cells: dev release clang asan tsan windows
#     tools/test.sh --ci         all that is tested before a change is taken
# Installs with apt what is missing, or says what to install. Prints one line per cell and the sum of all tests at the end;
# exit status 0 only if every cell was built and every test passed.
cd "$(dirname "$0")/.." || exit 1
. tools/packages.sh

case ${1:-} in
    --ci)
        CI=true
        export CI
        set -- dev clang asan tsan windows
        ;;
    -*)
        sed -n '2,7s/^# \{0,1\}//p' "$0"
        exit 2
        ;;
    '') set -- dev ;;
esac

need_packages check "$@" || exit 1

logs=$(mktemp -d) || exit 1
trap 'rm -rf "$logs"' EXIT
summary="$logs/summary"
: >"$summary"
total_passed=0 total_failed=0 total_skipped=0 broken=0

# Prints the number that a pattern finds in the log, 0 if it finds none.
number_in() {
    sed -n "s/$1/\\1/p" "$2" | tail -n 1 | grep . || echo 0
}

can_run_windows() {
    command -v x86_64-w64-mingw32-g++-posix >/dev/null 2>&1 && cmake/wine-run.sh --version >/dev/null 2>&1
}

for cell in "$@"; do
    echo
    echo "==== $cell"
    if [ "$cell" = windows ] && [ -z "${CI:-}" ] && ! can_run_windows; then
        echo "!!!! mingw-w64 or wine is missing: NOTHING IS TESTED for Windows" | tee -a "$summary"
        continue
    fi
    log="$logs/$cell"
    began=$(date +%s)
    { cmake --workflow --preset "$cell" </dev/null 2>&1; echo $? >"$log.status"; } | tee "$log"
    status=$(cat "$log.status")
    seconds=$(($(date +%s) - began))

    tests=$(number_in '.*tests failed out of \([0-9]*\)$' "$log")
    failed=$(number_in '.*tests passed, \([0-9]*\) tests failed out of .*' "$log")
    skipped=$(grep -c '^ *[0-9]*/[0-9]* Test .*\*\*\*Skipped' "$log")
    passed=$((tests - failed - skipped))
    outcome=ok
    if [ "$tests" -eq 0 ]; then
        outcome="NOT BUILT"
    elif [ "$status" -ne 0 ] || [ "$failed" -ne 0 ]; then
        outcome=FAILED
    fi
    [ "$outcome" = ok ] || broken=$((broken + 1))
    printf '%-8s %-9s %4d passed, %d failed, %d skipped (%d s)\n' \
        "$cell" "$outcome" "$passed" "$failed" "$skipped" "$seconds" >>"$summary"
    total_passed=$((total_passed + passed)) total_failed=$((total_failed + failed)) total_skipped=$((total_skipped + skipped))
    sed -n '/^The following tests FAILED:/,/^Errors while/{/^[[:space:]]/p;}' "$log" >>"$summary"
done
[ -z "${CI:-}" ] || case " $* " in *" windows "*) cmake/wine-run.sh --stop ;; esac

echo
echo "==== summary"
cat "$summary"
# A cell that was not built, or failed without a failed test, is a failure that no test has counted.
if [ "$broken" -gt 0 ] && [ "$total_failed" -eq 0 ]; then total_failed=$broken; fi
echo "total: $total_passed passed, $total_failed failed, $total_skipped skipped"
[ "$broken" -eq 0 ]
