"""Models as text, for command lines, TOML and plans: NAME or NAME:NUMBER,NUMBER,key=NUMBER; times in µs.

    latency   none | constant:ENTRY,RESPONSE[,FEED] | jitter:ENTRY,RESPONSE[,sigma=S]
              | spikes:ENTRY,RESPONSE,extra_us=E[,share=P]; of one venue on a command line VENUE=MODEL
    queue     risk-averse | prob[:POWER] | log | fifo
    fees      MAKER,TAKER in basis points, a rebate is negative
    chances   none | touch=SHARE,through_only=SHARE,slippage=SHARE,slippage_ticks=N, any of them

Everything here raises InvalidArgument.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from libchronicle.errors import InvalidArgument
from libchronicle.portfolio import MakerTaker
from libchronicle.sim.latency import ConstantLatency, JitterLatency, LatencyModel, SpikeLatency
from libchronicle.sim.queues import (
    FifoQueue,
    FillChances,
    LogProbQueue,
    ProbQueue,
    QueueModel,
    RiskAverseQueue,
)

__all__ = ["MODELS", "chances_of", "fees_of", "latency_of", "latency_words", "queue_of"]

Latency = LatencyModel | None


def _spikes(entry_us: float, response_us: float, **more: float) -> LatencyModel:
    return SpikeLatency(ConstantLatency(entry_us, response_us), **more)


_LATENCIES: Final[Mapping[str, Callable[..., Latency]]] = {
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


def latency_of(text: str | Mapping[str, str]) -> Latency | dict[str, Latency]:
    """One model, or one for each venue."""
    if isinstance(text, Mapping):
        return {venue: _made(model, _LATENCIES, f"latency.{venue}") for venue, model in text.items()}
    found: Latency = _made(text, _LATENCIES, "latency")
    return found


def latency_words(words: Sequence[str]) -> str | dict[str, str]:
    """What a command line says: one MODEL, or VENUE=MODEL for each venue."""
    found: dict[str, str] = {}
    for word in words:
        venue, equals, model = word.partition("=")
        if not equals or ":" in venue or "," in venue:
            venue, model = "", word
        if venue in found or ("" in found) or (found and not venue):
            allowed = "MODEL once, or VENUE=MODEL once for each venue"
            raise InvalidArgument(where="backtest", field="--latency", value=" ".join(words), allowed=allowed)
        found[venue] = model
    return found.get("") or found


def queue_of(text: str) -> QueueModel:
    found: QueueModel = _made(text, _QUEUES, "queue")
    return found


def fees_of(text: str) -> MakerTaker:
    """`MAKER,TAKER` in basis points."""
    maker, comma, taker = text.partition(",")
    try:
        return MakerTaker(float(maker), float(taker if comma else maker))
    except ValueError as error:
        raise InvalidArgument(
            where="backtest", field="fees", value=text, allowed="MAKER,TAKER in basis points: 1,5"
        ) from error


def chances_of(text: str) -> FillChances | None:
    if text == "none":
        return None
    found: FillChances = _made(f"chances:{text}", {"chances": _chances}, "chances")
    return found


def _chances(*, slippage_ticks: float = 1, **shares: float) -> FillChances:
    if slippage_ticks % 1:
        raise ValueError("ticks are whole")
    return FillChances(**shares, slippage_ticks=int(slippage_ticks))


MODELS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "latency": latency_of,
    "queue": queue_of,
    "fees": fees_of,
    "chances": chances_of,
}
"""Settings of a BacktestRunner that text can tell, and how to read it."""

_ALLOWED: Final = {
    "chances": "none, or touch=, through_only=, slippage= with a share of 0 to 1, slippage_ticks= with a number"
}


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
        models = f"{', '.join(kinds)}, with numbers behind a colon where it takes any"
        raise InvalidArgument(
            where="backtest", field=field, value=text, allowed=_ALLOWED.get(field, models)
        ) from error
