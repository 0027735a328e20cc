from collections.abc import Iterable
from typing import Any

from libchronicle.backtest.ahead import Ahead
from libchronicle.backtest.sink import BacktestSink
from libchronicle.backtest.venue import SimVenue
from libchronicle.replay.source import FrameSource
from libchronicle.strategy.dispatch import Dispatcher
from libchronicle.strategy.instrument import Instrument

class BacktestEngine:
    """One run. `sources` are FrameSources, `feeds` the venue each belongs to; `policy` a number of replay's gap policies."""

    instruments: list[Instrument]
    start_ns: int
    end_ns: int
    messages: int
    rows: int
    lost: int
    gaps: int
    refused: int
    warmed: int
    now_ns: int
    digest: int
    def __init__(
        self,
        dispatcher: Dispatcher,
        sink: BacktestSink,
        venue: SimVenue,
        lifecycle: Any,
        sources: list[FrameSource],
        feeds: list[str],
        policy: int,
        start_ns: int = ...,
        end_ns: int = ...,
    ) -> None: ...
    def listen(self, instruments: Iterable[Instrument]) -> None:
        """The instruments the strategy has subscribed; before `run`."""
    def look_ahead(self, ahead: Ahead) -> None:
        """The venue has a sight of its own of the market; before `begin`."""
    def begin(self) -> None:
        """Take the first record of each source."""
    def warm(self) -> bool:
        """Apply the records before start_ns to the books. True if there were any."""
    def run(self) -> int:
        """To the end of the sources, or to end_ns. What a callback raises comes out."""
    def pass_time(self, until: int) -> None:
        """Let what is due before `until` happen, with no record to come."""
    def drain(self) -> None:
        """Let requests and reports that are on their way arrive; no timer fires any more."""
    def drain_venue(self) -> None:
        """Let the requests on their way arrive; the strategy hears of nothing any more."""
    def without_snapshot(self) -> list[str]:
        """Names of the instruments whose book was never right."""
