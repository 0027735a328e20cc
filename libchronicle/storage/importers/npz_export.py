"""Book and trades of an instrument as hftbacktest's npz: see hftbacktest.py for the layout.

- Rows stand in the order in which the records took effect, and `local_ts` never falls: it is the time of receipt, but of a
  delta that waited for its snapshot that of the snapshot.
- With a start, the file begins with the book as it was then.
- A snapshot is preceded by rows that clear both sides up to its last price. A reset, a gap, and a snapshot with an empty
  side clear the whole book, by one row of neither side.
- Left out: snapshots that we wrote from our own book, and deltas older than the snapshot that follows them.
- Orders have no place in it: an order book of single orders is refused.
"""

from __future__ import annotations

import heapq
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from libchronicle.book import L2Book
from libchronicle.bus.files import host_error
from libchronicle.errors import ArchiveError, InvalidArgument
from libchronicle.protocol import (
    BookDelta,
    BookFlags,
    BookReset,
    BookSnapshot,
    Gap,
    Instrument,
    OrderAdd,
    OrderDelete,
    OrderExecute,
    OrderModify,
    SbeMessage,
    Side,
    Trade,
)
from libchronicle.storage.archive import Archive, Time, to_ns
from libchronicle.storage.catalog import Stream
from libchronicle.storage.definitions import definition_of
from libchronicle.storage.frames import library
from libchronicle.storage.importers.hftbacktest import (
    BUY,
    CLEAR,
    DEPTH,
    EVENT_DTYPE,
    EXCH,
    LOCAL,
    SELL,
    SNAPSHOT,
    TRADE,
)

__all__ = ["export_npz"]

Row = tuple[int, int, int, float, float, int, int, float]
_CHUNK: Final = 1 << 16
_BOTH: Final = EXCH | LOCAL
_STREAMS: Final = ("book", "trade")
_ORDERS: Final = (OrderAdd, OrderModify, OrderDelete, OrderExecute)


def export_npz(
    archive: Archive, venue: str, symbol: str, path: Path, start: Time | None = None, end: Time | None = None
) -> int:
    """Writes `path`, which appears when it is complete; how many rows.

    Raises as Archive.read; InvalidArgument for a book of single orders, NoSpace, NoPermission.
    """
    np = library("numpy")

    dtype = np.dtype(EVENT_DTYPE)
    beside = path.with_name(f".{path.name}.rows")
    packed = path.with_name(f".{path.name}.making")
    try:
        count = 0
        with open(beside, "wb") as out:
            for chunk in _chunks(_rows(archive, venue, symbol, start, end)):
                out.write(np.array(chunk, dtype).tobytes())
                count += len(chunk)
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as made:
            _write_array(
                made, beside, np.lib.format, {"descr": EVENT_DTYPE, "fortran_order": False, "shape": (count,)}
            )
        packed.rename(path)
        return count
    except OSError as error:
        raise host_error(error, path) from error
    finally:
        beside.unlink(missing_ok=True)
        packed.unlink(missing_ok=True)


def _write_array(made: zipfile.ZipFile, rows: Path, layout: Any, header: dict[str, Any]) -> None:
    with made.open("data.npy", "w", force_zip64=True) as out, open(rows, "rb") as data:
        layout.write_array_header_1_0(out, header)
        while part := data.read(1 << 20):
            out.write(part)


def _chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    chunk: list[Row] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    yield chunk


def _rows(archive: Archive, venue: str, symbol: str, start: Time | None, end: Time | None) -> Iterator[Row]:
    streams = (
        archive.read(venue, symbol, stream, start, end, damage="skip").decoded() for stream in _STREAMS
    )
    scales = _scales(archive, venue, symbol)
    local = 0
    if start is not None:
        local = to_ns(start)
        yield from _book_before(archive, f"{venue}:{symbol}", local, scales)
    for message, record in heapq.merge(*streams, key=lambda pair: pair[0].ts_ns):
        if isinstance(record, _ORDERS):
            raise InvalidArgument(
                where=f"export of {venue}:{symbol}",
                field="--to",
                value="hftbacktest",
                allowed="csv, parquet or queue: its book is one of single orders, which the npz has no rows for",
            )
        if record is None or isinstance(record, Instrument):
            continue
        if scales is None:
            raise ArchiveError(
                path=f"{venue}:{symbol}",
                reason="no definition of the instrument was recorded, so nothing says what its numbers are worth",
            )
        local = max(local, min(getattr(record, "recv_ts", 0) or message.ts_ns, message.ts_ns))
        yield from _of(record, local, *scales)


def _scales(archive: Archive, venue: str, symbol: str) -> tuple[float, float] | None:
    """What prices and quantities are to be divided by. None: no definition."""
    found = (definition_of(archive, Stream(venue, symbol, stream)) for stream in _STREAMS)
    definition = next(filter(None, found), None)
    return None if definition is None else (10.0**-definition.price_exponent, 10.0**-definition.qty_exponent)


def _book_before(
    archive: Archive, instrument: str, start: int, scales: tuple[float, float] | None
) -> Iterator[Row]:
    book = archive.book_at(instrument, start - 1)
    if isinstance(book, L2Book) and book.valid and scales is not None:
        whole = BookSnapshot(venue_ts=start, bids=book.bids(), asks=book.asks())
        yield from _of(whole, start, *scales)


def _of(record: SbeMessage, local: int, price: float, qty: float) -> Iterator[Row]:
    match record:
        case Trade():
            at = (record.venue_ts or local, local)
            side = BUY if record.aggressor == Side.BUY else SELL if record.aggressor == Side.SELL else 0
            yield TRADE | side | _BOTH, *at, record.price / price, record.qty / qty, 0, 0, 0.0
        case BookReset() | Gap():
            yield _clearing(0, (getattr(record, "venue_ts", 0) or local, local))
        case BookSnapshot() | BookDelta() if not record.flags & (BookFlags.INJECTED | BookFlags.STALE):
            yield from _levels(record, (record.venue_ts or local, local), price, qty)


def _levels(record: BookSnapshot | BookDelta, at: tuple[int, int], price: float, qty: float) -> Iterator[Row]:
    kind = DEPTH
    if isinstance(record, BookSnapshot):
        kind = SNAPSHOT
        if record.bids and record.asks:
            yield _clearing(BUY, at, record.bids[-1][0] / price)
            yield _clearing(SELL, at, record.asks[-1][0] / price)
        else:
            yield _clearing(0, at)
    for side, levels in ((BUY, record.bids), (SELL, record.asks)):
        for level_price, level_qty in levels:
            yield kind | side | _BOTH, *at, level_price / price, level_qty / qty, 0, 0, 0.0


def _clearing(side: int, at: tuple[int, int], upto: float = 0.0) -> Row:
    return CLEAR | side | _BOTH, *at, upto, 0.0, 0, 0, 0.0
