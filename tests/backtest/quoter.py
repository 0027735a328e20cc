"""A strategy that does a little of everything, and notes what it hears."""

from __future__ import annotations

import random
from typing import Any

from made_market import NAME, TICK

from libchronicle.strategy import Book, Context, Fill, OrderUpdate, Refusal, Side, Strategy, Trade


class Quoter(Strategy):
    """Quotes both sides of the touch, now and then takes, replaces or cancels all. `heard`: all it was told."""

    def __init__(self, seed: int = 1, name: str = NAME) -> None:
        self.name = name
        self.rng = random.Random(seed)
        self.heard: list[tuple[Any, ...]] = []
        self.sent = 0

    def on_start(self, ctx: Context) -> None:
        self.instrument = ctx.subscribe(self.name)
        ctx.set_timer("think", every_ms=7)

    def on_book(self, ctx: Context, book: Book) -> None:
        self.heard.append(("book", ctx.now_ns(), book.best_bid, book.best_ask))
        if self.rng.random() < 0.3:
            self.act(ctx)

    def on_trade(self, ctx: Context, trade: Trade) -> None:
        self.heard.append(("trade", ctx.now_ns(), trade.price, trade.qty))

    def on_timer(self, ctx: Context, name: str) -> None:
        self.heard.append(("timer", ctx.now_ns(), name))
        if self.instrument.book.is_valid:
            self.act(ctx)

    def on_fill(self, ctx: Context, fill: Fill) -> None:
        position = ctx.position(self.name)
        self.heard.append(("fill", ctx.now_ns(), fill.order_id, fill.price, fill.qty, fill.fee, position.qty))

    def on_order(self, ctx: Context, update: OrderUpdate) -> None:
        told = (
            update.order_id,
            update.exec_type,
            update.reject_code,
            update.cum_qty,
            update.leaves_qty,
            update.exec_id,
        )
        self.heard.append(("order", ctx.now_ns(), *told))

    def act(self, ctx: Context) -> None:
        made, rng, book = self.instrument, self.rng, self.instrument.book
        bid, ask = book.bid_price, book.ask_price
        working = [order for order in ctx.orders() if order.price]
        match rng.randrange(8):
            case 0 | 1:
                self.send(ctx, made.post_only(Side.BUY, bid, rng.randint(1, 30)))
            case 2 | 3:
                self.send(ctx, made.post_only(Side.SELL, ask, rng.randint(1, 30)))
            case 4:
                side = rng.choice((Side.BUY, Side.SELL))
                self.send(ctx, made.ioc(side, ask if side == Side.BUY else bid, rng.randint(1, 99)))
            case 5 if working:
                ctx.cancel(rng.choice(working).id)
            case 6 if working:
                order = rng.choice(working)
                ctx.replace(order.id, price=order.price - TICK, qty=order.qty + 1)
            case 7 if rng.random() < 0.1:
                ctx.cancel_all()
            case _:
                ctx.close_position(self.name)

    def send(self, ctx: Context, order: Any) -> None:
        answer = ctx.send(order)
        assert not isinstance(answer, Refusal) or not ctx.can_send
        self.sent += not isinstance(answer, Refusal)
