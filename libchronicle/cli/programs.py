"""Which programs a suite has, and what makes one of them another."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from libchronicle.cli.suite import Suite
from libchronicle.runtime.config import HostConfig, StrategyConfig, raw_readers

__all__ = ["Program", "programs"]


@dataclass(frozen=True)
class Program:
    """One supervised process. A change of `digest` is what makes `chronicle up` restart it."""

    name: str
    command: tuple[str, ...]
    digest: str
    priority: int


def programs(
    config: HostConfig, suite: Suite, strategies: Sequence[tuple[Path, StrategyConfig]]
) -> list[Program]:
    """Every daemon of the suite, in the order they are started. `strategies` are those that can run on this host."""
    common = ("--config", str(suite.config))
    bus = config.bus
    found = []
    if config.exchange is not None:
        found.append(_program("exchange", "chronicle-exchange", common, 10, bus, config.exchange))
    for name, feed in sorted(config.feeds.items()):
        own = (*common, "--name", name)
        readers = raw_readers(config, name)
        found.append(_program(f"feed-{name}", "chronicle-feed", own, 20, bus, feed, readers))
    if config.etl is not None:
        for daemon, group in sorted(config.etl.daemons.items()):
            arguments = (*common, "--group", group) if group else common
            found.append(_program(daemon, "chronicle-etl", arguments, 25, bus, config.etl, config.feeds))
    found.append(_program("router", "chronicle-router", common, 30, bus, config.router, config.feeds))
    for toml, strategy in strategies:
        own = (*common, "--strategy", str(toml))
        code = Path(strategy.file).read_bytes()
        found.append(
            _program(
                f"strategy-{strategy.id}",
                "chronicle-strategy-host",
                own,
                40,
                bus,
                config.feeds,
                strategy,
                code,
            )
        )
    if config.archive is not None:
        found.append(_program("archive-tier", "chronicle-archive-tier", common, 45, bus, config.archive))
    found.append(_program("exporter", "chronicle-exporter", common, 50, bus, config.exporter))
    return found


def _program(name: str, script: str, arguments: tuple[str, ...], priority: int, *inputs: object) -> Program:
    digest = hashlib.blake2b(msgspec.json.encode(inputs), digest_size=8).hexdigest()
    command = (str(Path(sys.executable).parent / script), *arguments)
    return Program(name, command, digest, priority)
