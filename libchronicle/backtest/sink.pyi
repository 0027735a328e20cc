from collections.abc import Iterable, Mapping
from typing import Any

from libchronicle.strategy.sink import OrderSink

class BacktestSink(OrderSink):
    """Where a backtest's strategy sends to."""

    requests: int
    def __init__(self, latencies: Iterable[Any] = ..., queue_id: int = 1, *, seed: int = 1) -> None: ...
    def route(self, routes: Mapping[int, int]) -> None:
        """Lanes by instrument id."""
    def tell_time(self, now: int) -> None:
        """The time at which what is sent next is sent."""
