"""systemd units of a configured host: which ones should run, and asking systemd for exactly these."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Sequence

from libchronicle.errors import HostError
from libchronicle.runtime.config import HostConfig, strategy_files

__all__ = ["bring_up", "wanted_units"]

TEMPLATES = ("chronicle-feed@*.service", "chronicle-strategy@*.service", "chronicle-etl@*.service")
OPTIONAL = ("chronicle-exchange.service", "chronicle-etl.service", "chronicle-archive-tier.service")
"""Units that no host needs: stopped where the configuration has no table for them."""
CONFINED_BY_GROUPS = ("chronicle-router", "chronicle-exporter", "chronicle-archive-tier")
"""Daemons that see a strategy's orders by a group of its own: a process gets its groups when it starts."""


def wanted_units(host: HostConfig) -> list[str]:
    """A unit for every daemon of the configuration."""
    exchange = ["chronicle-exchange.service"] if host.exchange is not None else []
    feeds = [f"chronicle-feed@{name}.service" for name in sorted(host.feeds)]
    etl = []
    if host.etl is not None:
        groups = sorted(host.etl.groups)
        etl = [f"chronicle-etl@{name}.service" for name in groups] or ["chronicle-etl.service"]
    strategies = [f"chronicle-strategy@{path.stem}.service" for path in strategy_files(host)]
    archive = ["chronicle-archive-tier.service"] if host.archive is not None else []
    return [
        *exchange,
        *feeds,
        *etl,
        "chronicle-router.service",
        *strategies,
        *archive,
        "chronicle-exporter.service",
    ]


def bring_up(host: HostConfig, *, regrouped: Iterable[str], say: Callable[[str], object]) -> None:
    """Start what has a TOML, stop what has none any more, restart who belongs to new groups. Waits for none of it.

    Raises HostError.
    """
    wanted = wanted_units(host)
    orphans = [unit for unit in _active() if unit not in wanted]
    restart = [f"{name}.service" for name in CONFINED_BY_GROUPS if name in set(regrouped)]
    for verb, units in (("stop", orphans), ("try-restart", restart), ("start", wanted)):
        if units:
            _systemctl("--no-block", verb, *units)
            say(f"{verb} {' '.join(units)}")


def _active() -> list[str]:
    listed = _systemctl(
        "list-units", "--plain", "--no-legend", "--state=active,activating", *TEMPLATES, *OPTIONAL
    )
    return [line.split()[0] for line in listed.splitlines() if line.strip()]


def _systemctl(*arguments: str) -> str:
    command: Sequence[str] = ("systemctl", *arguments)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        raise HostError(path="systemctl", reason="not found; --start needs systemd") from None
    if done.returncode:
        raise HostError(path=" ".join(command), reason=done.stderr.strip() or f"exit {done.returncode}")
    return done.stdout
