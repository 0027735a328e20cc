from libchronicle.replay.recorded import RecordedQueue
from libchronicle.sim.paper_feed import MarketReader

__all__ = ["RecordedMarket"]

class RecordedMarket(MarketReader):
    def __init__(self, queue: RecordedQueue, start_seq: int, epoch: int) -> None: ...
    def let(self, first: int, last: int) -> None: ...
