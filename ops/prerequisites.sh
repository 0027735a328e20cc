#!/bin/sh
# Names what is missing to build Chronicle, and the Debian package that brings it.
python=${1:-python3}
missing=""

need() { missing="$missing\n  $1: install it with 'apt-get install $2'"; }

if ! command -v "$python" >/dev/null 2>&1; then
    printf 'Chronicle needs Python 3.11 or newer; %s is not there:\n  apt-get install python3\n' "$python" >&2
    exit 1
fi
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    printf 'Chronicle needs Python 3.11 or newer; %s is %s. Name another one: make PYTHON=python3.11\n' "$python" "$version" >&2
    exit 1
fi
"$python" -c 'import venv, ensurepip' 2>/dev/null || need "the venv module of $python" "python$version-venv"
header=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include") + "/Python.h")')
[ -f "$header" ] || need "the C headers of $python ($header)" "python$version-dev"
cc=${CC:-gcc}
if ! command -v "${cc%% *}" >/dev/null 2>&1; then
    need "the C compiler ${cc%% *}" gcc
elif ! printf '#include <stdint.h>\n#include <linux/futex.h>\nint main(void){return 0;}\n' | $cc -x c -o /dev/null - 2>/dev/null; then
    need "the C library's headers" libc6-dev
fi
if [ -n "$missing" ]; then
    printf 'Chronicle cannot be built yet; missing:%b\n' "$missing" >&2
    exit 1
fi
