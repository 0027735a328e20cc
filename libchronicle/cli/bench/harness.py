"""What every benchmark shares: options, scratch directories, medians, machine facts."""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from libchronicle.errors import ConfigError

_CORES = tuple(sorted(os.sched_getaffinity(0)))  # before a benchmark pins itself to one of them
_NOT_BENCHES = {"harness"}


@dataclass(frozen=True)
class BenchOptions:
    """How to run: `tiny` for the test suite; `medium` is where queues live, "shm" (/dev/shm) or "disk" (`disk_dir`).

    For `peers` only: `seconds` of one measurement of one peer, which `peers` (empty = all), and further interpreters
    in which their packages may be.
    """

    tiny: bool = False
    medium: str = "shm"
    repeats: int = 5
    disk_dir: str = "."
    data: str = "../shared/data"
    cpus: tuple[int, ...] = ()
    seconds: float = 0.3
    peers: tuple[str, ...] = ()
    pythons: tuple[str, ...] = ()

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A fresh directory on the chosen medium, removed afterwards."""
        base = "/dev/shm" if self.medium == "shm" and os.path.isdir("/dev/shm") else self.disk_dir
        if not os.path.isdir(base):
            raise ConfigError(file="bench", key="--directory", reason=f"{base} is no directory")
        path = Path(tempfile.mkdtemp(prefix="chronicle-bench-", dir=base))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def recording(self, relative: str) -> Path:
        """A recording below the data directory.

        Raises:
            ConfigError: it is not there; CHRONICLE_DATA or --data names the directory.
        """
        path = Path(os.environ.get("CHRONICLE_DATA", self.data)) / relative
        if not path.is_file():
            raise ConfigError(
                file=str(path), key="--data", reason="no such recording; set CHRONICLE_DATA or --data"
            )
        return path

    def pair(self) -> tuple[int, int]:
        """Two cores to pin a writer and a reader to; the same one twice on a single-core machine."""
        cores = self.cpus or _CORES
        return cores[0], cores[min(1, len(cores) - 1)]


@contextmanager
def undisturbed(core: int) -> Iterator[None]:
    """Pinned to `core`, without garbage collection."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        os.sched_setaffinity(0, before)


def available() -> list[str]:
    """Names of all benchmarks, sorted."""
    package = importlib.import_module("libchronicle.cli.bench")
    return sorted(
        m.name
        for m in pkgutil.iter_modules(package.__path__)
        if m.name not in _NOT_BENCHES and not m.name.startswith("_")
    )


def machine() -> dict[str, str]:
    """Interpreter and processor the figures belong to."""
    cpu = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            cpu = next(
                (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu
            )
    except OSError:
        pass
    base = getattr(sys, "_base_executable", sys.executable)
    python = f"{platform.python_implementation()} {platform.python_version()} ({platform.python_compiler()}, {base})"
    return {"python": python, "cpu": f"{cpu} x{os.cpu_count()}"}


def circumstances(options: BenchOptions) -> dict[str, str | bool]:
    """What the figures of a run hold for: size and medium, interpreter and processor."""
    return {"tiny": options.tiny, "medium": options.medium, **machine()}


def medians(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Median of each key over several runs."""
    return {key: median(row[key] for row in rows) for key in rows[0]}


def run_bench(name: str, options: BenchOptions) -> dict[str, Any]:
    """Run one benchmark.

    Raises:
        ConfigError: there is no benchmark of that name.
    """
    if name not in available():
        raise ConfigError(
            file="bench", key=name, reason=f"no such benchmark; there are: {', '.join(available())}"
        )
    figures = importlib.import_module(f"libchronicle.cli.bench.{name}").run(options)
    return {"bench": name, **figures, **circumstances(options)}
