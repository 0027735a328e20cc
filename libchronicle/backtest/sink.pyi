from libchronicle.sim.latency import LatencyModel
from libchronicle.strategy.sink import OrderSink

class BacktestSink(OrderSink):
    """Where a backtest's strategy sends to."""

    requests: int
    def __init__(self, latency: LatencyModel, queue_id: int = 1) -> None: ...
    def tell_time(self, now: int) -> None:
        """The time at which what is sent next is sent."""
