"""hftbacktest's npz files: into the archive, and out of it.

Source: hftbacktest's documentation, "Data": an npz holds an array `data` of rows
`ev, exch_ts, local_ts, px, qty, order_id, ival, fval`. The low byte of
`ev` says what a row is; its high bits say for whom it counts (exchange, local) and the side. Times are ns. Only
rows that count locally are read, in their order; a row for the exchange alone is the same event at another time.
"""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, Any, Final

from libchronicle.bus.files import host_error
from libchronicle.errors import FixedPointOverflow, ImportRejected
from libchronicle.protocol import (
    BookDelta,
    BookReset,
    BookSnapshot,
    ContractKind,
    GapReason,
    Instrument,
    Side,
    Trade,
)
from libchronicle.storage.frames import library
from libchronicle.storage.importers.definitions import Definitions
from libchronicle.storage.importers.options import ImportOptions, checked_name
from libchronicle.storage.importers.plan import FLUSH_BYTES, Plan, Written, stage_batches
from libchronicle.storage.importers.record import ImportReport, Staged, import_key
from libchronicle.storage.importers.source import InputFile
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.venues.batch import RecordBatch
from libchronicle.venues.definition import Figures, recorded_instrument

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "BUY",
    "CLEAR",
    "DEPTH",
    "EVENT_DTYPE",
    "EXCH",
    "LOCAL",
    "SELL",
    "SNAPSHOT",
    "TRADE",
    "is_npz",
    "plan",
]

EVENT_DTYPE: Final = [
    ("ev", "<u8"),
    ("exch_ts", "<i8"),
    ("local_ts", "<i8"),
    ("px", "<f8"),
    ("qty", "<f8"),
    ("order_id", "<u8"),
    ("ival", "<i8"),
    ("fval", "<f8"),
]
DEPTH: Final = 1
TRADE: Final = 2
CLEAR: Final = 3
SNAPSHOT: Final = 4
_BEST: Final = 5
EXCH: Final = 1 << 31
LOCAL: Final = 1 << 30
BUY: Final = 1 << 29
SELL: Final = 1 << 28

_ROWS: Final = 1 << 16  # a chunk
_EARLIEST: Final = 946_684_800 * 10**9
_LATEST: Final = 4_102_444_800 * 10**9
_LONGEST_HEADER: Final = 1 << 16
_DAMAGE: Final = (
    zipfile.BadZipFile,
    ValueError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,  # packed in a way that zipfile does not know
    RuntimeError,  # encrypted
    struct.error,
    OverflowError,
    SyntaxError,  # of a header, which is Python
    TokenError,
    TypeError,
)
_KNOWN: Final = (DEPTH, TRADE, CLEAR, SNAPSHOT, _BEST)


def is_npz(file: InputFile) -> bool:
    return file.path.suffix == ".npz" and file.head(2) == b"PK"


def plan(file: InputFile, options: ImportOptions, layout: ArchiveLayout) -> Plan:
    """Raises ImportRejected."""
    name = str(file.path)
    if not options.symbol or not options.venue:
        raise ImportRejected(
            file=name, place="its name", reason="the file does not say whose it is; give --venue and --symbol"
        )
    checked_name(options.venue, options.symbol, name)
    survey = _Survey(file, name)
    instrument = _instrument(survey, options, layout, name)

    def stage(work: Path) -> Staged:
        reader = _Reader(instrument)

        def batches() -> Iterator[Written]:
            for rows in _chunks(file, name, "importing"):
                reader.feed(rows)
                if reader.batch.bytes >= FLUSH_BYTES:
                    yield reader.batch, {instrument.instrument_id: instrument}
                    reader.batch.clear()
            reader.flush()
            yield reader.batch, {instrument.instrument_id: instrument}

        def report(records: dict[str, int]) -> ImportReport:
            return ImportReport(
                key=key,
                kind="hftbacktest",
                file=name,
                content=survey.content,
                rows=survey.rows,
                records=records,
                instruments=[f"{instrument.venue}:{instrument.symbol}"],
                skipped={"best bid and ask rows": reader.skipped} if reader.skipped else {},
                first_ns=survey.first_ns,
                last_ns=survey.last_ns,
            )

        return stage_batches(work, batches(), report)

    key = import_key(survey.content, "hftbacktest", [options.venue, options.symbol])
    return Plan(key, stage)


