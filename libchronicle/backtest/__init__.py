"""Backtests: the strategy that runs live, over recorded data.

from libchronicle.backtest import BacktestRunner

result = BacktestRunner(data="archive", start="2024-08-08", end="2024-08-09").run(Quoter())
"""

from libchronicle.backtest.result import BacktestResult
from libchronicle.backtest.runner import BacktestRunner
from libchronicle.backtest.tape import Tape, tape_of_rows

__all__ = ["BacktestResult", "BacktestRunner", "Tape", "tape_of_rows"]
