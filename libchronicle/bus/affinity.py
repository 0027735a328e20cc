"""Pin the calling thread to a core, or say why not."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from libchronicle.errors import CoreUnavailable

__all__ = ["allowed_cores", "pin_to_core", "unpin"]


def allowed_cores() -> set[int]:
    """Cores the calling thread may run on now."""
    return os.sched_getaffinity(0)


def pin_to_core(core: int) -> None:
    """Run the calling thread on `core` alone; a negative number pins nothing. Threads started later inherit it.

    Raises CoreUnavailable when the host has no such core or a cpuset keeps this process off it.
    """
    if core < 0:
        return
    before = allowed_cores()
    try:
        os.sched_setaffinity(0, {core})
    except (OSError, OverflowError):
        raise CoreUnavailable(core=core, allowed=_ranges(before)) from None


def unpin() -> None:
    """Let the calling thread or process run on every core the host gives it. For helpers started by a pinned one."""
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))  # the kernel takes what the cpuset allows


def _ranges(cores: Iterable[int]) -> str:
    """{0, 1, 2, 5} -> '0-2,5', the form of cpuset files."""
    runs: list[list[int]] = []
    for core in sorted(cores):
        if runs and core == runs[-1][1] + 1:
            runs[-1][1] = core
        else:
            runs.append([core, core])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
