"""What must hold on the host before a suite is started: better one clear line now than a daemon that fails in a loop."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable
from pathlib import Path

from libchronicle.cli.programs import Program
from libchronicle.cli.suite import Suite
from libchronicle.errors import HostError, NoPermission, NoSpace
from libchronicle.runtime.config import HostConfig

__all__ = ["check_ports", "check_programs", "check_space"]

ORDERS_BYTES = 4 * (16 << 20)
"""Two queues of two segments each per strategy; the router's session takes as much."""


def check_programs(programs: Iterable[Program]) -> None:
    """Every console script is there. Raises HostError."""
    for program in programs:
        if not os.access(program.command[0], os.X_OK):
            reason = "no such program; install Chronicle into this environment: pip install ."
            raise HostError(path=program.command[0], reason=reason)


def check_ports(config: HostConfig) -> None:
    """Nobody else listens where the suite wants to. Raises HostError naming the key to change."""
    wanted = [(config.exporter.host, config.exporter.port, "[exporter]")]
    if config.exchange is not None:
        for name, market in config.exchange.markets.items():
            wanted.append((config.exchange.host, market.port, f"[exchange.markets.{name}]"))
    for host, port, table in wanted:
        _check_port(host, port, table)


def check_space(config: HostConfig, suite: Suite) -> None:
    """Room for the segments that are reserved at start. Raises NoSpace, NoPermission."""
    market = sum(2 * feed.segment_size for feed in config.feeds.values())
    if config.etl is not None:  # three streams of each instrument, two segments each
        symbols = sum(len(feed.symbols) for name, feed in config.feeds.items() if config.etl.refines(name))
        market += 6 * symbols * config.etl.segment_size
    orders = 4 * ORDERS_BYTES
    if suite.hot is not None:
        _check_directory(suite.hot, market)
        _check_directory(suite.root, orders)
    else:
        _check_directory(suite.root, market + orders)


def _check_port(host: str, port: int, table: str) -> None:
    if port == 0:
        return
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                reason = f"the port is in use by another program; stop it, or set {table} port to a free one"
            else:
                reason = f"cannot listen there: {error.strerror}; set {table} host or port"
            raise HostError(path=f"{host}:{port}", reason=reason) from None


def _check_directory(path: Path, size: int) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
        room = os.statvfs(path)
    except OSError as error:
        raise NoPermission(path=str(path), reason=error.strerror or str(error)) from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise NoPermission(path=str(path), reason="this user may not write there")
    free = room.f_bavail * room.f_frsize
    if free < size and not _has_queues(path):
        raise NoSpace(path=str(path), size=size)


def _has_queues(path: Path) -> bool:
    """A run directory that is resumed has reserved its segments already."""
    return (path / "market_data").is_dir() or (path / "orders").is_dir()
