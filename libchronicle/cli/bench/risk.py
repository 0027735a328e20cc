"""Pre-trade risk and account: what an order costs before it is sent, and a fill.

`check_ns`: every limit of the table is set and none of the breakers has tripped. `check_and_account_ns`: buying power too.
`fill_ns`: a fill in an account on margin, a new mark, and both looked at by the breakers. `python_check_us`: the call that the
router makes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from statistics import median
from time import perf_counter_ns
from typing import Any

from libchronicle.cli.bench._risk import book, judge
from libchronicle.cli.bench.harness import BenchOptions, undisturbed
from libchronicle.portfolio import Account, Holding, InstrumentTerms, MakerTaker, Position
from libchronicle.protocol import ContractKind
from libchronicle.risk import MarketView, Proposal, RiskGate, Situation, breakers_of, check, resolve
from libchronicle.runtime.config import Limits

TERMS = InstrumentTerms(
    1, 1, 1, -2, -3, kind=ContractKind.LINEAR, name="bench:BTCUSDT", settle_currency="USDT"
)
LIMITS = Limits(
    max_order_qty="1.8",
    max_order_notional="180",
    max_position_qty="1.9",
    max_position_notional="190",
    max_exposure="1000",
    max_open_orders=100,
    max_orders_per_s=1_000_000,
    price_band_bps=180,
    max_data_age_ms=1000,
    max_drawdown="1000000",
    max_daily_loss="1000000",
    max_losses_in_a_row=1_000_000,
)


def run(options: BenchOptions) -> dict[str, Any]:
    count = 2_000 if options.tiny else 1_000_000
    answers: set[Any] = set()
    with undisturbed(options.pair()[0]):
        timed: dict[str, float] = {
            "check_ns": _median(options, count, lambda: answers.add(judge(_gate(), count, False))),
            "check_and_account_ns": _median(options, count, lambda: answers.add(judge(_gate(), count, True))),
            "fill_ns": _median(options, count, lambda: answers.add(book(_gate(), count))),
        }
        python = _median(options, count // 10, lambda: _python(count // 10))
    told = {name: round(value, 1) for name, value in timed.items()}
    digest = hashlib.sha256(repr(sorted(map(repr, answers))).encode()).hexdigest()[:16]
    return told | {"python_check_us": round(python / 1000, 3), "n": count, "hash": digest}


def _gate() -> RiskGate:
    account = Account(1_000, leverage=10, fees=MakerTaker(1, 4))
    account.add(TERMS)
    account.mark(0, 10_000)
    return RiskGate(account, LIMITS, breakers=breakers_of(LIMITS))


def _python(count: int) -> None:
    order = Proposal(True, 100, 10_000)
    market = MarketView(9_999, 10_001, 10_000, 1)
    limits, holding = resolve(LIMITS, TERMS), Holding(Position(TERMS))
    for _ in range(count):
        check(order, Situation(1, False, TERMS, market, holding, limits))


def _median(options: BenchOptions, count: int, work: Callable[[], object]) -> float:
    """Nanoseconds of one."""

    def once() -> float:
        start = perf_counter_ns()
        work()
        return (perf_counter_ns() - start) / count

    return median(once() for _ in range(max(1, options.repeats)))
