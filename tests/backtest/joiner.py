"""A strategy that joins queues and stays there, and what came of it in the shape of the reference."""

from __future__ import annotations

import random

from made_market import NAME
from orders_reference import Ours

from libchronicle.backtest import BacktestResult, BacktestRunner, FifoQueue, QueueModel
from libchronicle.protocol import Side
from libchronicle.strategy import Book, Context, OrderState, Strategy


class Joiner(Strategy):
    """Now and then joins a level near the touch, or improves it, and never looks back."""

    def __init__(
        self, name: str = NAME, share: float = 0.1, biggest: int = 30, seed: int = 1, deep: int = 4
    ) -> None:
        self.name, self.share, self.biggest, self.deep = name, share, biggest, deep
        self.rng = random.Random(seed)

    def on_start(self, ctx: Context) -> None:
        ctx.subscribe(self.name)

    def on_book(self, ctx: Context, book: Book) -> None:
        bids, asks = book.bids(self.deep), book.asks(self.deep)
        if book.instrument.name != self.name:
            return
        if len(bids) < self.deep or len(asks) < self.deep or self.rng.random() > self.share:
            return
        side = self.rng.choice((Side.BUY, Side.SELL))
        price = self.rng.choice(bids if side == Side.BUY else asks)[0]
        if self.rng.random() < 0.2:
            price = int(book.mid)
        price = book.instrument.round_price(price, side)
        ctx.send(book.instrument.post_only(side, price, self.rng.randint(1, self.biggest)))


def run(
    data: object, strategy: Strategy | None = None, model: QueueModel | None = None, **settings: object
) -> BacktestResult:
    settings = {"cash": 10**10, "leverage": 100, "queue": FifoQueue() if model is None else model, **settings}
    return BacktestRunner(data, **settings).run(Joiner() if strategy is None else strategy)


def ours(result: BacktestResult) -> list[Ours]:
    """What the venue took."""
    found, kept = result.orders, []
    for row in range(len(found)):
        if found["state"][row] != OrderState.REJECTED:
            side = 1 if found["side"][row] == Side.BUY else -1
            kept.append(
                Ours(
                    row,
                    *(
                        int(x)
                        for x in (found["arrived_ns"][row], side, found["price"][row], found["qty"][row])
                    ),
                )
            )
    return kept


def fills(result: BacktestResult) -> list[tuple[int, int, int, int]]:
    rows = {int(number): row for row, number in enumerate(result.orders["id"])}
    found = result.fills
    return [
        (
            int(found["ts_ns"][i]),
            rows[int(found["order_id"][i])],
            int(found["price"][i]),
            int(found["qty"][i]),
        )
        for i in range(len(found))
    ]
