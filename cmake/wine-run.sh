#!/bin/sh
# Runs a Windows program headless, in a wine prefix of our own that is made on first use:
#     cmake/wine-run.sh program.exe [arguments]
#     cmake/wine-run.sh --stop      ends the wine server of that prefix, and with it every program in it
: "${WINEPREFIX:=${XDG_CACHE_HOME:-$HOME/.cache}/multiprocessing-wine}"
: "${WINEDEBUG:=-all}"
export WINEPREFIX WINEDEBUG WINEARCH=win64
# no .NET, no browser, no menu entries, and no debugger that prints a page for every crash
export WINEDLLOVERRIDES="mscoree,mshtml=;winemenubuilder.exe=d;winedbg.exe=d"
unset DISPLAY WAYLAND_DISPLAY

first_of() {
    for candidate in "$@"; do
        if command -v "$candidate" >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    echo "wine-run.sh: none of these is installed: $*" >&2
    exit 127
}
# Debian's /usr/bin/wineserver is a wrapper that makes the server leave at once, so its own folder comes first.
wine=$(first_of /usr/lib/wine/wine64 wine64 wine) || exit 127
server=$(first_of /usr/lib/wine/wineserver64 wineserver64 wineserver) || exit 127

if [ "$1" = --stop ]; then
    "$server" -k
    exit 0
fi

# The first program of a server starts wine's services, which keep that program's standard error open: whoever reads it
# to the end, as ctest does, would wait for them. So that first program is one of ours, and the server stays a while.
mkdir -p "$WINEPREFIX"
if ! "$server" -k0 2>/dev/null; then
    (
        flock 9
        if ! "$server" -k0 2>/dev/null; then
            "$server" -p"${WINE_LINGER:-300}"
            if [ ! -e "$WINEPREFIX/.ready" ]; then
                "$wine" wineboot.exe -i && "$wine" winecfg.exe -v win10 && : >"$WINEPREFIX/.ready"
            fi
            "$wine" cmd.exe /c exit
        fi </dev/null >/dev/null 2>&1 9>&-
    ) 9>"$WINEPREFIX/.lock"
fi
exec "$wine" "$@"
