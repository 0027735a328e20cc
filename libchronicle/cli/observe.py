"""One look at a whole suite: rows for the tables of up, status and top."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from libchronicle.cli.context import Run
from libchronicle.cli.health import DaemonStatus, known_daemons, read_snapshots, statuses, with_rates
from libchronicle.cli.queue_paths import queues_of
from libchronicle.cli.supervisor import ProgramInfo, Supervisor, last_exits
from libchronicle.counters import Snapshot
from libchronicle.errors import ChronicleError, HostError
from libchronicle.queue import inspect
from libchronicle.runtime.config import daemon_names

__all__ = ["Observer"]


@dataclass
class Observer:
    """Looks again and again; rates are between a look and the one before."""

    run: Run
    managed: Mapping[str, ProgramInfo] = field(default_factory=dict)
    _before: dict[str, Snapshot] = field(default_factory=dict)
    _before_s: float = 0.0

    def look(self) -> list[DaemonStatus]:
        """Every daemon that is configured, supervised, or has left a counters file."""
        suite = self.run.suite
        self.managed = self._ask_supervisor()
        names = self._names()
        after, now_s = read_snapshots(suite.paths, names), time.monotonic()
        rows = statuses(suite.paths, names, after, self.managed, self._lags())
        if self._before:
            rows = with_rates(rows, self._before, after, now_s - self._before_s)
        self._before, self._before_s = after, now_s
        return rows

    def look_twice(self, window_s: float) -> list[DaemonStatus]:
        """Two looks `window_s` apart, so that there are rates; one look when nothing runs."""
        rows = self.look()
        if window_s <= 0 or not any(row.pid for row in rows):
            return rows
        time.sleep(window_s)
        return self.look()

    def _ask_supervisor(self) -> dict[str, ProgramInfo]:
        socket = self.run.suite.socket
        if not socket.exists():
            return {}
        try:
            found = Supervisor(socket).programs()
        except HostError:
            return {}  # killed with -9 or stopping: the counters tell
        exits = (
            last_exits(self.run.suite.logs / "supervisord.log")
            if any(p.state == "BACKOFF" for p in found)
            else {}
        )
        return {p.name: replace(p, exit_status=exits.get(p.name, p.exit_status)) for p in found}

    def _lags(self) -> dict[int, int]:
        """How far behind each process is, in records of the queue it is furthest behind in."""
        lags: dict[int, int] = {}
        for _, path in queues_of(self.run.suite):
            try:
                readers = inspect(path).readers
            except (ChronicleError, OSError):
                continue
            for reader in readers:
                if reader.active:
                    lags[reader.pid] = max(lags.get(reader.pid, 0), reader.lag_records)
        return lags

    def expected(self) -> set[str]:
        """Daemons that should run: those supervised, or configured when there is no supervisord."""
        return set(self.managed) or set(daemon_names(self.run.config) if self.run.config else [])

    def _names(self) -> list[str]:
        """In the order of the data flow; strangers, by name, at the end."""
        configured = daemon_names(self.run.config) if self.run.config else []
        if self.managed:
            configured = [name for name in configured if name in self.managed]
        known = [*self.managed, *known_daemons(self.run.suite.paths)]
        return list(dict.fromkeys([*configured, *sorted(known)]))
