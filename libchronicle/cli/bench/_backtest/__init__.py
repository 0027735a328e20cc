"""What the bench `backtest` is made of: the rows, the quoting rule, a process of its own for memory, and the peers.

The quoting rule, for every engine alike: on each side one post-only order of 0.01 at the touch while the position is
within ±0.1. An order in flight is left alone; one that stands away from the touch is cancelled and its successor sent at
once. 5 ms to the venue, 5 ms back.
"""

from __future__ import annotations

from typing import Any

from libchronicle.backtest import BacktestRunner, ConstantLatency, MakerTaker

__all__ = ["runner_over"]


def runner_over(data: Any) -> BacktestRunner:
    """The settings all figures are measured with."""
    latency = ConstantLatency(entry_us=5000, response_us=5000)
    return BacktestRunner(data, latency=latency, fees=MakerTaker(2, 5), cash=100_000)
