"""The suite of one run directory: which programs it has and where its files lie. Pure: makes and looks at nothing.

<root>/supervisor/host.toml          the configuration as it runs: overrides applied, every path absolute
<root>/supervisor/supervisord.conf   rendered from it
<root>/supervisor/supervisord.sock   (or in the temp dir, when the path is too long for a unix socket)
<root>/logs/<daemon>.log
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec

from libchronicle.bus.paths import BusPaths
from libchronicle.runtime.config import HostConfig, StrategyConfig

__all__ = ["Program", "Suite", "programs"]

SOCKET_PATH_LIMIT = 90
"""sun_path holds 107 bytes, and supervisord first binds a name that is longer by its pid."""


@dataclass(frozen=True)
class Program:
    """One supervised process. A change of `digest` is what makes `chronicle up` restart it."""

    name: str
    command: tuple[str, ...]
    digest: str
    priority: int


@dataclass(frozen=True)
class Suite:
    """Names of everything `chronicle up` makes below a run directory."""

    root: Path
    hot: Path | None = None

    @cached_property
    def paths(self) -> BusPaths:
        return BusPaths(self.root, self.hot)

    @property
    def directory(self) -> Path:
        return self.paths.run_dir("supervisor")

    @property
    def logs(self) -> Path:
        return self.paths.run_dir("logs")

    @property
    def config(self) -> Path:
        return self.directory / "host.toml"

    @property
    def supervisord_conf(self) -> Path:
        return self.directory / "supervisord.conf"

    @property
    def supervisord_pid(self) -> Path:
        return self.directory / "supervisord.pid"

    @property
    def lock(self) -> Path:
        return self.directory / "lock"

    @property
    def socket(self) -> Path:
        plain = self.directory / "supervisord.sock"
        if len(os.fsencode(plain)) <= SOCKET_PATH_LIMIT:
            return plain
        mark = hashlib.blake2b(os.fsencode(self.root), digest_size=8).hexdigest()
        return Path(tempfile.gettempdir()) / f"chronicle-{os.getuid()}" / f"{mark}.sock"

    def log(self, daemon: str) -> Path:
        return self.logs / f"{daemon}.log"


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
        found.append(_program(f"feed-{name}", "chronicle-feed", own, 20, bus, feed))
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
    found.append(_program("exporter", "chronicle-exporter", common, 50, bus, config.exporter))
    return found


def _program(name: str, script: str, arguments: tuple[str, ...], priority: int, *inputs: object) -> Program:
    digest = hashlib.blake2b(msgspec.json.encode(inputs), digest_size=8).hexdigest()
    command = (str(Path(sys.executable).parent / script), *arguments)
    return Program(name, command, digest, priority)
