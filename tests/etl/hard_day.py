"""A raw queue with everything in it that a refinery must survive, around a midnight; the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from raw_world import MIDNIGHT, SECOND, delta, instrument, number, quote, snapshot, trade

from libchronicle.book import L3Book
from libchronicle.protocol import (
    BookMode,
    BookReset,
    BookSnapshot,
    Gap,
    GapReason,
    OrderAdd,
    OrderDelete,
    OrderExecute,
    OrderModify,
    SbeMessage,
    Side,
    decode,
)
from libchronicle.queue import Queue, QueueConfig

SYMBOLS = ("AA", "BB", "CC")
ORDERS = "OO"  # its book is one of single orders
CONFIG = QueueConfig(segment_size=256 << 10, prefault=False, sync=False, durable=("etl",))


def write_raw(path: Path, count: int, seed: int, midnight: int = MIDNIGHT) -> int:
    """Records of a few symbols, in three lives of the feed; returns how many."""
    rng = random.Random(seed)
    ts = midnight - count // 2 * 20_000_000
    written = 0
    for life in range(3):
        with Queue.open_publisher(path, CONFIG) as writer:
            head = writer.next_seq
            for message in _life(rng, life, count // 3, ts):
                ts += rng.randrange(40_000_000)
                if hasattr(message, "venue_ts"):
                    message.venue_ts = _venue_time(rng, ts)
                payload = message.encode()
                if rng.random() < 0.002:
                    payload = payload[:-5]
                writer.append(message.TEMPLATE_ID, payload, ts_ns=ts)
            written += writer.next_seq - head
    return written


def _venue_time(rng: random.Random, ts: int) -> int:
    """Mostly just now; around midnight often of before it, a few hours late, or nonsense."""
    draw = rng.random()
    if draw < 0.01:
        return ts - rng.randrange(4 * 3600) * SECOND
    if draw < 0.012:
        return ts * 2
    return ts - rng.randrange(3 * SECOND)


def _life(rng: random.Random, life: int, count: int, ts: int) -> Iterator[SbeMessage]:
    ids = dict.fromkeys(SYMBOLS, 1_000_000 * life)
    if life:
        yield Gap(recv_ts=ts, reason=GapReason.RECONNECT)
    for symbol in SYMBOLS:
        yield instrument(symbol)
    yield instrument(ORDERS, book_mode=BookMode.L3)
    orders = Orders(rng, 1_000_000 * life)
    yield BookSnapshot(instrument_id=number(ORDERS), raw_seq=0)
    for n in range(count):
        if rng.random() < 0.25:
            yield from orders.some()
            continue
        symbol = rng.choice(SYMBOLS)
        ids[symbol] += 1
        draw = rng.random()
        if n < 12 or draw < 0.003:
            yield snapshot(symbol, ids[symbol], rng.randrange(3, 40))
        elif draw < 0.45:
            yield delta(symbol, ids[symbol], levels=rng.randrange(1, 6))
        elif draw < 0.7:
            yield trade(symbol, n)
        elif draw < 0.99:
            yield quote(symbol, n)
        elif draw < 0.994:
            yield instrument(symbol, tick_size=rng.choice([50, 100]))
        elif draw < 0.997:
            yield Gap(instrument_id=rng.choice([0, number(symbol)]), recv_ts=ts, reason=GapReason.SEQUENCE)
        else:
            yield BookReset(instrument_id=number(symbol), recv_ts=ts, reason=GapReason.CROSSED)


class Orders:
    """A channel of single orders: it does what the book allows, and now and then tells the whole book anew."""

    def __init__(self, rng: random.Random, first_id: int) -> None:
        self.rng, self.last_id, self.seq = rng, first_id, first_id
        self.book = L3Book(number(ORDERS))
        self.book.apply(BookSnapshot.TEMPLATE_ID, BookSnapshot(instrument_id=number(ORDERS)).encode())
        self.live: list[int] = []

    def some(self) -> Iterator[SbeMessage]:
        draw = self.rng.random()
        if draw < 0.003:
            yield Gap(instrument_id=number(ORDERS), reason=GapReason.SEQUENCE)
        if draw < 0.01:
            yield from (decode(*record) for record in self.book.snapshot())
            return
        message = self._add() if draw < 0.55 or not self.live else self._change(draw)
        self.seq += 1
        message.venue_seq = self.seq
        self.book.apply(message.TEMPLATE_ID, message.encode())
        yield message

    def _add(self) -> OrderAdd:
        self.last_id += 1
        self.live.append(self.last_id)
        side = self.rng.choice([Side.BUY, Side.SELL])
        price = 10_000 + 100 * self.rng.randrange(20) * (1 if side == Side.SELL else -1)
        qty = self.rng.randrange(1, 9)
        return OrderAdd(instrument_id=number(ORDERS), order_id=self.last_id, price=price, qty=qty, side=side)

    def _change(self, draw: float) -> OrderModify | OrderDelete | OrderExecute:
        order_id = self.rng.choice(self.live)
        resting = self.book.order(order_id)
        common = {"instrument_id": number(ORDERS), "order_id": order_id, "side": resting.side}
        if draw < 0.7:
            qty = self.rng.randrange(1, 9)
            return OrderModify(new_order_id=order_id, price=resting.price, qty=qty, **common)
        qty = self.rng.randrange(1, resting.qty + 1)
        if qty == resting.qty:
            self.live.remove(order_id)
        if draw < 0.85:
            return OrderDelete(qty=qty, **common)
        return OrderExecute(price=resting.price, qty=qty, **common)
