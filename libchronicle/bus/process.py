"""Which process is meant when a file names one: pid, start time and boot, so that a reused pid is not mistaken for it."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

__all__ = ["ProcessId", "boot_id", "is_running", "this_process"]

_START_TIME_FIELD: Final = 19
"""Of what follows the command in /proc/<pid>/stat: starttime, field 22 of proc(5)."""


class ProcessId(msgspec.Struct, frozen=True):
    """`start_time` is in clock ticks since boot, 0 where it is not known."""

    pid: int
    start_time: int
    boot_id: bytes


@functools.cache
def boot_id() -> bytes:
    """16 bytes that change with every boot of the host."""
    return UUID(Path("/proc/sys/kernel/random/boot_id").read_text().strip()).bytes


def this_process() -> ProcessId:
    """Not cached: a forked child is another process."""
    pid = os.getpid()
    return ProcessId(pid=pid, start_time=_start_time(pid), boot_id=boot_id())


def is_running(process: ProcessId) -> bool:
    """True while `process` runs, and when the host hides the difference.

    Hardened units see no /proc entry of other users (ProtectProc=invisible), so existence is asked with signal 0, which
    answers EPERM for a stranger; only the start time needs /proc and goes unchecked where it cannot be read.
    """
    if process.boot_id != boot_id() or process.pid <= 0:
        return False
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    state, started = _state_and_start(process.pid)
    if state in ("Z", "X"):
        return False
    return not (process.start_time and started) or started == process.start_time


def _start_time(pid: int) -> int:
    return _state_and_start(pid)[1]


def _state_and_start(pid: int) -> tuple[str, int]:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return "", 0
    fields = stat[stat.rindex(")") + 2 :].split()
    return fields[0], int(fields[_START_TIME_FIELD])
