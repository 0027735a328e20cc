"""The native engine does what the slow reference does: every callback, at its time, with its figures."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from libchronicle.backtest import BacktestRunner, ConstantLatency, MakerTaker
from libchronicle.portfolio import Account

sys.path.insert(0, str(Path(__file__).parent))
from made_market import market, tape
from quoter import Quoter
from reference import Reference

MONEY = {"cash": 100_000, "leverage": 5, "fees": MakerTaker(1, 5)}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("entry_us", "response_us"), [(0, 0), (800, 1300), (5000, 0)])
def test_every_callback_is_the_references(seed: int, entry_us: int, response_us: int) -> None:
    records = market(900, seed=seed)
    slow, fast = Quoter(seed), Quoter(seed)
    Reference(slow, Account(**MONEY), entry_us * 1000, response_us * 1000).run(records)
    latency = ConstantLatency(entry_us, response_us)
    result = BacktestRunner(tape(records), latency=latency, **MONEY).run(fast)
    for number, (expected, found) in enumerate(zip(slow.heard, fast.heard, strict=False)):
        assert found == expected, f"seed {seed}, callback {number}"
    assert len(fast.heard) == len(slow.heard)
    assert len(result.fills) > 5
