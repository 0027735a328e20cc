"""How each daemon is, judged from outside: its counters file, supervisord if there is one, and its processes.

A daemon is healthy when its process runs, its own loop beats, and it has left STARTING. All else has a word that says what is
wrong, and everything can be read when the whole suite is dead.

    never ran   no counters file                     stopped    orderly end
    dead        process gone without an orderly end  hung       process there, heartbeat older than the TTL
    FAILED      a strategy raised, see `chronicle errors`; under supervisord: so often that it is not started again
    starting    beats, not ready yet                 BACKOFF    supervisord waits before it starts it again (exit status beside)
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from libchronicle.bus.paths import BusPaths
from libchronicle.cli.supervisor import ProgramInfo
from libchronicle.counters import Snapshot, read_counters, read_errors
from libchronicle.errors import ChronicleError
from libchronicle.runtime.daemon import ExitCode

__all__ = [
    "TTL_S",
    "DaemonStatus",
    "judge",
    "killed_strategies",
    "read_snapshots",
    "statuses",
    "with_rates",
]

TTL_S = 3.0
RATE_COUNTERS = ("messages_total", "records_total", "scrapes_total")
LAG_GAUGE = "lag_records"


@dataclass(frozen=True)
class DaemonStatus:
    """One row of `chronicle status`. None = not known or does not apply."""

    daemon: str
    pid: int | None
    state: str
    healthy: bool
    heartbeat_age_s: float | None
    messages_per_s: float | None = None
    lag_records: int | None = None
    errors: int = 0
    uptime_s: float | None = None


def read_snapshots(paths: BusPaths, names: Iterable[str]) -> dict[str, Snapshot]:
    """Counters files that are there and readable."""
    found = {}
    for name in names:
        try:
            found[name] = read_counters(paths.counters(name))
        except (ChronicleError, OSError):
            continue
    return found


def killed_strategies(router: Snapshot | None) -> list[str]:
    """Strategies whose orders the router refuses, by its counters; it keeps that over restarts."""
    samples = router.samples if router is not None else ()
    return sorted(s.labels["strategy"] for s in samples if s.name == "router_strategy_killed" and s.value)


def known_daemons(paths: BusPaths) -> list[str]:
    """Daemons that ever had a counters file here."""
    return sorted(path.stem for path in paths.services_dir.glob("*.counters"))


def statuses(
    paths: BusPaths,
    names: Sequence[str],
    snapshots: Mapping[str, Snapshot],
    managed: Mapping[str, ProgramInfo],
    lags: Mapping[int, int],
) -> list[DaemonStatus]:
    """A row for each of `names`. `managed` is what supervisord says, empty when it is gone, `lags` how many records
    a process is behind by its reader pages, by pid; its own figure, where it has one, is later.
    """
    rows = []
    killed = {f"strategy-{name}" for name in killed_strategies(snapshots.get("router"))}
    for name in names:
        row = judge(name, snapshots.get(name), managed.get(name))
        if name in killed and row.healthy:  # also when it was started again, and does not know it
            row = replace(row, state="killed")
        errors = sum(entry.count for entry in read_errors(paths.errors(name)))
        lag = _lag(snapshots[name]) if row.pid and name in snapshots else None
        rows.append(replace(row, errors=errors, lag_records=lags.get(row.pid or 0) if lag is None else lag))
    return rows


def judge(name: str, snapshot: Snapshot | None, managed: ProgramInfo | None) -> DaemonStatus:
    """One daemon's state from what its counters and supervisord say."""
    if managed is not None and managed.state in ("BACKOFF", "FATAL", "EXITED"):
        if managed.state == "EXITED" and managed.exit_status == ExitCode.FAILED:
            return DaemonStatus(name, None, "FAILED", healthy=False, heartbeat_age_s=None)
        state = f"{managed.state} (exit {managed.exit_status})"
        return DaemonStatus(name, None, state, healthy=False, heartbeat_age_s=None)
    pid = managed.pid if managed is not None and managed.pid else None
    if snapshot is None or (pid is not None and snapshot.pid != pid):
        state = "starting" if pid is not None else "never ran"
        return DaemonStatus(name, pid, state, healthy=False, heartbeat_age_s=None)
    age = snapshot.heartbeat_age_s
    if not snapshot.alive:
        ended = "FAILED" if snapshot.state == "FAILED" else "stopped"
        state = ended if age is None else "dead"
        return DaemonStatus(name, None, state, healthy=False, heartbeat_age_s=None)
    uptime = max(0.0, time.time() - snapshot.started_ns / 1e9)
    if age is None or math.isinf(age):
        return DaemonStatus(name, snapshot.pid, "starting", False, None, uptime_s=uptime)
    if age > TTL_S:
        return DaemonStatus(name, snapshot.pid, "hung", False, age, uptime_s=uptime)
    ready = snapshot.state != "STARTING"
    return DaemonStatus(name, snapshot.pid, snapshot.state.lower(), ready, age, uptime_s=uptime)


def with_rates(
    rows: Sequence[DaemonStatus],
    before: Mapping[str, Snapshot],
    after: Mapping[str, Snapshot],
    window_s: float,
) -> list[DaemonStatus]:
    """Rows with messages per second between two looks `window_s` apart."""
    return [
        replace(row, messages_per_s=_rate(before.get(row.daemon), after.get(row.daemon), window_s))
        for row in rows
    ]


def _rate(before: Snapshot | None, after: Snapshot | None, window_s: float) -> float | None:
    if before is None or after is None or window_s <= 0 or before.pid != after.pid or not after.alive:
        return None
    first, last = _messages(before), _messages(after)
    return None if first is None or last is None else max(0.0, last - first) / window_s


def _lag(snapshot: Snapshot) -> int | None:
    """The daemon's own count of records it has not read yet."""
    values = [sample.value for sample in snapshot.samples if sample.name.endswith(LAG_GAUGE)]
    return int(max(values)) if values else None


def _messages(snapshot: Snapshot) -> float | None:
    """The daemon's own count of what it works on, with or without a prefix in its name."""
    for name in RATE_COUNTERS:
        values = [
            sample.value
            for sample in snapshot.samples
            if sample.name == name or sample.name.endswith(f"_{name}")
        ]
        if values:
            return sum(values)
    return None
