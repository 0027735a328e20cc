"""Features a strategy watches: what they see, when, and what a gap does to them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from stage import BTC, ETH, Stage, definition

from libchronicle.errors import InvalidArgument, MisuseError, NotSubscribed
from libchronicle.protocol import BestBidAsk, Gap, GapReason, SbeMessage, Side, Trade, instrument_id
from libchronicle.signals import (
    FeatureSet,
    Imbalance,
    Mid,
    Momentum,
    OrderFlowImbalance,
    Spread,
    Touch,
    TradeFlowImbalance,
)
from libchronicle.strategy import Strategy


class Watcher(Strategy):
    """Keeps what its features say in each callback."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, float | None]] = []

    def on_book(self, ctx: Any, book: Any) -> None:
        self.seen.append(("book", ctx.features[book.instrument.name]["mid"]))

    def on_trade(self, ctx: Any, trade: Any) -> None:
        self.seen.append(("trade", ctx.features[trade.instrument.name]["mid"]))


def trade(qty: int = 100, name: str = BTC) -> SbeMessage:
    return Trade(instrument_id=instrument_id(name), price=6_000_000, qty=qty, aggressor=Side.BUY)


def test_features_are_up_to_date_when_the_callback_runs() -> None:
    strategy = Watcher()
    stage = Stage(strategy, trading=False)
    stage.ctx.watch(BTC, [Mid()])
    stage.connect()
    strategy.seen.clear()
    stage.delta(bids=[(6_000_020, 5)])
    stage.put(trade())
    stage.delta(bids=[(6_000_020, 0)])
    assert strategy.seen == [("book", 60_000.6), ("trade", 60_000.6), ("book", 60_000.5)]


def test_prices_and_quantities_have_their_scale_however_late_the_definition_comes() -> None:
    stage = Stage()
    early = stage.ctx.watch(BTC, [Touch()])
    stage.delta(bids=[(6_000_050, 250_000_000)])
    assert (early["bid"], early["bid_qty"]) == (60_000.5, 2.5)
    stage.put(definition(qty_exponent=-8, price_exponent=-2))
    stage.delta(bids=[(6_000_050, 150_000_000)])
    assert (early["bid"], early["bid_qty"]) == (60_000.5, 1.5)


def test_features_see_what_the_strategy_has_no_callback_for() -> None:
    stage = Stage()  # overrides nothing
    features = stage.ctx.watch(BTC, [Imbalance(1), Momentum(1), TradeFlowImbalance(1)])
    taken = features.records
    stage.delta(bids=[(6_000_000, 300_000_000)])
    stage.put(trade())
    stage.put(BestBidAsk(instrument_id=instrument_id(BTC)))
    assert features.records == taken + 2
    assert features["imbalance_1"] == 0.5


def test_each_instrument_has_features_of_its_own() -> None:
    stage = Stage(None, BTC, ETH)
    btc, eth = stage.ctx.watch(BTC), stage.ctx.watch(ETH, FeatureSet([Spread()]))
    stage.snapshot(ETH)
    stage.put(trade(name=ETH))
    assert (btc.records, eth.records) == (0, 2)
    assert stage.ctx.features == {BTC: btc, ETH: eth}
    assert len(btc.names) == 13


def test_a_gap_empties_the_windows_and_nothing_is_taken_until_the_next_snapshot() -> None:
    stage = Stage()
    features = stage.ctx.watch(BTC, [OrderFlowImbalance(1), Mid()])
    stage.delta(bids=[(6_000_000, 5)])
    stage.now += 5_000_000_000
    stage.delta(bids=[(6_000_000, 9)])
    assert features["ofi_1s"] is not None
    stage.put(Gap(instrument_id=instrument_id(BTC), reason=GapReason.SEQUENCE))
    assert (features["ofi_1s"], features["mid"]) == (None, None)
    taken = features.records
    stage.put(trade())
    stage.delta(bids=[(6_000_000, 7)])
    assert features.records == taken
    stage.snapshot()
    assert (features["ofi_1s"], features["mid"]) == (None, 60_000.5)


def test_features_go_on_while_another_feed_keeps_the_host_from_trading() -> None:
    stage = Stage(None, BTC, "other:BTCUSDT")
    features = stage.ctx.watch(BTC, [Mid()])
    stage.lifecycle.feed_lost("other", "gone")
    stage.delta(bids=[(6_000_020, 5)])
    assert features["mid"] == 60_000.6


def test_muted_records_are_not_taken() -> None:
    stage = Stage()
    features = stage.ctx.watch(BTC, [Mid()])
    stage.put(trade(), muted=True)
    assert features.records == 0


def test_watching_twice_or_what_is_not_subscribed_is_refused() -> None:
    stage = Stage()
    stage.ctx.watch(BTC)
    with pytest.raises(MisuseError, match="watched already"):
        stage.ctx.watch(BTC, [Mid()])
    with pytest.raises(NotSubscribed):
        stage.ctx.watch(ETH)
    with pytest.raises(InvalidArgument):
        Stage().ctx.watch(BTC, [])
