"""The three workloads: plain Python strategies."""

from __future__ import annotations

from typing import Any

from libchronicle.strategy import Book, Context, Refusal, Side, Strategy, Trade

__all__ = ["WORKLOADS", "Feed", "QuoteEveryMessage", "QuoteOnTimer"]

QTY = 1_000_000  # 0.01 at 1e-8
LIMIT = 10_000_000
BUY, SELL = Side.BUY, Side.SELL


class Feed(Strategy):
    """A callback for each message, nothing else."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.messages = 0

    def on_start(self, ctx: Context) -> None:
        ctx.subscribe(self.name, ("book", "trade"))

    def on_book(self, ctx: Context, book: Book) -> None:
        self.messages += 1

    def on_trade(self, ctx: Context, trade: Trade) -> None:
        self.messages += 1


class _Quoter(Strategy):
    def __init__(self, name: str) -> None:
        self.name = name
        self.bid: int | Refusal = 0
        self.ask: int | Refusal = 0

    def on_start(self, ctx: Context) -> None:
        self.instrument = ctx.subscribe(self.name, ("book", "trade"))
        self.book = self.instrument.book
        self.position = self.instrument.position

    def quote(self, ctx: Context) -> None:
        book, held = self.book, self.position.qty
        price: Any = book.bid_price  # a book of two sides: the workloads quote only when there is one
        order = ctx.order(self.bid)
        if order is None:
            if held < LIMIT:
                self.bid = ctx.send(self.instrument.post_only(BUY, price, QTY))
        elif order.price != price and not order.is_pending:
            ctx.cancel(self.bid)
            self.bid = ctx.send(self.instrument.post_only(BUY, price, QTY)) if held < LIMIT else 0
        price = book.ask_price
        order = ctx.order(self.ask)
        if order is None:
            if held > -LIMIT:
                self.ask = ctx.send(self.instrument.post_only(SELL, price, QTY))
        elif order.price != price and not order.is_pending:
            ctx.cancel(self.ask)
            self.ask = ctx.send(self.instrument.post_only(SELL, price, QTY)) if held > -LIMIT else 0


class QuoteOnTimer(_Quoter):
    """Each 100 ms."""

    def on_start(self, ctx: Context) -> None:
        super().on_start(ctx)
        ctx.set_timer("quote", every_ms=100)

    def on_timer(self, ctx: Context, name: str) -> None:
        if self.book.is_valid:
            self.quote(ctx)


class QuoteEveryMessage(_Quoter):
    """With each message."""

    def on_book(self, ctx: Context, book: Book) -> None:
        self.quote(ctx)

    def on_trade(self, ctx: Context, trade: Trade) -> None:
        self.quote(ctx)


WORKLOADS: dict[str, type[Feed] | type[_Quoter]] = {
    "feed": Feed,
    "mm100": QuoteOnTimer,
    "mmfeed": QuoteEveryMessage,
}
