"""Quotes both sides at the touch, post-only, and leans back when its position grows.

Re-quotes on a timer: an order that is no longer at the touch is cancelled, a side without an order gets one. The position
limit switches off the side that would widen it.
"""

from __future__ import annotations

from libchronicle.strategy import Context, FeedState, Instrument, Side, Strategy, WorkingOrder


class Quoter(Strategy):
    def on_start(self, ctx: Context) -> None:
        ctx.cancel_all()
        ctx.set_timer("requote", every_ms=ctx.params.requote_ms)

    def on_feed_state(self, ctx: Context, feed: str, state: FeedState) -> None:
        if state is FeedState.SYNCING:  # quoting blind is a gift to others
            ctx.cancel_all()

    def on_timer(self, ctx: Context, name: str) -> None:
        if not ctx.can_send:
            return
        for instrument in ctx.instruments.values():
            if instrument.is_synced:
                self.quote(ctx, instrument)

    def quote(self, ctx: Context, instrument: Instrument) -> None:
        book = instrument.book
        bid, ask = book.bid_price, book.ask_price
        if bid is None or ask is None or bid >= ask:
            return
        qty, limit = instrument.qty(ctx.params.qty), instrument.qty(ctx.params.max_position)
        position = instrument.position.qty
        working = ctx.orders(instrument)
        self.keep_one(ctx, instrument, working, Side.BUY, bid, qty if position + qty <= limit else 0)
        self.keep_one(ctx, instrument, working, Side.SELL, ask, qty if position - qty >= -limit else 0)

    def keep_one(
        self,
        ctx: Context,
        instrument: Instrument,
        working: list[WorkingOrder],
        side: Side,
        price: int,
        qty: int,
    ) -> None:
        """One order of this side at `price`; none if `qty` is 0."""
        mine = [order for order in working if order.side is side]
        for order in mine:
            if order.price != price or not qty:
                ctx.cancel(order.id)
        if qty and not mine:
            ctx.send(instrument.post_only(side, price, qty))
