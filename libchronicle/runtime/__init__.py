"""What every daemon stands on: configuration, lifecycle, logging, transports.

Names are loaded on first use, so that a tool that reads the configuration loads no event loop and no socket.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from libchronicle.runtime.config import (
        HostConfig,
        Limits,
        StrategyConfig,
        daemon_names,
        load_host,
        load_strategy,
        strategy_files,
    )
    from libchronicle.runtime.daemon import Daemon, ExitCode, exit_code, run_daemon
    from libchronicle.runtime.logging import Log, configure_logging

_HOMES = {
    "Daemon": "daemon",
    "ExitCode": "daemon",
    "HostConfig": "config",
    "Limits": "config",
    "Log": "logging",
    "StrategyConfig": "config",
    "configure_logging": "logging",
    "daemon_names": "config",
    "exit_code": "daemon",
    "load_host": "config",
    "load_strategy": "config",
    "run_daemon": "daemon",
    "strategy_files": "config",
}

__all__ = [
    "Daemon",
    "ExitCode",
    "HostConfig",
    "Limits",
    "Log",
    "StrategyConfig",
    "configure_logging",
    "daemon_names",
    "exit_code",
    "load_host",
    "load_strategy",
    "run_daemon",
    "strategy_files",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"libchronicle.runtime.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
