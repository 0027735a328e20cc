"""What is exported as hftbacktest's npz comes back as the same records: of any records, and of the recordings."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libchronicle.book import L2Book
from libchronicle.bus.paths import BusPaths
from libchronicle.errors import ArchiveError, InvalidArgument
from libchronicle.etl.recordings import ALL_KINDS
from libchronicle.protocol import (
    BookDelta,
    BookFlags,
    BookMode,
    BookReset,
    BookSnapshot,
    Gap,
    GapReason,
    Instrument,
    OrderAdd,
    Side,
    Trade,
    instrument_id,
)
from libchronicle.queue import Queue, QueueConfig
from libchronicle.replay import archive_replay
from libchronicle.storage.archive import Archive
from libchronicle.storage.importers import ImportOptions, import_file
from libchronicle.storage.importers.npz_export import export_npz
from libchronicle.storage.layout import ArchiveLayout

np = pytest.importorskip("numpy")

T = 1_723_161_240 * 10**9
NUMBER = instrument_id("v:S")
DEFINITION = Instrument(
    instrument_id=NUMBER,
    venue="v",
    symbol="S",
    price_exponent=-2,
    qty_exponent=-3,
    tick_size=1,
    lot_size=1,
    book_mode=BookMode.L2,
)

QUICK = "/dev/shm" if Path("/dev/shm").is_dir() else None  # many small files are synced
Timed = tuple[int, Any]


def write(paths: BusPaths, records: Iterable[Timed]) -> None:
    """Records with their frame's time into the clean queues of v:S."""
    writers = {
        stream: Queue.open_publisher(paths.clean("v", "S", stream), QueueConfig(prefault=False, sync=False))
        for stream in ("book", "trade")
    }
    try:
        for writer in writers.values():
            writer.append(Instrument.TEMPLATE_ID, DEFINITION.encode(), T)
        for ts, record in records:
            writers["trade" if isinstance(record, Trade) else "book"].append(
                record.TEMPLATE_ID, record.encode(), ts
            )
    finally:
        for writer in writers.values():
            writer.close()


def records(archive: Archive, venue: str, symbol: str) -> list[Timed]:
    """Book and trades by frame time, the book first."""
    found = [
        (message.ts_ns, record)
        for stream in ("book", "trade")
        for message, record in archive.read(venue, symbol, stream).decoded()
        if not isinstance(record, Instrument)
    ]
    return sorted(found, key=lambda pair: pair[0])


def told(found: Iterable[Timed], *, price: int = 1, qty: int = 1) -> tuple[list[Any], list[Any]]:
    """What an npz can say of records: (book, trades), prices and quantities multiplied. Its rows have no bounds but kind and
    times, so what stands side by side and is equal in both is one."""
    book: list[Any] = []
    trades: list[Any] = []
    local, before = 0, ("", (0, 0))
    for ts, record in found:
        local = max(local, min(record.recv_ts or ts, ts))
        at = (getattr(record, "venue_ts", 0) or local, local)
        if isinstance(record, Trade):
            trades.append((*at, record.price * price, record.qty * qty, record.aggressor))
            before = "trade", at
            continue
        sides: list[Any] = []
        if isinstance(record, BookSnapshot | BookDelta):
            if record.flags & (BookFlags.INJECTED | BookFlags.STALE):
                continue
            sides = [[(p * price, q * qty) for p, q in levels] for levels in (record.bids, record.asks)]
        if isinstance(record, BookDelta) and not any(sides):
            continue
        kind = "delta" if isinstance(record, BookDelta) else "snapshot" if any(sides) else "reset"
        if kind == "snapshot" and before == ("reset", at):
            book.pop()
        if (kind, at) == before and kind == "delta":
            for known, more in zip(book[-1][2], sides, strict=True):
                known.extend(more)
        elif (kind, at) != before or kind == "snapshot":
            book.append((kind, at, sides if kind != "reset" else []))
        before = kind, at
    return book, trades


def as_written(found: Iterable[Timed]) -> tuple[list[Any], list[Any]]:
    """The same of records that were read from an npz: one after the other."""
    book: list[Any] = []
    trades: list[Any] = []
    for record in found:
        one = told([record])
        book += one[0]
        trades += one[1]
    return book, trades


levels = st.dictionaries(st.integers(1, 500), st.integers(1, 10**6), max_size=4)
stamps = st.integers(0, 3)


@st.composite
def feeds(draw: st.DrawFn) -> list[Timed]:
    """Frame times never fall; those of receipt and of the venue may."""
    found: list[Timed] = []
    ts = T
    for _ in range(draw(st.integers(1, 12))):
        ts += draw(stamps)
        recv, venue = ts - draw(stamps), ts + draw(stamps) - 2
        kind = draw(st.sampled_from(("snapshot", "delta", "trade", "reset", "gap", "stale")))
        bids, asks = draw(levels), draw(levels)
        common = {"instrument_id": NUMBER, "recv_ts": recv}
        record: Any
        if kind == "trade":
            side = draw(st.sampled_from((Side.BUY, Side.SELL, Side.NONE)))
            record = Trade(**common, venue_ts=venue, price=draw(st.integers(1, 999)), qty=1, aggressor=side)
        elif kind == "gap":
            record = Gap(**common, reason=GapReason.SEQUENCE)
        elif kind == "reset":
            record = BookReset(**common, venue_ts=venue, reason=GapReason.SEQUENCE)
        elif kind == "snapshot":
            record = BookSnapshot(
                **common, bids=sorted(bids.items(), reverse=True), asks=sorted(asks.items())
            )
        else:
            record = BookDelta(
                **common,
                venue_ts=venue,
                flags=BookFlags.STALE if kind == "stale" else BookFlags(0),
                bids=list(bids.items()),
                asks=list(asks.items()),
            )
        found.append((ts, record))
    return found


