"""`chronicle native`: what another language needs to use the queues: flags, sources, and the core as a library."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import libchronicle.native
from libchronicle.errors import HostError

__all__ = ["NATIVE", "cflags", "run_native", "sources"]

NATIVE = Path(libchronicle.native.__file__).parent
EXAMPLE = NATIVE / "examples" / "both_ways.c"
LIBS = ("-pthread",)
_MACHINES = {
    "x86_64": ("-msse4.2", "-mpclmul"),  # CRC32C in hardware
    "aarch64": ("-march=armv8-a+crc",),
}
_PKG_CONFIG = """prefix={directory}
Name: chronicle
Description: Queues of Chronicle: append and read from C
Version: {abi}
Cflags: -I${{prefix}}
Libs: -L${{prefix}} -lchronicle -pthread
"""


def cflags() -> tuple[str, ...]:
    """Flags that compile the core and a program that uses it."""
    machine = platform.machine().lower()
    return ("-std=gnu11", "-O2", f"-I{NATIVE}", "-pthread", *_MACHINES.get(machine, ()))


def sources() -> list[Path]:
    """Every C file of the core and its stable face."""
    return sorted(NATIVE.glob("*.c"))


def run_native(
    *,
    cflags_wanted: bool,
    sources_wanted: bool,
    libs_wanted: bool,
    header: bool,
    example: bool,
    build: str | None,
) -> None:
    """Print what was asked for on one line, or build. Raises HostError."""
    if build is not None:
        for made in _build(Path(build)):
            print(made)
        return
    words: list[str] = []
    words += cflags() if cflags_wanted else ()
    words += map(str, sources()) if sources_wanted else ()
    words += LIBS if libs_wanted else ()
    words += [str(NATIVE / "chronicle.h")] if header else []
    words += [str(EXAMPLE)] if example else []
    print(shlex.join(words or [str(NATIVE)]))


def _build(directory: Path) -> list[Path]:
    """libchronicle.a, libchronicle.so, chronicle.h and chronicle.pc in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    directory = directory.resolve()
    static, shared = directory / "libchronicle.a", directory / "libchronicle.so"
    with tempfile.TemporaryDirectory() as scratch:
        objects = [Path(scratch) / f"{source.stem}.o" for source in sources()]
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            list(pool.map(_compile, sources(), objects))
        static.unlink(missing_ok=True)
        _run([_tool("AR", "ar"), "rcs", str(static), *map(str, objects)])
        _run([*_compiler(), "-shared", "-o", str(shared), *map(str, objects), *LIBS])
    header, config = directory / "chronicle.h", directory / "chronicle.pc"
    shutil.copyfile(NATIVE / "chronicle.h", header)
    config.write_text(_PKG_CONFIG.format(directory=directory, abi=1))
    return [static, shared, header, config]


def _compile(source: Path, target: Path) -> None:
    _run([*_compiler(), *cflags(), "-fPIC", "-fvisibility=hidden", "-c", str(source), "-o", str(target)])


def _compiler() -> list[str]:
    return shlex.split(os.environ.get("CC", "")) or [_tool("CC", "cc")]


def _tool(variable: str, name: str) -> str:
    found = shutil.which(os.environ.get(variable) or name) or shutil.which("gcc" if name == "cc" else name)
    if found is None:
        raise HostError(path=name, reason="not found; Debian package build-essential brings it")
    return found


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise HostError(path=command[0], reason=error.strerror or str(error)) from None
    if done.returncode:
        raise HostError(
            path=command[-1], reason=done.stderr.strip() or f"{command[0]} ended with {done.returncode}"
        )
