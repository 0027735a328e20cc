"""Backtests: the strategy that runs live, over recorded data.

from libchronicle.backtest import BacktestRunner, ConstantLatency, MakerTaker

latency = ConstantLatency(entry_us=50, response_us=50)
result = BacktestRunner("archive", start="2024-08-08", latency=latency, fees=MakerTaker(1, 5)).run(Quoter())
"""

from libchronicle.backtest.envelope import Envelope, envelope
from libchronicle.backtest.plan import Plan
from libchronicle.backtest.result import BacktestResult, Columns
from libchronicle.backtest.runner import BacktestRunner
from libchronicle.backtest.sweep import Point, sweep
from libchronicle.backtest.tape import Tape, tape_of_rows
from libchronicle.portfolio import FeeSchedule, FlatFees, MakerTaker, TieredFees
from libchronicle.sim.latency import (
    ConstantLatency,
    InterpolatedLatency,
    JitterLatency,
    LatencyModel,
    PythonLatency,
    SpikeLatency,
)
from libchronicle.sim.queues import (
    FifoQueue,
    FillChances,
    LogProbQueue,
    ProbQueue,
    QueueModel,
    RiskAverseQueue,
    UserQueue,
)

__all__ = [
    "BacktestResult",
    "BacktestRunner",
    "Columns",
    "ConstantLatency",
    "Envelope",
    "FeeSchedule",
    "FifoQueue",
    "FillChances",
    "FlatFees",
    "InterpolatedLatency",
    "JitterLatency",
    "LatencyModel",
    "LogProbQueue",
    "MakerTaker",
    "Plan",
    "Point",
    "ProbQueue",
    "PythonLatency",
    "QueueModel",
    "RiskAverseQueue",
    "SpikeLatency",
    "Tape",
    "TieredFees",
    "UserQueue",
    "envelope",
    "sweep",
    "tape_of_rows",
]
