"""Requests and replies of the paper venue take as long as a backtest's of the same model and seed."""

from __future__ import annotations

import random
from typing import Any

import pytest

from libchronicle.backtest import BacktestRunner, ConstantLatency, JitterLatency, SpikeLatency
from libchronicle.protocol import CancelOrder
from libchronicle.runtime.config import LatencyConfig, PaperConfig, RouterConfig
from libchronicle.testing import sample_market
from services.router.engine import Request
from services.router.transit import Transit
from tests.services.paper_desk import Heard, PaperDesk, Scripted, had_at, heard_in

SPOT = "binance-spot:BTCUSDT"
CASH = {"USDT": "9000", "BTC": "0.1"}
MODELS: list[tuple[LatencyConfig, Any]] = [
    (LatencyConfig(entry_us=3000, response_us=1500), ConstantLatency(3000, 1500)),
    (
        LatencyConfig(model="jitter", entry_us=8000, response_us=9000, sigma=0.8, seed=7),
        JitterLatency(8000, 9000, sigma=0.8),
    ),
    (
        LatencyConfig(model="spikes", entry_us=500, response_us=500, extra_us=60_000, share=0.4, seed=7),
        SpikeLatency(ConstantLatency(500, 500), extra_us=60_000, share=0.4),
    ),
]


@pytest.mark.parametrize(("settings", "model"), MODELS, ids=["constant", "jitter", "spikes"])
def test_paper_and_backtest_of_one_latency_trade_alike(settings: LatencyConfig, model: Any) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    tape = sample_market(SPOT, seconds=8, seed=seed)
    strategy = Scripted(SPOT, seed)
    runner = BacktestRunner(
        tape, instruments=[SPOT], cash=CASH, latency=model, seed=settings.seed, guard="off"
    )
    result = runner.run(strategy)
    paper = PaperConfig(cash=CASH, latency=settings)
    desk = PaperDesk(RouterConfig(valid_for_ms=3_600_000, paper=paper), tape)
    desk.play(strategy.sent)
    desk.until(strategy.had[-1][0])
    again, heard = told_of(heard_in(desk.events())), told_of(strategy.heard)
    assert again == heard[: len(again)]
    assert sum(one.kind == "fill" for one in again) > 3
    assert result.requests >= len(strategy.sent) > 100
    times = [time for time, _ in strategy.had]
    told_at = had_at(desk.events(), times, desk.told.times)
    for (time, had), told in zip(strategy.had, told_at, strict=True):
        assert {currency: had[currency] for currency in told} == told, time - times[0]


def told_of(heard: list[Heard]) -> list[Heard]:
    """Without refusals to change an order that had ended: a strategy hears nothing of an order that it knows no more."""
    return [one for one in heard if one.code != "UNKNOWN_ORDER"]


def request(seq: int, ts_ns: int) -> Request:
    return Request(CancelOrder.TEMPLATE_ID, b"", 1, seq, ts_ns)


def test_a_request_never_overtakes_one_of_its_strategy_and_another_strategys_does() -> None:
    takes = {100: 50, 110: 5, 120: 5}
    transit = Transit(takes.__getitem__)
    assert transit.takes("alpha", request(0, 100), 105)
    assert transit.takes("beta", request(0, 110), 112)
    assert transit.next_due_ns == 115
    assert transit.arrived(114) is None
    found = transit.arrived(160)
    assert found is not None
    assert found[0] == "beta"
    assert transit.arrived(149) is None
    found = transit.arrived(150)
    assert found is not None
    assert found[0] == "alpha"
    assert transit.takes("alpha", request(1, 120), 130)  # not at 125
    assert transit.next_due_ns == 150
    transit.forget("alpha")
    assert transit.next_due_ns == 0


def test_without_a_latency_nothing_is_ever_held() -> None:
    transit = Transit(None)
    assert not transit.takes("alpha", request(0, 10), 0)
    assert transit.next_due_ns == 0
