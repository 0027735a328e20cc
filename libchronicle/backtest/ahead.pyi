from collections.abc import Iterable
from typing import Any

from libchronicle.backtest.clearing import Clearing
from libchronicle.replay.source import FrameSource
from libchronicle.strategy.instrument import Instrument

class Ahead:
    """The venue's own sight of the market. `sources`: the same as the engine's, opened a second time."""

    def __init__(
        self,
        sources: list[FrameSource],
        venue: Clearing,
        instruments: Iterable[Instrument],
        latency: Any,
        *,
        seed: int = 1,
        ignores: bool = False,
        start_ns: int = ...,
        end_ns: int = ...,
    ) -> None: ...
    def begin(self) -> None:
        """The first record; those of before the start only warm the books."""
