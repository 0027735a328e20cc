"""Book and trades of an instrument as hftbacktest's npz: see hftbacktest.py for the layout.

A snapshot is preceded by rows that clear both sides up to its last price; a reset clears both wholly. Snapshots that we
wrote from our own book, and deltas older than the snapshot that follows them, are left out. Rows stand in the order of receipt.
"""

from __future__ import annotations

import heapq
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from libchronicle.bus.files import host_error
from libchronicle.protocol import BookDelta, BookFlags, BookReset, BookSnapshot, Instrument, Side, Trade
from libchronicle.storage.archive import Archive, Time
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


def export_npz(
    archive: Archive, venue: str, symbol: str, path: Path, start: Time | None = None, end: Time | None = None
) -> int:
    """Writes `path`, which appears when it is complete; how many rows. Raises as Archive.read, NoSpace, NoPermission."""
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
        archive.read(venue, symbol, stream, start, end, damage="skip").decoded()
        for stream in ("book", "trade")
    )
    merged = heapq.merge(*streams, key=lambda pair: pair[0].ts_ns)
    scales = (1.0, 1.0)
    for message, record in merged:
        if isinstance(record, Instrument):
            scales = 10.0**-record.price_exponent, 10.0**-record.qty_exponent
        elif isinstance(record, BookSnapshot | BookDelta | BookReset | Trade):
            local = record.recv_ts or message.ts_ns
            yield from _of(record, local, *scales)


def _of(
    record: BookSnapshot | BookDelta | BookReset | Trade, local: int, price: float, qty: float
) -> Iterator[Row]:
    at = (record.venue_ts or local, local)
    if isinstance(record, Trade):
        side = BUY if record.aggressor == Side.BUY else SELL if record.aggressor == Side.SELL else 0
        yield TRADE | side | _BOTH, *at, record.price / price, record.qty / qty, 0, 0, 0.0
    elif isinstance(record, BookReset):
        for side in (BUY, SELL):
            yield CLEAR | side | _BOTH, *at, 0.0, 0.0, 0, 0, 0.0
    elif not record.flags & (BookFlags.INJECTED | BookFlags.STALE):
        whole = isinstance(record, BookSnapshot)
        sides = ((BUY, record.bids), (SELL, record.asks))
        if whole:
            for side, levels in sides:
                if levels:
                    yield CLEAR | side | _BOTH, *at, levels[-1][0] / price, 0.0, 0, 0, 0.0
        for side, levels in sides:
            for level_price, level_qty in levels:
                kind = SNAPSHOT if whole else DEPTH
                yield kind | side | _BOTH, *at, level_price / price, level_qty / qty, 0, 0, 0.0
