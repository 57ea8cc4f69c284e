# Sourced by the scripts beside it: need_packages <cell>... installs what the cells need, or says what to install.

packages_of() {
    case $1 in
        clang | tsan) echo clang libclang-rt-14-dev ;;
        windows) echo g++-mingw-w64-x86-64-posix wine64 ;;
        check) echo clang-format-16 python3 ;;
        *) echo g++ cmake ninja-build ccache libboost-dev catch2 ;;
    esac
}

# What tells without a package manager that a cell can be built.
programs_of() {
    case $1 in
        clang | tsan) echo clang++ ;;
        windows) echo x86_64-w64-mingw32-g++-posix ;;
        check) echo python3 ;;
        *) echo g++ cmake ninja ;;
    esac
}

say_what_to_install() {
    {
        echo "Some of these are missing: $*"
        echo "Install a C++20 compiler, cmake 3.25, ninja, Boost's headers, Catch2, and for speed ccache:"
        echo "    Debian, Ubuntu  apt-get install g++ cmake ninja-build ccache libboost-dev catch2 python3"
        echo "    Fedora          dnf install gcc-c++ cmake ninja-build ccache boost-devel catch-devel python3"
        echo "    Arch            pacman -S gcc cmake ninja ccache boost catch2 python"
        echo "    macOS           brew install cmake ninja ccache boost catch2"
        echo "The cells clang and tsan need clang as well, windows needs mingw-w64 and wine."
    } >&2
}

# Prints those of the packages that apt knows but are not installed.
not_installed() {
    for package in "$@"; do
        if ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok'; then
            echo "$package"
        fi
    done
}

need_packages() {
    wanted=$(packages_of base)
    for cell in "$@"; do wanted="$wanted $(packages_of "$cell")"; done
    # shellcheck disable=SC2086 # lists of words, here and below
    if command -v apt-get >/dev/null 2>&1; then
        missing=$(not_installed $wanted | sort -u)
        [ -z "$missing" ] && return 0
        as_root=
        if [ "$(id -u)" -ne 0 ]; then
            if command -v sudo >/dev/null 2>&1; then as_root=sudo; fi
            if [ -z "$as_root" ]; then
                say_what_to_install $missing
                return 1
            fi
        fi
        echo "installing:" $missing
        export DEBIAN_FRONTEND=noninteractive
        $as_root apt-get update -qq </dev/null
        # all at once, or, where this distribution does not know one of them, those that it does know
        $as_root apt-get install -y -qq --no-install-recommends $missing </dev/null >/dev/null || {
            for package in $missing; do
                $as_root apt-get install -y -qq --no-install-recommends "$package" </dev/null >/dev/null || echo "no package $package here" >&2
            done
        }
    fi
    absent=
    for cell in base "$@"; do
        for program in $(programs_of "$cell"); do
            command -v "$program" >/dev/null 2>&1 || absent="$absent $program"
        done
    done
    [ -z "$absent" ] || say_what_to_install $absent
    return 0 # the build of a cell says the rest
}
