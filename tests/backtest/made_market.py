"""A made-up market whose books never cross, as records, rows, queues and archives."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from libchronicle.backtest import Tape
from libchronicle.book import L2Book
from libchronicle.bus.paths import BusPaths
from libchronicle.protocol import (
    BestBidAsk,
    BookDelta,
    BookMode,
    BookSnapshot,
    ContractKind,
    Instrument,
    OrderAdd,
    OrderDelete,
    OrderExecute,
    OrderModify,
    SbeMessage,
    Side,
    Trade,
    instrument_id,
)
from libchronicle.queue import Queue, QueueConfig
from libchronicle.storage.catalog import queue_segments
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.moves import adopt

VENUE, SYMBOL = "made-up", "AAAUSD"
NAME = f"{VENUE}:{SYMBOL}"
START = 1_700_000_000_000_000_000
TICK, LOT = 10, 1

Timed = tuple[int, SbeMessage]  # ts_ns, record


def definition(name: str = NAME, kind: ContractKind = ContractKind.SPOT) -> Instrument:
    venue, _, symbol = name.partition(":")
    return Instrument(
        instrument_id=instrument_id(name),
        venue=venue,
        symbol=symbol,
        tick_size=TICK,
        lot_size=LOT,
        min_qty=LOT,
        price_exponent=-2,
        qty_exponent=-3,
        contract_kind=kind,
        base_currency=symbol[:3],
        quote_currency=symbol[3:],
        settle_currency=symbol[3:],
        book_mode=BookMode.L2,
        trading=1,
    )


def market(records: int, seed: int = 1, name: str = NAME, start: int = START) -> list[Timed]:
    """A definition, a snapshot, then deltas around a wandering centre with trades at the touch and a quote now and then."""
    rng = random.Random(f"{seed}:{name}")
    number = instrument_id(name)
    book = L2Book(number)
    centre, update, ts = 100_000, 10, start
    found: list[Timed] = [(ts, definition(name))]
    snapshot = BookSnapshot(
        instrument_id=number,
        last_update_id=update,
        bids=[(centre - TICK * i, 50) for i in range(1, 21)],
        asks=[(centre + TICK * i, 50) for i in range(1, 21)],
    )
    book.apply(snapshot.TEMPLATE_ID, snapshot.encode())
    found.append((ts, snapshot))
    for count in range(records):
        ts += rng.randint(1, 2_000_000)
        roll = rng.random()
        (bid, bid_qty), (ask, ask_qty) = book.best_bid, book.best_ask
        record: SbeMessage
        if roll < 0.3:
            side = rng.choice((Side.BUY, Side.SELL))
            price = ask if side == Side.BUY else bid
            qty = rng.randint(1, 40)
            record = Trade(instrument_id=number, price=price, qty=qty, aggressor=side, trade_id=count + 1)
        elif roll < 0.4:
            record = BestBidAsk(
                instrument_id=number,
                bid_price=bid,
                bid_qty=bid_qty,
                ask_price=ask,
                ask_qty=ask_qty,
                update_id=update,
            )
        else:
            move = rng.choice((-1, 0, 0, 0, 1)) * TICK
            centre += move
            bids = [(price, 0) for price, _ in book.bids(3) if price >= centre]
            asks = [(price, 0) for price, _ in book.asks(3) if price <= centre]
            bids += [(centre - TICK * rng.randint(1, 8), rng.randint(1, 90)) for _ in range(3)]
            asks += [(centre + TICK * rng.randint(1, 8), rng.randint(1, 90)) for _ in range(3)]
            record = BookDelta(
                instrument_id=number,
                first_update_id=update + 1,
                last_update_id=update + 1,
                prev_update_id=update,
                bids=bids,
                asks=asks,
            )
            update += 1
            book.apply(record.TEMPLATE_ID, record.encode())
        found.append((ts, record))
    return found


def tape(records: Iterable[Timed], feed: str = VENUE) -> Tape:
    made = Tape(feed)
    for ts, record in records:
        made.append(record.TEMPLATE_ID, record.encode(), ts)
    return made


def queue(path: Path, records: Iterable[Timed], segment_size: int = 1 << 16) -> Path:
    """A queue of them, its writer gone."""
    with Queue.open_publisher(path, QueueConfig(segment_size=segment_size)) as writer:
        for ts, record in records:
            writer.append(record.TEMPLATE_ID, record.encode(), ts)
        writer.roll()
    return path


STREAMS = {BookDelta: "book", BookSnapshot: "book", Trade: "trade", BestBidAsk: "quote"}
STREAMS |= dict.fromkeys((OrderAdd, OrderModify, OrderDelete, OrderExecute), "book")


def archive(root: Path, records: Iterable[Timed], name: str = NAME) -> Path:
    """An archive of their streams; each begins with the definition."""
    venue, _, symbol = name.partition(":")
    paths = BusPaths(root)
    records = list(records)
    for stream in ("book", "trade", "quote"):
        chosen = [(ts, one) for ts, one in records if STREAMS.get(type(one), stream) == stream]
        path = queue(paths.clean(venue, symbol, stream), chosen)
        for ref in queue_segments(path):
            if ref.last_ts is not None:
                adopt(ArchiveLayout.of(paths), ref.path, venue, symbol, stream)
    return root


def told_by_a_process(code: str, *, hash_seed: int) -> str:
    """What `code` prints in a Python process of its own, whose sets and dicts of text have another order."""
    paths = {"PYTHONPATH": str(Path(__file__).parent), "PYTHONSAFEPATH": "1"}
    environ = {**os.environ, **paths, "PYTHONHASHSEED": str(hash_seed)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout
