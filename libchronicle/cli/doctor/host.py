"""The host: room on its disks, limits of this user, the clock, what deletes files behind our back."""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Iterator, Sequence
from pathlib import Path

from libchronicle.cli.doctor.findings import Finding, Level
from libchronicle.cli.tables import size
from libchronicle.native.binding import tsc_usable
from libchronicle.queue import QueueInfo

__all__ = ["check_clock", "check_directory", "check_hot", "check_limits", "check_space"]

FILES_NEEDED = 4096
"""A router of a hundred strategies has some 1,500 files open: two queues each, three files and two segments a queue."""
LOGIND = (
    "/etc/systemd/logind.conf",
    "/etc/systemd/logind.conf.d",
    "/run/systemd/logind.conf.d",
    "/usr/lib/systemd/logind.conf.d",
)


def check_directory(root: Path) -> Iterator[Finding]:
    if not root.is_dir():
        yield Finding(
            Level.ERROR,
            str(root),
            "no such run directory",
            "chronicle up makes it; --run or --config names another",
        )
    elif not os.access(root, os.R_OK | os.X_OK):
        yield Finding(
            Level.ERROR,
            str(root),
            "cannot be read by this user",
            "run as a member of group chronicle, or chronicle access",
        )


def check_space(root: Path, infos: Sequence[tuple[str, QueueInfo]]) -> Iterator[Finding]:
    """Queues grow to their budgets; without one, two segments are the least they need."""
    by_device: dict[int, list[tuple[str, QueueInfo]]] = {}
    for name, info in infos:
        try:
            by_device.setdefault(os.stat(info.path).st_dev, []).append((name, info))
        except OSError:
            continue
    for queues in by_device.values():
        room = os.statvfs(queues[0][1].path)
        free, total = room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize
        needed = sum(_growth(info) for _, info in queues)
        least = max(info.segment_size for _, info in queues)
        where = f"file system of {queues[0][1].path}"
        if free < least:
            remedy = "free space: writing goes on then; nothing committed is lost"
            yield Finding(Level.ERROR, where, f"{size(free)} free, one segment takes {size(least)}", remedy)
        elif free < needed:
            what = f"{size(free)} of {size(total)} free, the budgets of {len(queues)} queues allow {size(needed)} more"
            yield Finding(Level.WARNING, where, what, "lower budget_bytes, or give it more space")
        if room.f_files and room.f_favail < 1000:
            yield Finding(Level.ERROR, where, f"{room.f_favail} inodes left", "remove small files")


def _growth(info: QueueInfo) -> int:
    there = sum(segment.bytes for segment in info.segments)
    return max(0, info.budget_bytes - there) if info.budget_bytes else 2 * info.segment_size


def check_hot(hot: Path | None) -> Iterator[Finding]:
    """Queues on tmpfs, and what empties it."""
    if hot is None:
        return
    if not hot.is_dir():
        yield Finding(
            Level.WARNING,
            str(hot),
            "the hot directory is not there: emptied by a reboot?",
            "chronicle up makes it anew",
        )
        return
    if not str(hot.resolve()).startswith("/dev/shm/"):
        return
    told, where = _remove_ipc()
    if told != "no" and os.getuid() >= 1000:
        yield Finding(
            Level.WARNING, str(hot), f"RemoveIPC is {told} ({where}): systemd deletes it when this user logs out",
            "put RemoveIPC=no into /etc/systemd/logind.conf.d/chronicle.conf, or run the daemons as system users",
        )  # fmt: skip


def _remove_ipc() -> tuple[str, str]:
    """The value in force and who says so; systemd's default is yes."""
    value, where = "yes", "systemd's default"
    if not Path("/run/systemd/system").is_dir():
        return "no", "no systemd"
    files = [Path(LOGIND[0])] + [
        file for folder in LOGIND[1:] for file in sorted(Path(folder).glob("*.conf"))
    ]
    for file in files:
        try:
            found = re.findall(r"^\s*RemoveIPC\s*=\s*(\w+)", file.read_text(), re.MULTILINE)
        except OSError:
            continue
        if found:
            value, where = found[-1].lower(), str(file)
    return ("no" if value in ("no", "false", "off", "0") else "yes"), where


def check_limits() -> Iterator[Finding]:
    """Of this user; daemons under systemd have those of their units."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files != resource.RLIM_INFINITY and files < FILES_NEEDED:
        yield Finding(
            Level.WARNING,
            "limit of open files",
            f"{files}, a large suite needs {FILES_NEEDED}",
            "ulimit -n 65536, or LimitNOFILE=",
        )
    locked, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if locked != resource.RLIM_INFINITY and locked < 256 << 20:
        what = f"{size(locked)}: `memlock = true` of a queue is refused"
        yield Finding(Level.NOTE, "limit of locked memory", what, "LimitMEMLOCK=infinity, if you want it")
    maps = _number("/proc/sys/vm/max_map_count")
    if maps is not None and maps < 65530:
        yield Finding(Level.WARNING, "vm.max_map_count", f"{maps}", "sysctl vm.max_map_count=65530")


def check_clock() -> Iterator[Finding]:
    if not tsc_usable():
        source = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
        said = source.read_text().strip() if source.exists() else "unknown"
        yield Finding(
            Level.WARNING, "clock", f"the TSC cannot be used (clocksource {said}): an append costs several times more",
            "boot with tsc=reliable if the processor has an invariant TSC",
        )  # fmt: skip


def _number(path: str) -> int | None:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return None
