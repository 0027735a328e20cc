"""A backtest as plain data: what a command line, a sweep over processes and a cluster pass on, and what a result is stored by.

    plan = Plan.of_toml("quoter.toml", data=("archive",), latency="constant:50,50", queue="prob:2", fees="1,5")
    result = plan.run()

Models are written as text, see `spelling`; `latency` may be one for each venue, by its name.

`key` names a plan by its content: settings, the strategy file's bytes, and size and time of what it reads. Two plans of one key
give one result.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from libchronicle.backtest.described import read_toml
from libchronicle.backtest.result import BacktestResult
from libchronicle.backtest.runner import BacktestRunner
from libchronicle.backtest.spelling import MODELS
from libchronicle.errors import InvalidArgument, StrategyFileError
from libchronicle.runtime.config import Limits, RiskConfig
from libchronicle.strategy.loader import load_strategy_class

__all__ = ["Plan"]

_FIXED: Final = (
    "params",
    "strategy",
    "data",
    "instruments",
    "missing",
    "on_stop",
    "on_disconnect",
    "limits",
    "risk",
)


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that decides a run. `strategy`: FILE.py:Class."""

    strategy: str
    data: tuple[str, ...]
    instruments: dict[str, tuple[str, ...]] = {}  # name -> kinds, beside what on_start subscribes
    missing: str = "refuse"
    on_stop: str = "cancel"
    on_disconnect: str = "cancel"
    start: str | None = None
    end: str | None = None
    params: dict[str, Any] = {}
    limits: Limits = Limits()
    risk: RiskConfig = RiskConfig()
    latency: str | dict[str, str] = "none"
    queue: str = "risk-averse"
    chances: str = "none"
    fees: str = "0,0"
    cash: str = "100000"
    leverage: float | None = None
    gaps: str = "resync"
    seed: int = 1
    sample_ms: int = 1000

    @classmethod
    def of_toml(
        cls, path: str | os.PathLike[str], *, defaults: Mapping[str, Any] | None = None, **settings: Any
    ) -> Plan:
        """What a strategy's TOML says: instruments, limits, risk, its `[backtest]`, and parameters. `settings` take the place
        of it, `params` are added to its own; `defaults` hold where neither says anything. `instruments`: names, with the kinds
        of the TOML, or kinds by name. Raises ConfigError, NoPermission."""
        told = read_toml(path)
        params = {**told.params, **settings.pop("params", {})}
        named = settings.pop("instruments", None)
        if named:
            chosen = dict(named) if isinstance(named, Mapping) else dict.fromkeys(named, told.kinds)
            settings["instruments"] = chosen
        strategy = f"{told.file}:{told.class_name}"
        return cls(strategy=strategy, params=params, **{**(defaults or {}), **told.settings, **settings})

    def runner(self, **more: Any) -> BacktestRunner:
        """Raises InvalidArgument for a model that cannot be read, and what BacktestRunner raises."""
        settings = {name: getattr(self, name) for name in self.__struct_fields__}
        del settings["strategy"]
        data = list(settings.pop("data"))
        models = {name: read(settings[name]) for name, read in MODELS.items()}
        return BacktestRunner(data if len(data) > 1 else data[0], **{**settings, **models, **more})

    def run(self, *, keep_failure: bool = False) -> BacktestResult:
        """The strategy, loaded anew, over the data. Raises StrategyFileError and what `BacktestRunner.run` raises."""
        runner = self.runner()
        file, _, name = self.strategy.rpartition(":")
        return runner.run(load_strategy_class(file, name)(), keep_failure=keep_failure)

    def replace(self, changes: Mapping[str, Any]) -> Plan:
        """Another plan: fields by name, parameters as `params.NAME`, the latency of a venue as `latency.VENUE` where each has
        its own. Raises InvalidArgument."""
        params = dict(self.params)
        fields: dict[str, Any] = {}
        for name, value in changes.items():
            if name.startswith("params."):
                params[name.removeprefix("params.")] = value
            elif name.startswith("latency.") and isinstance(self.latency, dict):
                fields["latency"] = fields.get("latency", self.latency) | {
                    name.removeprefix("latency."): value
                }
            elif name in self.__struct_fields__ and name not in _FIXED:
                fields[name] = value
            else:
                raise self._not_changed(name, value)
        return msgspec.structs.replace(self, params=params, **fields)

    def _not_changed(self, name: str, value: Any) -> InvalidArgument:
        swept = ["params.NAME", *(one for one in self.__struct_fields__ if one not in _FIXED)]
        if isinstance(self.latency, dict):
            swept += [f"latency.{venue}" for venue in self.latency]
        return InvalidArgument(where="Plan", field=name, value=value, allowed=", ".join(swept))

    def key(self) -> str:
        """Twenty hex digits that change with whatever may change the result. Raises InvalidArgument, StrategyFileError,
        OSError."""
        made_of = [self._as_text(), self._code()]
        made_of += [
            f"{name} {size} {time}\n".encode()
            for path in self.data
            for name, size, time in _files(Path(path))
        ]
        return hashlib.blake2b(b"\0".join(made_of), digest_size=10).hexdigest()

    def _as_text(self) -> bytes:
        try:
            return msgspec.json.encode(self, order="deterministic")
        except UnicodeEncodeError as error:
            raise InvalidArgument(
                where="Plan", field="a setting or path", value=error.object, allowed="text in UTF-8"
            ) from None

    def _code(self) -> bytes:
        file, _, _ = self.strategy.rpartition(":")
        try:
            return Path(file).read_bytes()
        except OSError as error:
            raise StrategyFileError(file=file, reason=error.strerror or str(error)) from error


def _files(path: Path) -> list[tuple[str, int, int]]:
    found = (
        [path]
        if path.is_file()
        else sorted(one for one in path.rglob("*") if one.suffix in (".q", ".zst", ".remote"))
    )
    return [(str(one), stat.st_size, stat.st_mtime_ns) for one in found for stat in (one.stat(),)]
