"""What a strategy's TOML says of a backtest: the one place that reads it for plans and runners."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from libchronicle.errors import ConfigError
from libchronicle.runtime.config import load_strategy

__all__ = ["Described", "read_toml"]


class Described(NamedTuple):
    """`settings` by the names that Plan and BacktestRunner have for them; models as text (see spelling)."""

    file: str
    class_name: str
    kinds: tuple[str, ...]
    params: dict[str, Any]
    settings: dict[str, Any]


def read_toml(path: str | os.PathLike[str]) -> Described:
    """Raises ConfigError, NoPermission."""
    if Path(path).suffix == ".py":
        reason = f"is its code; give the TOML beside it, as {Path(path).stem}.toml, or run it by BacktestRunner in Python"
        raise ConfigError(file=os.fspath(path), key="strategy", reason=reason)
    config = load_strategy(path)
    settings = {
        "instruments": dict.fromkeys(config.subscribe, tuple(config.kinds)),
        "missing": config.on_missing,
        "on_stop": config.on_stop,
        "on_disconnect": config.on_disconnect,
        "limits": config.limits,
        "risk": config.risk,
    }
    told = {
        name: value for name, value in msgspec.structs.asdict(config.backtest).items() if value is not None
    }
    return Described(
        config.file, config.class_name, tuple(config.kinds), dict(config.params), settings | told
    )