def ordered(feed: Iterable[Timed]) -> list[Timed]:
    """As they are read: of equal times the book first."""
    return sorted(feed, key=lambda pair: (pair[0], isinstance(pair[1], Trade)))


@settings(max_examples=25, deadline=None)
@given(feeds())
def test_any_feed_comes_back(feed: list[Timed]) -> None:
    with tempfile.TemporaryDirectory(dir=QUICK) as scratch:
        root = Path(scratch)
        write(BusPaths(root / "run"), feed)
        with Archive(root / "run") as archive:
            rows = export_npz(archive, "v", "S", root / "x.npz")
        if not rows:
            return
        data = np.load(root / "x.npz")["data"]
        assert (np.diff(data["local_ts"]) >= 0).all()
        import_file(
            ArchiveLayout(root / "back/archive"), root / "x.npz", ImportOptions(venue="w", symbol="Z")
        )
        with Archive(root / "back") as archive:
            back = as_written(records(archive, "w", "Z"))
    assert back == told(ordered(feed), price=10**6, qty=10**5)  # an import gives eight decimals


def test_a_recording_comes_back(chronicle_data: Path, tmp_path: Path) -> None:
    file = chronicle_data / "binance/spot/ethusdt_20240808.gz"
    layout = ArchiveLayout(tmp_path / "archive")
    import_file(layout, file, kinds=ALL_KINDS)
    with Archive(tmp_path) as archive:
        export_npz(archive, "binance-spot", "ETHUSDT", tmp_path / "x.npz")
        import_file(layout, tmp_path / "x.npz", ImportOptions(venue="again", symbol="X"))
        before, after = (records(archive, *name) for name in (("binance-spot", "ETHUSDT"), ("again", "X")))
        assert as_written(after) == told(before)
        books = [archive.book_at(name, T + 10**15) for name in ("binance-spot:ETHUSDT", "again:X")]
        first, second = [(book.bids(), book.asks()) for book in books if isinstance(book, L2Book)]
        assert first == second
        assert archive_replay(archive, ["again:X"]).run().gaps == 0
    assert len(after) > 9_000


def test_with_a_start_it_begins_with_the_book_as_it_was(tmp_path: Path) -> None:
    delta = BookDelta(instrument_id=NUMBER, venue_ts=T + 25, recv_ts=T + 30, bids=[(99, 7)])
    feed: list[Timed] = [
        (T, BookSnapshot(instrument_id=NUMBER, recv_ts=T, bids=[(100, 1)], asks=[(101, 2), (103, 4)])),
        (T + 10, BookDelta(instrument_id=NUMBER, recv_ts=T + 10, asks=[(101, 0)])),
        (T + 30, delta),
    ]
    write(BusPaths(tmp_path / "run"), feed)
    with Archive(tmp_path / "run") as archive:
        assert export_npz(archive, "v", "S", tmp_path / "x.npz", T + 20) == 5
    data = np.load(tmp_path / "x.npz")["data"]
    assert data["local_ts"].tolist() == [T + 20] * 4 + [T + 30]
    assert data["px"].tolist() == [
        1.0,
        1.03,
        1.0,
        1.03,
        0.99,
    ]  # scaled, though the definition lies before the start
    assert data["qty"].tolist()[2:] == [0.001, 0.004, 0.007]


def test_a_book_of_single_orders_is_refused_by_name(tmp_path: Path) -> None:
    order = OrderAdd(instrument_id=NUMBER, recv_ts=T, order_id=1, price=1, qty=1, side=Side.BUY)
    write(BusPaths(tmp_path / "run"), [(T, order)])
    with (
        Archive(tmp_path / "run") as archive,
        pytest.raises(InvalidArgument, match=r"v:S.*csv, parquet or queue.*single orders"),
    ):
        export_npz(archive, "v", "S", tmp_path / "x.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_numbers_without_a_definition_are_not_written(tmp_path: Path) -> None:
    path = BusPaths(tmp_path / "run").clean("v", "S", "trade")
    with Queue.open_publisher(path, QueueConfig(prefault=False)) as writer:
        trade = Trade(instrument_id=NUMBER, price=1, qty=1, aggressor=Side.BUY)
        writer.append(Trade.TEMPLATE_ID, trade.encode(), T)
    with Archive(tmp_path / "run") as archive, pytest.raises(ArchiveError, match="no definition"):
        export_npz(archive, "v", "S", tmp_path / "x.npz")
