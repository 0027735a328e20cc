"""A backtest as plain data: what a command line, a sweep over processes and a cluster pass on, and what a result is stored by.

    plan = Plan.of_toml("quoter.toml", data=("archive",), latency="constant:50,50", queue="prob:2", fees="1,5")
    result = plan.run()

Models are written NAME or NAME:NUMBER,NUMBER,key=NUMBER; times in µs:

    latency   none | constant:ENTRY,RESPONSE[,FEED] | jitter:ENTRY,RESPONSE[,sigma=S]
              | spikes:ENTRY,RESPONSE,extra_us=E[,share=P]
    queue     risk-averse | prob[:POWER] | log | fifo
    fees      MAKER,TAKER in basis points, a rebate is negative

`key` names a plan by its content: settings, the strategy file's bytes, and size and time of what it reads. Two plans of one key
give one result.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from libchronicle.backtest.result import BacktestResult
from libchronicle.backtest.runner import BacktestRunner
from libchronicle.errors import InvalidArgument
from libchronicle.portfolio import MakerTaker
from libchronicle.runtime.config import Limits, RiskConfig, load_strategy
from libchronicle.sim.latency import ConstantLatency, JitterLatency, LatencyModel, SpikeLatency
from libchronicle.sim.queues import FifoQueue, LogProbQueue, ProbQueue, QueueModel, RiskAverseQueue
from libchronicle.strategy.loader import load_strategy_class

__all__ = ["Plan", "fees_of", "latency_of", "queue_of"]


def _spikes(entry_us: float, response_us: float, **more: float) -> LatencyModel:
    return SpikeLatency(ConstantLatency(entry_us, response_us), **more)


_LATENCIES: Final[Mapping[str, Callable[..., LatencyModel | None]]] = {
    "none": lambda: None,
    "constant": ConstantLatency,
    "jitter": JitterLatency,
    "spikes": _spikes,
}
_QUEUES: Final[Mapping[str, Callable[..., QueueModel]]] = {
    "risk-averse": RiskAverseQueue,
    "prob": ProbQueue,
    "log": LogProbQueue,
    "fifo": FifoQueue,
}


_FIXED: Final = ("params", "strategy", "data", "instruments", "missing", "limits", "risk")


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that decides a run. `strategy`: FILE.py:Class."""

    strategy: str
    data: tuple[str, ...]
    instruments: dict[str, tuple[str, ...]] = {}  # name -> kinds, beside what on_start subscribes
    missing: str = "refuse"
    start: str | None = None
    end: str | None = None
    params: dict[str, Any] = {}
    limits: Limits = Limits()
    risk: RiskConfig = RiskConfig()
    latency: str = "none"
    queue: str = "risk-averse"
    fees: str = "0,0"
    cash: str = "100000"
    leverage: float | None = None
    gaps: str = "resync"
    seed: int = 1
    sample_ms: int = 1000

    @classmethod
    def of_toml(cls, path: str | os.PathLike[str], **settings: Any) -> Plan:
        """What a strategy's TOML says: instruments, limits, risk, and parameters, `params` over them. Raises ConfigError."""
        config = load_strategy(path)
        params = {**config.params, **settings.pop("params", {})}
        told: dict[str, tuple[str, ...]] = dict.fromkeys(config.subscribe, tuple(config.kinds))
        instruments = settings.pop("instruments", None) or told
        settings = {"missing": config.on_missing, "limits": config.limits, "risk": config.risk, **settings}
        strategy = f"{config.file}:{config.class_name}"
        return cls(strategy=strategy, instruments=instruments, params=params, **settings)

    def runner(self, **more: Any) -> BacktestRunner:
        """Raises InvalidArgument for a model that cannot be read, and what BacktestRunner raises."""
        data = list(self.data)
        return BacktestRunner(
            data if len(data) > 1 else data[0],
            start=self.start,
            end=self.end,
            instruments=self.instruments,
            missing=self.missing,
            params=self.params,
            limits=self.limits,
            risk=self.risk,
            latency=latency_of(self.latency),
            queue=queue_of(self.queue),
            fees=fees_of(self.fees),
            cash=self.cash,
            leverage=self.leverage,
            gaps=self.gaps,
            seed=self.seed,
            sample_ms=self.sample_ms,
            **more,
        )

    def run(self, *, keep_failure: bool = False) -> BacktestResult:
        """The strategy, loaded anew, over the data. Raises StrategyFileError and what `BacktestRunner.run` raises."""
        runner = self.runner()
        file, _, name = self.strategy.rpartition(":")
        return runner.run(load_strategy_class(file, name)(), keep_failure=keep_failure)

    def replace(self, changes: Mapping[str, Any]) -> Plan:
        """Another plan: fields by name, parameters as `params.NAME`. Raises InvalidArgument."""
        params, fields = dict(self.params), {}
        for name, value in changes.items():
            if name.startswith("params."):
                params[name.removeprefix("params.")] = value
            elif name in self.__struct_fields__ and name not in _FIXED:
                fields[name] = value
            else:
                swept = [one for one in self.__struct_fields__ if one not in _FIXED]
                raise InvalidArgument(
                    where="Plan", field=name, value=value, allowed=f"params.NAME, {', '.join(swept)}"
                )
        return msgspec.structs.replace(self, params=params, **fields)

    def key(self) -> str:
        """Twenty hex digits that change with whatever may change the result. Raises OSError."""
        file, _, _ = self.strategy.rpartition(":")
        made_of = [msgspec.json.encode(self, order="deterministic"), Path(file).read_bytes()]
        made_of += [
            f"{name} {size} {time}\n".encode()
            for path in self.data
            for name, size, time in _files(Path(path))
        ]
        return hashlib.blake2b(b"\0".join(made_of), digest_size=10).hexdigest()


def _files(path: Path) -> list[tuple[str, int, int]]:
    found = (
        [path]
        if path.is_file()
        else sorted(one for one in path.rglob("*") if one.suffix in (".q", ".zst", ".remote"))
    )
    return [(str(one), stat.st_size, stat.st_mtime_ns) for one in found for stat in (one.stat(),)]


def latency_of(text: str) -> LatencyModel | None:
    """Raises InvalidArgument."""
    found: LatencyModel | None = _made(text, _LATENCIES, "latency")
    return found


def queue_of(text: str) -> QueueModel:
    """Raises InvalidArgument."""
    found: QueueModel = _made(text, _QUEUES, "queue")
    return found


def fees_of(text: str) -> MakerTaker:
    """`MAKER,TAKER` in basis points. Raises InvalidArgument."""
    maker, comma, taker = text.partition(",")
    try:
        return MakerTaker(float(maker), float(taker if comma else maker))
    except ValueError as error:
        raise InvalidArgument(
            where="backtest", field="fees", value=text, allowed="MAKER,TAKER in basis points: 1,5"
        ) from error


def _made(text: str, kinds: Mapping[str, Callable[..., Any]], field: str) -> Any:
    name, _, rest = text.partition(":")
    plain, named = [], {}
    try:
        for word in filter(None, rest.split(",")):
            key, equals, value = word.partition("=")
            if equals:
                named[key] = float(value)
            else:
                plain.append(float(key))
        return kinds[name](*plain, **named)
    except (KeyError, TypeError, ValueError) as error:
        allowed = f"{', '.join(kinds)}, with numbers behind a colon where it takes any"
        raise InvalidArgument(where="backtest", field=field, value=text, allowed=allowed) from error