def _instrument(survey: _Survey, options: ImportOptions, layout: ArchiveLayout, name: str) -> Instrument:
    assert options.venue is not None
    assert options.symbol is not None
    try:
        return recorded_instrument(
            options.venue,
            options.symbol,
            survey.price.figures(),
            survey.qty.figures(),
            known=Definitions(layout).get(options.venue, options.symbol),
            tick=options.tick,
            lot=options.lot,
            contract=ContractKind[(options.contract or "linear").upper()],
        )
    except FixedPointOverflow as error:
        raise ImportRejected(file=name, place="its numbers", reason=str(error)) from None


# ---------------------------------------------------------------- rows


def _chunks(file: InputFile, name: str, what: str) -> Iterator[np.ndarray[Any, Any]]:
    """Rows that count locally, a few at a time. Raises ImportRejected."""
    np = library("numpy")

    dtype = np.dtype(EVENT_DTYPE)
    try:
        with zipfile.ZipFile(file.path) as archive, archive.open("data.npy") as array:
            version = np.lib.format.read_magic(array)
            if version > (1, 0):
                _refuse_long_header(archive)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, fortran, found = read(array)
            if found != dtype or len(shape) != 1 or fortran:
                raise ImportRejected(
                    file=name,
                    place="array 'data'",
                    reason=f"rows of {found.names or found}; hftbacktest 2 has {dtype.names}",
                )
            done, total = 0, shape[0]
            while done < total:
                data = array.read(min(_ROWS, total - done) * dtype.itemsize)
                rows = np.frombuffer(data, dtype)
                if not len(rows):
                    raise ImportRejected(file=name, place=f"row {done + 1}", reason="the array is cut off")
                done += len(rows)
                file.tell(what, done, total)
                yield rows[(rows["ev"] & LOCAL) != 0]
    except KeyError:
        raise ImportRejected(file=name, place="the npz", reason="it holds no array 'data'") from None
    except OSError as error:
        if error.errno is not None:
            raise host_error(error, file.path) from error
        raise ImportRejected(file=name, place="the npz", reason=f"damaged: {error}") from None
    except _DAMAGE as error:
        raise ImportRejected(file=name, place="the npz", reason=f"damaged: {error}") from None


def _refuse_long_header(archive: zipfile.ZipFile) -> None:
    """NumPy reads a header whole before it looks at its size. Raises ValueError."""
    with archive.open("data.npy") as array:
        head = array.read(12)
    if int.from_bytes(head[8:12], "little") > _LONGEST_HEADER:
        raise ValueError("a header that is longer than any of NumPy's")


class _Column:
    """What a column of floats needs as decimals."""

    def __init__(self) -> None:
        self.most = 0.0
        self.decimals = 0
        self.grid = 0

    def look(self, values: np.ndarray[Any, Any]) -> None:
        np = library("numpy")

        if not len(values):
            return
        self.most = max(self.most, float(np.abs(values).max()))
        while self.decimals < 12 and not np.array_equal(np.round(values, self.decimals), values):
            self.decimals += 1
            self.grid *= 10
        if self.most * 10.0**self.decimals < 2.0**62:
            units = np.rint(values * 10.0**self.decimals).astype(np.int64)
            self.grid = int(np.gcd.reduce(np.append(units, self.grid)))

    def figures(self) -> Figures:
        finer = 8 - self.decimals
        return Figures(
            digits=len(str(int(self.most))),
            decimals=self.decimals,
            grid=self.grid * 10**finer if finer >= 0 else 0,
        )


