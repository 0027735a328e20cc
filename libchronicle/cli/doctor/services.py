"""Daemons by their counters, endpoints by their leases, the kill word, supervisord."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from libchronicle.bus.endpoint import inspect_endpoint
from libchronicle.bus.kill_word import KillWord
from libchronicle.bus.killswitch import KillSwitch
from libchronicle.bus.lease import Liveness
from libchronicle.bus.paths import BusPaths
from libchronicle.cli.doctor.findings import Finding, Level
from libchronicle.cli.health import TTL_S, known_daemons
from libchronicle.cli.suite import Suite
from libchronicle.cli.tables import count
from libchronicle.counters import read_counters, read_errors
from libchronicle.errors import ChronicleError

__all__ = ["check_daemons", "check_endpoints", "check_kill_word", "check_supervisor"]

RECENT_S = 3600.0


def check_daemons(paths: BusPaths) -> Iterator[Finding]:
    """Everyone that ever had a counters file here."""
    for name in known_daemons(paths):
        try:
            seen = read_counters(paths.counters(name))
        except ChronicleError as error:
            yield Finding(
                Level.ERROR,
                name,
                str(error),
                f"restart {name}: it puts a new counters file in place",
                corrupt=True,
            )
            continue
        age = seen.heartbeat_age_s
        if age is not None and not seen.alive:
            yield Finding(
                Level.ERROR,
                name,
                f"died (pid {seen.pid}) without an orderly end",
                "chronicle up, or systemctl restart its unit",
            )
        elif age is not None and age > TTL_S:
            yield Finding(
                Level.ERROR,
                name,
                f"pid {seen.pid} has been silent for {age:.0f} s",
                f"it hangs: kill -9 {seen.pid}, its supervisor starts it again",
            )
        elif seen.state == "FAILED":
            yield Finding(
                Level.ERROR,
                name,
                "failed again and again, and is not started any more",
                f"chronicle errors {name}; mend it; chronicle up",
            )
        yield from _errors(name, paths)


def _errors(name: str, paths: BusPaths) -> Iterator[Finding]:
    file = paths.errors(name)
    if not file.exists():
        return
    recent = [entry for entry in read_errors(file) if entry.last_ns > time.time_ns() - RECENT_S * 1e9]
    if not recent and not _is_error_log(file):
        yield Finding(
            Level.WARNING,
            name,
            f"{file.name} is damaged or cut short",
            f"restart {name}: it begins a new one",
            corrupt=True,
        )
    elif recent:
        what = f"{count(len(recent), 'kind')} of errors within the hour, the last: {recent[0].text[:120]}"
        yield Finding(Level.NOTE, name, what, f"chronicle errors {name}")


def _is_error_log(file: Path) -> bool:
    with file.open("rb") as handle:
        return handle.read(8) == b"CERRLOG1" and file.stat().st_size >= 64 + 128 * 512


def check_endpoints(paths: BusPaths) -> Iterator[Finding]:
    """READY without a lease that holds, and leases of those who are gone."""
    for name in paths.strategies():
        status = inspect_endpoint(paths.endpoint(name))
        place = f"endpoint {name}"
        pid = status.lease.holder.pid if status.lease is not None else 0
        if status.liveness is Liveness.DEAD:
            yield Finding(
                Level.WARNING,
                place,
                f"stale lease of pid {pid}, which has ended",
                "start the strategy again; the router takes no new orders from it",
            )
        elif status.liveness is Liveness.EXPIRED:
            yield Finding(
                Level.ERROR,
                place,
                f"the lease of pid {pid} has run out: its loop stands still",
                f"look into pid {pid}; kill -9 it if it hangs",
            )
        elif status.liveness is Liveness.UNKNOWN:
            yield Finding(
                Level.ERROR,
                place,
                "its LEASE cannot be read",
                "remove LEASE and restart the strategy",
                corrupt=True,
            )
        elif status.liveness is Liveness.ABSENT and status.ready:
            yield Finding(
                Level.WARNING, place, "READY without a lease", "remove READY, or start the strategy"
            )


def check_kill_word(paths: BusPaths) -> Iterator[Finding]:
    """Missing or unreadable means killed; so does the word itself."""
    if not paths.control_dir.exists():
        return
    switch = KillSwitch(paths.kill_word)
    try:
        killed, why = switch.killed, switch.reason
    finally:
        switch.close()
    place = "control/kill.word"
    if why:
        remedy = 'chronicle kill --clear --reason "…" makes it anew, when trading may go on'
        yield Finding(Level.ERROR, place, f"cannot be used ({why}): no order passes", remedy)
    elif killed:
        history = KillWord(paths).history()
        said = f": {history[-1].user}: {history[-1].reason}" if history else ""
        yield Finding(Level.WARNING, place, f"trading is killed{said}", 'chronicle kill --clear --reason "…"')


def check_supervisor(suite: Suite) -> Iterator[Finding]:
    """A pid file whose process is gone: its daemons may still run, unwatched."""
    try:
        pid = int(suite.supervisord_pid.read_text())
    except (OSError, ValueError):
        return
    if not Path("/proc", str(pid)).exists() and os.path.isdir("/proc/self"):
        yield Finding(
            Level.ERROR, "supervisor/supervisord.pid", f"supervisord (pid {pid}) is gone without `chronicle down`",
            "chronicle up (it takes what still runs into account), or chronicle down",
        )  # fmt: skip
