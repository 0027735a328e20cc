"""Takes when the book leans: buys when the best levels hold far more bids than asks, sells when far more asks.

Small on purpose: one quantity, a position limit, a pause between two orders; a position is closed after `hold_ms` without a
new entry. The edge is a demonstration, not a promise.
"""

from __future__ import annotations

from libchronicle.strategy import Book, Context, Fill, Instrument, Refusal, Side, Strategy


class ImbalanceTaker(Strategy):
    def __init__(self) -> None:
        self.next_order_ns: dict[str, int] = {}
        self.fills = 0

    def on_start(self, ctx: Context) -> None:
        ctx.cancel_all()  # an order that survived a crash is nobody's intention now
        ctx.set_timer("hold", every_ms=250)

    def on_book(self, ctx: Context, book: Book) -> None:
        instrument: Instrument = book.instrument
        if ctx.now_ns() < self.next_order_ns.get(instrument.name, 0):
            return
        params = ctx.params
        lean = book.imbalance(params.levels)
        bid, ask = book.bid_price, book.ask_price
        if bid is None or ask is None or abs(lean) < params.threshold:
            return
        qty, limit = instrument.qty(params.qty), instrument.qty(params.max_position)
        position = instrument.position.qty
        if lean > 0 and position + qty <= limit:
            sent = ctx.send(instrument.ioc(Side.BUY, ask, qty))
        elif lean < 0 and position - qty >= -limit:
            sent = ctx.send(instrument.ioc(Side.SELL, bid, qty))
        else:
            return
        if not isinstance(sent, Refusal):
            self.next_order_ns[instrument.name] = ctx.now_ns() + params.pause_ms * 1_000_000

    def on_timer(self, ctx: Context, name: str) -> None:
        hold_ns = ctx.params.hold_ms * 1_000_000
        for instrument in ctx.instruments.values():
            held_since = self.next_order_ns.get(instrument.name, 0)
            if instrument.position.qty and instrument.is_synced and ctx.now_ns() > held_since + hold_ns:
                ctx.close_position(instrument)
                self.next_order_ns[instrument.name] = ctx.now_ns() + ctx.params.pause_ms * 1_000_000

    def on_fill(self, ctx: Context, fill: Fill) -> None:
        self.fills += 1
