"""What the file system and the host under a directory can do of what queues make use of."""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path

import msgspec

from libchronicle.native.binding import platform_facts, tsc_usable

__all__ = ["HostFacts", "file_system", "look_at"]


class HostFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Each of `works` is "yes", or why not."""

    system: str
    file_system: str
    mount: str
    free_bytes: int
    works: dict[str, str]


def _unescape(text: str) -> str:
    """mountinfo writes blanks and backslashes as octal numbers (proc(5))."""
    return text.encode().decode("unicode_escape").encode("latin-1").decode(errors="replace")


def file_system(path: Path) -> tuple[str, str]:
    """(type, mount point) of the file system `path` lies on; unknown where there is no /proc."""
    where = path.resolve()
    best = ("unknown", "")
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return best
    for line in lines:
        mount, _, rest = line.partition(" - ")
        point = _unescape(mount.split()[4])
        if (where == Path(point) or Path(point) in where.parents) and len(point) >= len(best[1]):
            best = (rest.split()[0], point)
    return best


def look_at(path: Path) -> HostFacts:
    """Try each on a scratch file without a name under `path`, a directory. Raises OSError."""
    kind, mount = file_system(path)
    with tempfile.TemporaryFile(dir=path) as scratch:
        facts = platform_facts(scratch.fileno())
    works = {name: "yes" if error == 0 else os.strerror(error) for name, error in facts.items()}
    works["tsc"] = "yes" if tsc_usable() else "not invariant: the system clock is used"
    room = os.statvfs(path)
    return HostFacts(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        file_system=kind,
        mount=mount,
        free_bytes=room.f_bavail * room.f_frsize,
        works=works,
    )
