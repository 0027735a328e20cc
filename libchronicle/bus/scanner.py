"""Discovery for hot processes: the looking is done by a small process of its own.

A scan costs a Python thread some hundred microseconds of the interpreter's lock, which in a hot process is a pause of
its loop. Here a child scans and writes one JSON line whenever what it sees changed; the parent's thread sleeps in
poll(2) and takes the lock only then. The child ends when its standard input closes, so it never outlives its parent;
the parent starts a new one if it is killed.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from libchronicle.bus.affinity import unpin
from libchronicle.bus.discovery import DEFAULT_CADENCE_S, DiscoveryEvent, Roster, Sighting, Watcher
from libchronicle.bus.interrupt import Interrupt
from libchronicle.bus.lease import Liveness

__all__ = ["RemoteDiscovery", "main"]

_RESTART_S: Final = 0.5


class _Line(msgspec.Struct, array_like=True, frozen=True):
    """A Sighting on the pipe."""

    name: str
    path: str
    liveness: Liveness
    epoch: int
    registration: tuple[int, int, int]


class RemoteDiscovery:
    """Like Discovery, with the scans in a child process. Belongs to one thread but for `interrupt`."""

    def __init__(self, directory: Path, *, cadence_s: float = DEFAULT_CADENCE_S) -> None:
        self.directory: Final = directory
        self.cadence_s: Final = cadence_s
        self.roster: Final = Roster()
        self.restarts = -1
        """How often the child had to be started again."""
        self._decoder: Final = msgspec.json.Decoder(list[_Line])
        self._stop: Final = Interrupt()
        self._child: subprocess.Popen[bytes] | None = None
        self._rest = b""
        self._start_s = time.monotonic()

    @property
    def pid(self) -> int:
        """Of the child; 0 while there is none."""
        return self._child.pid if self._child else 0

    def wait(self, timeout_s: float | None = None) -> list[DiscoveryEvent]:
        """Events as soon as there are some; empty when the time is over or `interrupt()` was called."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            now = time.monotonic()
            if self._child is None and now >= self._start_s:
                self._start_child()
            left = None if deadline is None else max(0.0, deadline - now)
            if self._child is None:
                left = self._start_s - now if left is None else min(left, self._start_s - now)
            ready = self._poll(left)
            events = self._read() if self._child is not None and self._pipe() in ready else []
            interrupted = self._stop.fileno() in ready and self._stop.take()
            if events or interrupted or (deadline is not None and time.monotonic() >= deadline):
                return events

    def interrupt(self) -> None:
        """Make `wait()` return early. May be called from another thread or a signal handler."""
        self._stop.set()

    def close(self) -> None:
        self._end_child()
        self._stop.close()

    # ------------------------------------------------------------ the child

    def _poll(self, timeout_s: float | None) -> set[int]:
        poller = select.poll()
        poller.register(self._stop.fileno(), select.POLLIN)
        if self._child is not None:
            poller.register(self._pipe(), select.POLLIN)
        return {descriptor for descriptor, _ in poller.poll(None if timeout_s is None else timeout_s * 1000)}

    def _pipe(self) -> int:
        assert self._child is not None
        assert self._child.stdout is not None
        return self._child.stdout.fileno()

    def _start_child(self) -> None:
        command = [
            sys.executable,
            "-m",
            "libchronicle.bus.scanner",
            os.fspath(self.directory),
            str(self.cadence_s),
        ]
        self._rest = b""
        self.restarts += 1
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
        child.kill()
        child.wait()

    def _read(self) -> list[DiscoveryEvent]:
        chunk = os.read(self._pipe(), 1 << 16)
        if (
            not chunk
        ):  # killed, or out of memory: what is known stays, the next child's first line corrects it
            self._end_child()
            self._start_s = time.monotonic() + _RESTART_S
            return []
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        events: list[DiscoveryEvent] = []
        for line in lines:
            sightings = self._decoder.decode(line)
            events += self.roster.update(
                Sighting(seen.name, Path(seen.path), seen.liveness, seen.epoch, seen.registration)
                for seen in sightings
            )
        return events


def main() -> None:
    """The child: DIRECTORY CADENCE_S. Writes a line at first and at every change; ends with its standard input."""
    unpin()
    watcher = Watcher(Path(sys.argv[1]), cadence_s=float(sys.argv[2]))
    told: list[Sighting] | None = None
    while not _readable(0):
        sightings = watcher.look()
        if sightings is not None and sightings != told:
            told = sightings
            lines = [_Line(s.name, str(s.path), s.liveness, s.epoch, s.registration) for s in sightings]
            os.write(1, msgspec.json.encode(lines) + b"\n")
        watcher.wait(None, 0)


def _readable(descriptor: int) -> bool:
    """The parent never writes: readable means closed."""
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(0))


if __name__ == "__main__":
    main()
