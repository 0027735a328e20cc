"""The core for hosts without futexes, OFD locks, fallocate, MADV_POPULATE, eventfd and /proc: macOS and the BSDs.

Built here with -DCHR_PORTABLE, which takes platform_portable.c on Linux too, and run through the tests of the core and of
queues; and compiled and linked for those systems themselves, where a cross-compiler is at hand.
"""

import ast
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.proof.conftest import LONG, LONG_LIMIT_S

ROOT = Path(__file__).resolve().parents[2]
NATIVE = ROOT / "libchronicle" / "native"
SOURCES = sorted(NATIVE.glob("*.c"))
CORE_TEST = ROOT / "tests" / "native" / "core_test.c"
WARNINGS = ["-Wall", "-Wextra", "-Wno-format-truncation", "-Werror"]

# The long proof takes all tests of queues.
SHORT = ("test_append_and_read", "test_ownership", "test_fork")

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


def cpu_flags(zig: bool = False, machine: str = platform.machine()) -> list[str]:
    if machine == "x86_64":
        return ["-msse4.2", "-mpclmul"]
    return ["-mcpu=generic+crc"] if zig else ["-march=armv8-a+crc"]


def run(command, **more):
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, **more
    )


def test_only_the_platform_files_know_which_host_they_run_on():
    of_one_host = re.compile(
        r"#include <(linux/|sys/(syscall|eventfd|prctl|inotify|random|sysctl)|sched|mach)"
        r"|\b(syscall|fallocate|fdatasync|eventfd|prctl|madvise|F_OFD\w+|MADV_\w+|SYS_\w+)|\"/(proc|sys|etc)/"
    )
    known = {
        "files.c": {"#include <sys/random"},
        "clock.c": {'"/sys/'},
    }  # getentropy() is everywhere; no such file: no TSC
    for source in (*SOURCES, *NATIVE.glob("*.h")):
        if source.name.startswith("platform_"):
            continue
        code = re.sub(r"/\*.*?\*/", "", source.read_text(), flags=re.DOTALL)
        found = {match.group(0) for match in of_one_host.finditer(code)} - known.get(source.name, set())
        assert not found, f"{source.name}: {found}"


SANITIZERS = {
    "thread": ["-fsanitize=thread", "-Wno-tsan"],
    "address": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
}


@needs_gcc
@pytest.mark.parametrize("kind", SANITIZERS if LONG else ["thread"])
def test_the_core_without_the_help_of_linux(tmp_path, kind):
    program = tmp_path / "core_test"
    command = [
        "gcc",
        "-std=gnu11",
        "-g",
        "-O1",
        *WARNINGS,
        *cpu_flags(),
        "-pthread",
        "-DCHR_PORTABLE",
        *SANITIZERS[kind],
    ]
    done = run([*command, f"-I{NATIVE}", CORE_TEST, *SOURCES, "-o", program])
    if done.returncode and "cannot find" in done.stderr:
        pytest.skip(f"no runtime for {kind}: {done.stderr.splitlines()[-2]}")
    assert done.returncode == 0, done.stderr
    for work in (["unit", tmp_path / "u"], ["stress", tmp_path / "s", 5000]):
        done = run([program, *work], timeout=100)
        assert (done.returncode, done.stdout) == (0, "ok\n"), done.stdout + done.stderr


@pytest.fixture(scope="module")
def overlay(tmp_path_factory):
    """The installed packages once more, with a binding that was built for no particular host."""
    pytest.importorskip("Cython")
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    import libchronicle
    from libchronicle.native import binding

    top = tmp_path_factory.mktemp("portable")
    installed = Path(libchronicle.__path__[0])
    shutil.copytree(
        installed,
        top / "libchronicle",
        symlinks=True,
        ignore=shutil.ignore_patterns("binding*.so", "__pycache__"),
    )
    code = top / "binding.c"
    done = run(
        [sys.executable, "-m", "cython", "-3", *DIRECTIVES, NATIVE / "binding.pyx", "-o", code], cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    command = [
        "gcc",
        "-shared",
        "-fPIC",
        "-O1",
        "-w",
        "-std=gnu11",
        "-fno-strict-aliasing",
        "-fvisibility=hidden",
        *cpu_flags(),
    ]
    headers = [f"-I{NATIVE}", f"-I{sysconfig.get_path('include')}"]
    out = top / "libchronicle" / "native" / Path(binding.__file__).name
    done = run([*command, "-pthread", "-DCHR_PORTABLE", *headers, code, *SOURCES, "-o", out])
    assert done.returncode == 0, done.stderr
    return top


DIRECTIVES = [
    part
    for name in ("boundscheck=False", "wraparound=False", "cdivision=True", "initializedcheck=False")
    for part in ("-X", name)
]


def test_queues_without_the_help_of_linux(overlay, tmp_path):
    environ = {**os.environ, "PYTHONPATH": str(overlay), "PYTHONSAFEPATH": "1"}
    probe = """if True:
        import tempfile
        from libchronicle.native import binding
        with tempfile.TemporaryFile() as scratch:
            print(binding.platform_facts(scratch.fileno()))
    """
    done = run([sys.executable, "-c", probe], env=environ)
    assert done.returncode == 0, done.stderr
    facts = ast.literal_eval(done.stdout)
    assert facts["lock"] == 0
    assert facts["shared_words"] != 0, "this binding must know no futex"
    files = sorted((ROOT / "tests" / "queue").glob("test_*.py"))
    if not LONG:
        files = [file for file in files if file.stem in SHORT]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "--basetemp",
        tmp_path / "t",
    ]
    done = run([*command, *files], env=environ, cwd=ROOT, timeout=LONG_LIMIT_S if LONG else 110)
    assert done.returncode == 0, done.stdout[-4000:]


MACS = ("aarch64-macos", "x86_64-macos")
OTHERS = ("x86_64-freebsd", "aarch64-linux-gnu", "x86_64-linux-musl")


@pytest.mark.parametrize("target", (*MACS, *OTHERS) if LONG else MACS)
def test_the_core_compiles_and_links_for_other_systems(tmp_path, target):
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("needs a cross-compiler: pip install ziglang")
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", target]
    flags = [
        "-std=gnu11",
        "-O1",
        *WARNINGS,
        *cpu_flags(zig=True, machine=target.split("-")[0]),
        "-pthread",
        f"-I{NATIVE}",
    ]
    done = run([*compiler, *flags, CORE_TEST, *SOURCES, "-o", tmp_path / "core_test"])
    assert done.returncode == 0, done.stderr
