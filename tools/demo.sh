#!/bin/sh
# Builds the main example, optimised, and runs it: tools/demo.sh [arguments of the example]
# DEMO_TARGET chooses another one, such as example.03_name.
cd "$(dirname "$0")/.." || exit 1
. tools/packages.sh
: "${DEMO_TARGET:=example.10_analyse_files}"

need_packages base || exit 1
cmake --preset release -B build/demo -D MULTIPROCESSING_TESTS=OFF >/dev/null &&
    cmake --build build/demo --target "$DEMO_TARGET" >&2 || exit 1
exec "build/demo/examples/$DEMO_TARGET" "$@"
