"""Follows a book that leans: features, an imbalance signal with filters, a model beside it if named, sizes by conviction.

Enters with an IOC order at the touch, closes after `hold_ms`, sooner when the signal turns. Losses in a row halve its size. A
demonstration of how the parts go together, not of how to earn money.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from libchronicle.strategy import (
    Book,
    Context,
    Ensemble,
    FeatureSet,
    Fill,
    ImbalanceSignal,
    Instrument,
    ModelSignal,
    MomentumFilter,
    PositionSizer,
    Refusal,
    Side,
    Signal,
    SignalGenerator,
    SpreadFilter,
    Strategy,
    VolatilityFilter,
)


class Desk:
    """What belongs to one instrument."""

    def __init__(self, features: FeatureSet, signal: SignalGenerator) -> None:
        self.features = features
        self.signal = signal
        self.sizer: PositionSizer | None = None  # needs the instrument's definition
        self.saved: Any = None
        self.realized = 0
        self.next_entry_ns = 0
        self.close_ns = 0


class Lean(Strategy):
    def __init__(self) -> None:
        self.desks: dict[str, Desk] = {}
        self.saved: dict[str, Any] = {}

    def on_load(self, ctx: Context, state: Any) -> None:
        self.saved = state

    def on_start(self, ctx: Context) -> None:
        ctx.cancel_all()  # an order that survived a crash is nobody's intention now
        ctx.set_timer("hold", every_ms=100)
        for instrument in ctx.instruments.values():
            desk = Desk(ctx.watch(instrument), generator(ctx.params))
            desk.realized = instrument.position.realized_pnl
            desk.saved = self.saved.get(instrument.name)
            self.desks[instrument.name] = desk

    def on_book(self, ctx: Context, book: Book) -> None:
        desk, instrument = self.desks[book.instrument.name], book.instrument
        outcome = desk.signal(desk.features, ctx.now_ns())
        if type(outcome) is not Signal or not ctx.can_send or ctx.now_ns() < desk.next_entry_ns:
            return
        price = book.ask_price if outcome.side is Side.BUY else book.bid_price
        if price is None or ctx.orders(instrument):
            return
        if outcome.direction * instrument.position.qty < 0:
            self.close(ctx, desk, instrument)
            return
        qty = self.sizer(ctx, desk, instrument).size(outcome, instrument.position.qty, price)
        if qty and not isinstance(ctx.send(instrument.ioc(outcome.side, price, qty)), Refusal):
            desk.next_entry_ns = ctx.now_ns() + ctx.params.pause_ms * 1_000_000
            desk.close_ns = ctx.now_ns() + ctx.params.hold_ms * 1_000_000

    def on_fill(self, ctx: Context, fill: Fill) -> None:
        desk, position = self.desks[fill.instrument.name], fill.instrument.position
        self.sizer(ctx, desk, fill.instrument).closed(position.realized_pnl - desk.realized)
        desk.realized = position.realized_pnl

    def on_timer(self, ctx: Context, name: str) -> None:
        for instrument in ctx.instruments.values():
            desk = self.desks[instrument.name]
            if instrument.position.qty and instrument.is_synced and ctx.now_ns() >= desk.close_ns:
                self.close(ctx, desk, instrument)

    def on_save(self, ctx: Context) -> Any:
        return {name: desk.sizer.save() for name, desk in self.desks.items() if desk.sizer is not None}

    def on_stop(self, ctx: Context) -> None:
        for name, desk in self.desks.items():
            ctx.log.info("signals", instrument=name, counts=str(dict(desk.signal.counts)))

    def close(self, ctx: Context, desk: Desk, instrument: Instrument) -> None:
        if ctx.can_send and not ctx.orders(instrument):
            ctx.close_position(instrument)
            desk.next_entry_ns = ctx.now_ns() + ctx.params.pause_ms * 1_000_000

    def sizer(self, ctx: Context, desk: Desk, instrument: Instrument) -> PositionSizer:
        if desk.sizer is None:
            desk.sizer = PositionSizer(
                instrument.qty(ctx.params.qty),
                instrument.qty(ctx.params.max_position),
                lot=instrument.lot_size,
                min_qty=instrument.min_qty,
                min_notional=instrument.min_notional,
                short=ctx.params.short,
                halve_after=ctx.params.halve_after,
            )
            if desk.saved is not None:
                desk.sizer.load(desk.saved)
        return desk.sizer


def generator(params: Any) -> SignalGenerator:
    """The rules, and the model beside them when one is named."""
    filters: list[Any] = [SpreadFilter(params.max_spread_bps)]
    if params.against_bps:
        filters.append(MomentumFilter(params.against_bps))
    if params.max_volatility:
        filters.append(VolatilityFilter(most=params.max_volatility))
    rules = ImbalanceSignal(
        threshold=params.threshold,
        persist_ms=params.persist_ms,
        hold_ms=params.hold_ms,
        min_strength=params.min_strength,
        min_confidence=params.min_confidence,
        filters=filters,
    )
    if not params.model:
        return rules
    weight = params.model_weight
    return Ensemble(
        [rules, ModelSignal(Path(__file__).with_name(params.model), filters=filters)], [1 - weight, weight]
    )
