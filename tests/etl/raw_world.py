"""A raw queue to refine, records to put into it, and what came out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from libchronicle.book import L2Book
from libchronicle.bus.paths import BusPaths
from libchronicle.etl import Group, Policy, Refinery, SymbolTable, open_refinery
from libchronicle.protocol import (
    BestBidAsk,
    BookDelta,
    BookMode,
    BookSnapshot,
    ContractKind,
    Instrument,
    SbeMessage,
    Side,
    Trade,
    decode,
    instrument_id,
)
from libchronicle.queue import Publisher, Queue, QueueConfig

VENUE = "binance-spot"
T0 = 1_723_104_000_000_000_000  # 2024-08-08 08:00 UTC
SECOND = 1_000_000_000
DAY = 86_400 * SECOND
MIDNIGHT = T0 // DAY * DAY + DAY

Record = tuple[int, int, bytes]
"""(ts_ns, type_id, payload)"""


def instrument(symbol: str, **values: Any) -> Instrument:
    fields: dict[str, Any] = {
        "instrument_id": instrument_id(f"{VENUE}:{symbol}"),
        "tick_size": 100,
        "lot_size": 1,
        "price_exponent": -2,
        "qty_exponent": -3,
        "contract_kind": ContractKind.SPOT,
        "book_mode": BookMode.L2,
        "trading": 1,
        "venue": VENUE,
        "symbol": symbol,
    }
    return Instrument(**(fields | values))


def number(symbol: str) -> int:
    return instrument_id(f"{VENUE}:{symbol}")


def snapshot(symbol: str, u: int, levels: int = 5, **values: Any) -> BookSnapshot:
    bids = [(10_000 - 100 * i, 10 + i) for i in range(levels)]
    asks = [(10_100 + 100 * i, 20 + i) for i in range(levels)]
    return BookSnapshot(instrument_id=number(symbol), last_update_id=u, bids=bids, asks=asks, **values)


def delta(symbol: str, u: int, *, levels: int = 1, **values: Any) -> BookDelta:
    bids = [(10_000 - 100 * ((u + i) % 50), (u + i) % 7) for i in range(levels)]
    return BookDelta(instrument_id=number(symbol), first_update_id=u, last_update_id=u, bids=bids, **values)


def trade(symbol: str, n: int, **values: Any) -> Trade:
    return Trade(
        instrument_id=number(symbol), trade_id=n, price=10_000, qty=n % 9 + 1, aggressor=Side.BUY, **values
    )


def quote(symbol: str, u: int, **values: Any) -> BestBidAsk:
    return BestBidAsk(
        instrument_id=number(symbol),
        update_id=u,
        bid_price=10_000,
        bid_qty=1,
        ask_price=10_100,
        ask_qty=1,
        **values,
    )


class World:
    """One raw queue `feed` and the clean queues below `root`."""

    def __init__(self, root: Path, *, segment_size: int = 1 << 20, **policy: Any) -> None:
        self.paths = BusPaths(root)
        self.policy = Policy(**({"sync": False} | policy))
        self.symbols: SymbolTable | None = None
        self.raw = self.paths.raw("feed")
        self.config = QueueConfig(segment_size=segment_size, prefault=False, sync=False, durable=("etl",))
        self.writer: Publisher = Queue.open_publisher(self.raw, self.config)
        self.refinery: Refinery | None = None
        self.now = T0

    def close(self) -> None:
        self.stop()
        self.writer.close()

    def put(self, *messages: SbeMessage, step_ns: int = 1000, at: int | None = None) -> None:
        for message in messages:
            self.now = self.now + step_ns if at is None else at
            self.writer.append(message.TEMPLATE_ID, message.encode(), ts_ns=self.now)

    def start(self, group: Group | None = None, name: str = "etl") -> Refinery:
        self.refinery = open_refinery(
            self.paths, self.raw, name, policy=self.policy, group=group, symbols=self.symbols
        )
        return self.refinery

    def stop(self) -> None:
        if self.refinery is not None:
            self.refinery.close()
            self.refinery.raw.close()
            self.refinery = None

    def refine(self, *, commit: bool = True) -> Refinery:
        """All that is in the raw queue."""
        refinery = self.refinery or self.start()
        while refinery.run(4096):
            pass
        if commit:
            refinery.commit()
        return refinery

    # ------------------------------------------------------------ what came out

    def clean(self, symbol: str, stream: str, venue: str = VENUE) -> list[Record]:
        return records(self.paths.clean(venue, symbol, stream))

    def messages(self, symbol: str, stream: str) -> list[Any]:
        return [decode(type_id, payload) for _, type_id, payload in self.clean(symbol, stream)]

    def everything(self) -> dict[str, list[Record]]:
        """Every clean queue by its path below clean/."""
        root = self.paths.clean_dir
        return {
            str(control.parent.relative_to(root)): records(control.parent)
            for control in sorted(root.rglob("control.meta"))
        }

    def segments(self, symbol: str, stream: str) -> list[list[Record]]:
        """Records of each segment of a clean queue."""
        return records_by_segment(self.paths.clean(VENUE, symbol, stream))


def records(queue: Path) -> list[Record]:
    opened = Queue.try_open_subscriber(queue, None, start="earliest")
    if opened is None:
        return []
    with opened as reader:
        return [(m.ts_ns, m.type_id, bytes(m)) for m in reader]


def records_by_segment(queue: Path) -> list[list[Record]]:
    found: dict[int, list[Record]] = {}
    size = next(queue.glob("*.q")).stat().st_size
    with Queue.open_subscriber(queue, None, start="earliest") as reader:
        for m in reader:
            found.setdefault((reader.position - 1) // size, []).append((m.ts_ns, m.type_id, bytes(m)))
    return [found[key] for key in sorted(found)]


def books_along(found: Iterable[Record], look: Callable[[int, L2Book], None], wanted: int) -> None:
    """Apply a stream of records to a book; `look(raw seq, book)` after each record that is not injected."""
    book = L2Book(wanted)
    for _, type_id, payload in found:
        book.apply(type_id, payload)
        message = decode(type_id, payload)
        if hasattr(message, "raw_seq") and not getattr(message, "flags", 0) & 4:
            look(message.raw_seq, book)
