"""The latency of a run: one model for all venues, reached over one connection, or one for each, with one of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from libchronicle.errors import InvalidArgument
from libchronicle.sim.latency import LatencyModel, PythonLatency
from libchronicle.strategy.instrument import Instrument

__all__ = ["Delays", "Sight"]


class Sight(NamedTuple):
    """Instruments whose venue sees the market before the strategy does."""

    model: LatencyModel
    instruments: list[Instrument]


class Delays:
    """`latency`: a model, an object with entry() and response(), None, or one of these for each venue by its name."""

    def __init__(self, latency: Any) -> None:
        self.told = latency
        self.lanes: dict[str, int] = {}
        if isinstance(latency, Mapping):
            if not latency:
                raise _wrong(latency, "a model for each venue of the run, as {venue: model}; none is named")
            self.lanes = {venue: lane for lane, venue in enumerate(sorted(latency))}
            self.models = [_model(latency[venue]) for venue in self.lanes]
        else:
            self.models = [_model(latency)]

    def check(self, venues: Collection[str]) -> None:
        """Raises InvalidArgument for a venue of the run without a model, and for a model of none of its venues."""
        if not self.lanes:
            return
        there = ", ".join(sorted(venues))
        for venue in sorted({*venues} ^ {*self.lanes}):
            what = "it has no model" if venue in venues else "it is none of the run's"
            raise _wrong(venue, f"a model for each venue of the run, which are {there}; {what}")

    def lane(self, venue: str) -> int:
        return self.lanes.get(venue, 0)

    def sights(self, instruments: Iterable[Instrument]) -> list[Sight]:
        """Those that a feed latency puts ahead of the strategy, by model."""
        found: list[list[Instrument]] = [[] for _ in self.models]
        for one in instruments:
            found[self.lane(one.venue)].append(one)
        return [
            Sight(model, mine)
            for model, mine in zip(self.models, found, strict=True)
            if mine and model is not None and model.delays_feed
        ]


def _model(latency: Any) -> LatencyModel | None:
    return latency if latency is None or isinstance(latency, LatencyModel) else PythonLatency(latency)


def _wrong(value: Any, allowed: str) -> InvalidArgument:
    return InvalidArgument(where="BacktestRunner", field="latency", value=value, allowed=allowed)