class _Survey:
    """First pass: hash of the rows, order and unit of times, what the numbers need."""

    def __init__(self, file: InputFile, name: str) -> None:

        digest = blake2b(digest_size=16)
        self.price, self.qty = _Column(), _Column()
        self.rows = 0
        self.first_ns = self.last_ns = 0
        for rows in _chunks(file, name, "looking"):
            digest.update(rows.tobytes())
            self._check(rows, name)
            real = rows[(rows["ev"] & 0xFF) != CLEAR]
            self.price.look(real["px"])
            self.qty.look(real["qty"])
            self.rows += len(rows)
        if not self.rows:
            raise ImportRejected(file=name, place="array 'data'", reason="no row counts locally")
        self.content = digest.hexdigest()

    def _check(self, rows: np.ndarray[Any, Any], name: str) -> None:
        np = library("numpy")

        if not len(rows):
            return
        times = np.append(self.last_ns, rows["local_ts"])
        self._refuse(
            name, np.diff(times) < 0, "local_ts is before that of the row above; sort the file by it"
        )
        for field in ("exch_ts", "local_ts"):
            odd = (rows[field] < _EARLIEST) | (rows[field] >= _LATEST)
            self._refuse(name, odd, f"{field} is no time in ns since 1970 (µs or ms?)")
        self._refuse(name, ~np.isin(rows["ev"] & 0xFF, _KNOWN), "an event that is not of a price-level feed")
        self._refuse(
            name,
            ~(np.isfinite(rows["px"]) & np.isfinite(rows["qty"]) & (rows["qty"] >= 0)),
            "no price or quantity",
        )
        self.first_ns = self.first_ns or int(rows["local_ts"][0])
        self.last_ns = int(rows["local_ts"][-1])

    def _refuse(self, name: str, odd: np.ndarray[Any, Any], reason: str) -> None:
        if odd.any():
            raise ImportRejected(file=name, place=f"row {self.rows + int(odd.argmax()) + 1}", reason=reason)


class _Reader:
    """Second pass: rows of one kind and time are one record; so are snapshot rows one after the other."""

    def __init__(self, instrument: Instrument) -> None:
        self.batch = RecordBatch()
        self.skipped = 0
        self._instrument = instrument
        self._row = 0
        self._first = 0
        self._updates = (
            0  # rows of levels so far: the update ids of the book, without a gap where trades stand between
        )
        self._kind = 0
        self._times = (0, 0)
        self._sides: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])

    def feed(self, rows: np.ndarray[Any, Any]) -> None:
        np = library("numpy")

        prices = np.rint(rows["px"] * 10.0**-self._instrument.price_exponent).astype(np.int64).tolist()
        qtys = np.rint(rows["qty"] * 10.0**-self._instrument.qty_exponent).astype(np.int64).tolist()
        events = rows["ev"].tolist()
        times = zip(rows["exch_ts"].tolist(), rows["local_ts"].tolist(), strict=True)
        for event, stamps, price, qty in zip(events, times, prices, qtys, strict=True):
            self._row += 1
            self._take(event, stamps, price, qty)

    def _take(self, event: int, times: tuple[int, int], price: int, qty: int) -> None:
        kind = event & 0xFF
        if kind != self._kind or (times != self._times and kind != SNAPSHOT):
            self.flush(of_snapshot=kind == SNAPSHOT and times[1] == self._times[1])
            self._first = self._row
        self._kind, self._times = kind, times
        if kind == TRADE:
            side = Side.BUY if event & BUY else Side.SELL if event & SELL else Side.NONE
            self._put(
                Trade(trade_id=self._row, price=price, qty=qty, aggressor=side, recv_ts=times[1]), "trade"
            )
        elif kind == _BEST:
            self.skipped += 1
        elif kind != CLEAR:
            self._updates += 1
            self._sides[0 if event & BUY else 1].append((price, qty))

    def flush(self, *, of_snapshot: bool = False) -> None:
        """Write what stands of a book record. A clearing is a reset, but where it is that of a snapshot of the same time."""
        if self._kind == CLEAR and not of_snapshot:
            self._put(BookReset(recv_ts=self._times[1], reason=GapReason.SEQUENCE), "book")
        bids, asks = self._sides
        if not bids and not asks:
            return
        message: BookSnapshot | BookDelta
        if self._kind == SNAPSHOT:
            bids = sorted(dict(bids).items(), reverse=True)
            asks = sorted(dict(asks).items())
            message = BookSnapshot(bids=bids, asks=asks)
        else:
            first = self._updates + 1 - len(bids) - len(asks)
            message = BookDelta(first_update_id=first, bids=bids, asks=asks)
        message.last_update_id = self._updates
        message.recv_ts = self._times[1]
        self._put(message, "book")
        self._sides = ([], [])

    def _put(self, message: Any, lane: str) -> None:
        exchange, local = self._times
        message.instrument_id = self._instrument.instrument_id
        message.venue_ts = exchange
        if not isinstance(message, BookReset):
            message.event_ts = exchange
        message.raw_seq = self._first
        self.batch.put(message, lane, local, exchange)
