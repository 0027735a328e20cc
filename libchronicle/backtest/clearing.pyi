from collections.abc import Iterable, Mapping
from typing import Any

from libchronicle.backtest.listing import Listing
from libchronicle.risk import RiskGate

class Clearing(Listing):
    """Matcher and account of one run, see Listing."""

    liquidations: int
    trips: int
    def __init__(
        self,
        gate: RiskGate,
        *,
        queue_id: int = 1,
        epoch: int = 1,
        seed: int = 1,
        queues: Any = None,
        chances: Any = None,
        cancels_on_trip: bool = False,
        latencies: Iterable[Any] = ...,
        lanes: Mapping[str, int] | None = None,
        sample_ns: int = 1_000_000_000,
        account_name: str = "",
    ) -> None: ...
    def schedule_funding(self, payments: Iterable[tuple[int, str, int]]) -> None:
        """(time, instrument, rate) in order of time; those of instruments that are not there are left out."""
    def begin_curve(self, now: int) -> None:
        """The first sample; the next on the grid of `sample_ns`."""
    def end_curve(self, now: int) -> None: ...
    def counts(self) -> tuple[int, int, dict[str, int]]:
        """Orders, fills and rejections by code."""
    def instruments(self) -> list[str]:
        """Names by slot."""
