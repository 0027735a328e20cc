"""Proofs: each runs a short version with the tests and a long one with `make proof` (environment CHRONICLE_PROOF=long).

A proof asks `scale` how much to do and gives its figures to `report`; the long run prints them as a table.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

NATIVE = Path(__file__).resolve().parents[2] / "libchronicle" / "native"
HARNESS = Path(__file__).with_name("native")
LONG = os.environ.get("CHRONICLE_PROOF") == "long"
LONG_LIMIT_S = (
    4 * 3600
)  # of one long proof, beside whatever else the machine does; a short one keeps the limit of every test

_figures: list[tuple[str, float, dict[str, object]]] = []


@dataclass(frozen=True)
class Scale:
    """How much a proof does: `scale(short, long)` picks."""

    long: bool

    def __call__(self, short: int, long: int) -> int:
        return long if self.long else short


@pytest.fixture(scope="session")
def scale() -> Scale:
    return Scale(LONG)


@pytest.fixture
def seed() -> int:
    """Random, printed; CHRONICLE_PROOF_SEED repeats a run."""
    value = int(os.environ.get("CHRONICLE_PROOF_SEED") or random.randrange(1, 1 << 30))
    print("seed", value)
    return value


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Iterator[Callable[..., None]]:
    """report(kills=2000, …): figures of this proof for the table at the end."""
    began = time.monotonic()
    found: dict[str, object] = {}
    yield found.update
    _figures.append((request.node.name, time.monotonic() - began, found))


@pytest.fixture
def memory_dir() -> Iterator[Path]:
    """A fresh directory in memory, where a sync costs nothing; removed afterwards."""
    base = Path("/dev/shm")
    if not os.access(base, os.W_OK):
        pytest.skip("no /dev/shm")
    path = base / f"chronicle-proof-{os.getpid()}-{random.randrange(1 << 30):x}"
    path.mkdir()
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """compiled(name, *flags): the C program of tests/proof/native/<name>.c, built once; see native/steps.h for how."""
    done: dict[tuple[str, ...], Path] = {}

    def build(name: str, *more: str) -> Path:
        if (name, *more) not in done:
            done[name, *more] = _build(tmp_path_factory.mktemp("proof"), name, more)
        return done[name, *more]

    return build


@pytest.fixture
def run_proof(compiled: Callable[..., Path]) -> Callable[..., dict[str, int]]:
    """run_proof(name, *args): the figures that the C program prints as its last line; what it found wrong fails the test."""

    def run(name: str, *args: object) -> dict[str, int]:
        command = [str(compiled(name)), *map(str, args)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONG_LIMIT_S, check=False)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"
        figures: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
        return figures

    return run


_WARNINGS = ("-Wall", "-Wextra", "-Wno-format-truncation", "-Wno-tsan", "-Werror")
_LINKED = ("-Wall", "-Wextra", "-Werror")
_BASE = ("-std=gnu11", "-g", "-O1", "-msse4.2", "-mpclmul", "-pthread", f"-I{NATIVE}", f"-I{HARNESS}")
_ANNOUNCED = ("-fsanitize=thread", "-Dmemcpy=steps_memcpy", "-Dmemset=steps_memset")
_WRAPPED = (  # calls that change a file system, or make it durable, or take memory
    "open,mkdir,link,rename,unlink,fallocate,posix_fallocate,write,pwrite,ftruncate,fsync,fdatasync,msync,mmap,munmap,fstatfs,pthread_create,chr_stock_hurried"
)


def _build(into: Path, name: str, more: tuple[str, ...]) -> Path:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is not installed")
    stepping = [*sorted(NATIVE.glob("*.c")), HARNESS / "scene.c", HARNESS / "check.c"]
    watching = [HARNESS / "steps.c", HARNESS / "announced.c", HARNESS / "image.c", HARNESS / f"{name}.c"]
    objects = []
    for source in (*stepping, *watching):
        flags = _ANNOUNCED if source in stepping else ()
        objects.append(into / f"{source.stem}.o")
        _run([compiler, *_BASE, *_WARNINGS, *flags, *more, "-c", source, "-o", objects[-1]])
    program = into / name
    wraps = [f"-Wl,--wrap={call}" for call in _WRAPPED.split(",")]
    _run([compiler, "-no-pie", "-pthread", *objects, *wraps, "-o", program])
    return program


@pytest.fixture(scope="session")
def linked(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """linked(*sources, flags=, wraps=, compiler=): programs of tests/proof/native with the core, optimised; built once.

    Skips where the compiler or a sanitizer's runtime is missing.
    """
    done: dict[object, Path] = {}

    def build(*sources: str, flags: tuple[str, ...] = (), wraps: str = "", compiler: str = "gcc") -> Path:
        key = (sources, flags, compiler)
        if key not in done:
            if shutil.which(compiler) is None:
                pytest.skip(f"{compiler} is not installed")
            done[key] = tmp_path_factory.mktemp("linked") / sources[0]
            files = [*(HARNESS / f"{name}.c" for name in sources), *sorted(NATIVE.glob("*.c"))]
            command = [compiler, *_BASE, "-O2", *_LINKED, *flags, *map(str, files), "-o", str(done[key])]
            command += [f"-Wl,--wrap={call}" for call in wraps.split()]
            made = subprocess.run(command, capture_output=True, text=True, check=False)
            if "cannot find" in made.stderr:
                pytest.skip(made.stderr.splitlines()[-2])
            assert made.returncode == 0, made.stderr
        return done[key]

    return build


def _run(command: list[object]) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if LONG and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(LONG_LIMIT_S))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not LONG or not _figures:
        return
    terminalreporter.section("proofs")
    for name, seconds, found in _figures:
        shown = "  ".join(
            f"{key} {value:,}" if isinstance(value, int) else f"{key} {value}" for key, value in found.items()
        )
        terminalreporter.write_line(f"{name:60} {seconds:7.1f} s  {shown}")
