"""Discovery: which endpoints are there, told as they come and go.

    scan       the truth: every sub-directory with READY and a lease that holds
    inotify    only shortens the time to the next scan; its overflow or absence costs at most one cadence
    Roster     the pure part: what was known, what a scan found -> Added and Removed, each once

An endpoint that came back under a new epoch between two scans is told as Removed, then Added. One whose lease cannot be read
stays what it was. Runs in a sidecar or a process of its own, never in a hot loop: it opens files.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec

from libchronicle.bus.endpoint import EndpointStatus, inspect_endpoint
from libchronicle.bus.inotify import DirectoryWatch
from libchronicle.bus.interrupt import Interrupt
from libchronicle.bus.lease import Liveness
from libchronicle.bus.names import decode_name
from libchronicle.errors import InvalidName

__all__ = [
    "DEFAULT_CADENCE_S",
    "Added",
    "Discovery",
    "DiscoveryEvent",
    "Removed",
    "Roster",
    "Sighting",
    "scan",
]

DEFAULT_CADENCE_S: Final = 0.5


class Sighting(msgspec.Struct, frozen=True):
    """What one look at an endpoint showed. `registration` differs for every registration, also of the same epoch."""

    name: str
    path: Path
    liveness: Liveness
    epoch: int = 0
    registration: tuple[int, int, int] = (0, 0, 0)


class Added(msgspec.Struct, frozen=True):
    """An endpoint came: READY is there and its lease holds."""

    name: str
    path: Path
    epoch: int


class Removed(msgspec.Struct, frozen=True):
    """An endpoint went; `reason` says how: gone, process ended, lease expired, registered anew."""

    name: str
    path: Path
    epoch: int
    reason: str


DiscoveryEvent = Added | Removed


class Roster:
    """Known endpoints by name. Pure: no clock, no file."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[str, Sighting] = {}

    def names(self) -> list[str]:
        return sorted(self._known)

    def update(self, sightings: Iterable[Sighting]) -> list[DiscoveryEvent]:
        """Events that lead from what was known to `sightings`; removals first, each group by name."""
        seen = {sighting.name: sighting for sighting in sightings}
        removed: list[DiscoveryEvent] = []
        added: list[DiscoveryEvent] = []
        for name, known in sorted(self._known.items()):
            now = seen.get(name)
            if now is not None and now.liveness is Liveness.UNKNOWN:
                continue
            if now is None or now.liveness is not Liveness.ALIVE:
                reason = now.liveness.value if now else "gone"
            elif now.registration != known.registration:
                reason = "registered anew"
            else:
                continue
            removed.append(Removed(name, known.path, known.epoch, reason))
            del self._known[name]
        for name, now in sorted(seen.items()):
            if now.liveness is Liveness.ALIVE and name not in self._known:
                self._known[name] = now
                added.append(Added(name, now.path, now.epoch))
        return removed + added


def scan(directory: Path) -> list[Sighting]:
    """Look at every endpoint below `directory` now. A directory that is not there holds none."""
    try:
        entries = sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []
    sightings = []
    for entry in entries:
        try:
            name = decode_name(entry, "endpoint")
        except InvalidName:
            continue
        status = inspect_endpoint(directory / entry)
        if status.ready:
            sightings.append(_sighting(name, status))
    return sightings


def _sighting(name: str, status: EndpointStatus) -> Sighting:
    lease = status.lease
    if lease is None:
        return Sighting(name, status.path, status.liveness)
    registration = (lease.holder.pid, lease.holder.start_time, lease.made_at_ns)
    return Sighting(name, status.path, status.liveness, lease.epoch, registration)


class Watcher:
    """Looks at one directory of endpoints when told by inotify or when the cadence is over. Belongs to one thread."""

    def __init__(
        self,
        directory: Path,
        *,
        cadence_s: float = DEFAULT_CADENCE_S,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.directory: Final = directory
        self.cadence_s: Final = cadence_s
        self.scans = 0
        self._watch: Final = DirectoryWatch()
        self._monotonic_s: Final = monotonic_s
        self._next_scan_s = monotonic_s()

    def look(self) -> list[Sighting] | None:
        """What is there; None while there is no reason to look."""
        changed = self._watch.drain()
        if not changed and self._monotonic_s() < self._next_scan_s:
            return None
        self._next_scan_s = self._monotonic_s() + self.cadence_s
        self.scans += 1
        self._watch_all()  # before the look, so that what comes after it is told
        return scan(self.directory)

    def wait(self, timeout_s: float | None, *also: int) -> None:
        """Sleep, outside the GIL, until there may be a reason to look or one of the descriptors `also` is readable."""
        sleep = self._next_scan_s - self._monotonic_s()
        self._watch.wait(sleep if timeout_s is None else min(sleep, timeout_s), *also)

    def close(self) -> None:
        self._watch.close()

    def _watch_all(self) -> None:
        """The directory for new endpoints, each endpoint for READY; a parent until the directory is there."""
        watched = self._watch.watched()
        if not self.directory.is_dir():
            parent = next(parent for parent in self.directory.absolute().parents if parent.is_dir())
            if parent not in watched:
                self._watch.add(parent)
            return
        wanted = [self.directory]
        with os.scandir(self.directory) as entries:
            wanted += [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
        for directory in wanted:
            if directory not in watched:
                self._watch.add(directory)


class Discovery:
    """Tells the comings and goings of endpoints below `directory`. Belongs to one thread but for `interrupt`."""

    def __init__(
        self,
        directory: Path,
        *,
        cadence_s: float = DEFAULT_CADENCE_S,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.roster: Final = Roster()
        self.watcher: Final = Watcher(directory, cadence_s=cadence_s, monotonic_s=monotonic_s)
        self._monotonic_s: Final = monotonic_s
        self._stop: Final = Interrupt()

    def poll(self) -> list[DiscoveryEvent]:
        """What changed since the last call, without waiting."""
        sightings = self.watcher.look()
        return [] if sightings is None else self.roster.update(sightings)

    def wait(self, timeout_s: float | None = None) -> list[DiscoveryEvent]:
        """Events as soon as there are some; empty when the time is over or `interrupt()` was called."""
        deadline = None if timeout_s is None else self._monotonic_s() + timeout_s
        while not (events := self.poll()):
            left = None if deadline is None else deadline - self._monotonic_s()
            if left is not None and left <= 0:
                break
            self.watcher.wait(left, self._stop.fileno())
            if self._stop.take():
                break
        return events

    def interrupt(self) -> None:
        """Make `wait()` return early. May be called from another thread or a signal handler."""
        self._stop.set()

    def close(self) -> None:
        self.watcher.close()
        self._stop.close()
