"""hftbacktest's npz: rows become records and come back the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from libchronicle.errors import ImportRejected
from libchronicle.protocol import BookDelta, BookReset, BookSnapshot, Instrument, Side
from libchronicle.storage.archive import Archive
from libchronicle.storage.importers import ImportOptions, import_file
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
from libchronicle.storage.importers.npz_export import export_npz
from libchronicle.storage.layout import ArchiveLayout

np = pytest.importorskip("numpy")

T = 1_723_161_240 * 10**9
BOTH = EXCH | LOCAL
OPTIONS = ImportOptions(venue="binance-usdm", symbol="BTCUSDT")
ROWS = [
    (CLEAR | BUY | BOTH, T, T + 5, 99.5, 0.0),
    (CLEAR | SELL | BOTH, T, T + 5, 103.0, 0.0),
    (SNAPSHOT | BUY | BOTH, T, T + 5, 100.0, 1.0),
    (SNAPSHOT | BUY | BOTH, T, T + 5, 99.5, 2.0),
    (SNAPSHOT | SELL | BOTH, T, T + 5, 103.0, 0.001),
    (DEPTH | BUY | BOTH, T + 10, T + 15, 100.0, 0.0),
    (DEPTH | SELL | BOTH, T + 10, T + 15, 102.5, 0.75),
    (TRADE | SELL | BOTH, T + 12, T + 16, 100.0, 0.125),
    (TRADE | BUY | BOTH, T + 12, T + 16, 102.5, 0.25),
    (DEPTH | BUY | BOTH, T + 20, T + 25, 98.5, 3.0),
]


def write(path: Path, rows: list[tuple[int, int, int, float, float]]) -> Path:
    data = np.array([(*row, 0, 0, 0.0) for row in rows], dtype=EVENT_DTYPE)
    np.savez_compressed(path, data=data)
    return path


@pytest.fixture
def layout(tmp_path: Path) -> ArchiveLayout:
    return ArchiveLayout(tmp_path / "archive")


def records(layout: ArchiveLayout, stream: str) -> list:
    with Archive(layout.root.parent) as archive:
        found = [r for _, r in archive.read("binance-usdm", "BTCUSDT", stream).decoded()]
    return [r for r in found if not isinstance(r, Instrument)]


def test_rows_of_one_time_are_one_record(layout: ArchiveLayout, tmp_path: Path) -> None:
    report = import_file(layout, write(tmp_path / "a.npz", ROWS), OPTIONS)
    assert (report.rows, report.records) == (10, {"book": 3, "trade": 2})
    snapshot, delta, last = records(layout, "book")
    e8 = 10**8
    assert isinstance(snapshot, BookSnapshot)
    assert snapshot.bids == [(100 * e8, e8), (9_950_000_000, 2 * e8)]
    assert snapshot.asks == [(103 * e8, 100_000)]
    assert (snapshot.venue_ts, snapshot.recv_ts) == (T, T + 5)
    assert isinstance(delta, BookDelta)
    assert (delta.bids, delta.asks) == ([(100 * e8, 0)], [(10_250_000_000, 75_000_000)])
    assert isinstance(last, BookDelta)
    assert [(t.price, t.qty, t.aggressor) for t in records(layout, "trade")] == [
        (100 * e8, 12_500_000, Side.SELL),
        (10_250_000_000, 25_000_000, Side.BUY),
    ]


def test_a_clearing_without_a_snapshot_is_a_reset(layout: ArchiveLayout, tmp_path: Path) -> None:
    rows = [
        ROWS[5],
        (CLEAR | BUY | BOTH, T + 30, T + 31, 0.0, 0.0),
        (DEPTH | BUY | BOTH, T + 40, T + 41, 5.0, 1.0),
    ]
    import_file(layout, write(tmp_path / "a.npz", rows), OPTIONS)
    assert [type(r) for r in records(layout, "book")] == [BookDelta, BookReset, BookDelta]


def test_rows_for_the_exchange_alone_are_passed_over(layout: ArchiveLayout, tmp_path: Path) -> None:
    rows = [ROWS[7], (TRADE | SELL | EXCH, T + 1, T + 99, 1.0, 1.0), ROWS[8]]
    assert import_file(layout, write(tmp_path / "a.npz", rows), OPTIONS).rows == 2


def test_what_is_imported_is_exported_the_same(layout: ArchiveLayout, tmp_path: Path) -> None:
    import_file(layout, write(tmp_path / "a.npz", ROWS), OPTIONS)
    with Archive(tmp_path) as archive:
        count = export_npz(archive, "binance-usdm", "BTCUSDT", tmp_path / "b.npz")
    assert count == len(ROWS)
    before, after = (np.load(tmp_path / name)["data"] for name in ("a.npz", "b.npz"))
    assert after.dtype == np.dtype(EVENT_DTYPE)
    assert np.array_equal(before, after)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([(DEPTH | BUY | BOTH, T // 1000, T // 1000, 1.0, 1.0)], "no time in ns"),
        ([ROWS[9], ROWS[0]], "sort the file"),
        ([(10 | BUY | BOTH, T, T, 1.0, 1.0)], "not of a price-level feed"),
        ([(DEPTH | BUY | BOTH, T, T, float("nan"), 1.0)], "no price or quantity"),
        ([(DEPTH | BUY | BOTH, T, T, 1.0, -1.0)], "no price or quantity"),
        ([(DEPTH | BUY | EXCH, T, T, 1.0, 1.0)], "no row counts locally"),
        ([(DEPTH | BUY | BOTH, T, T, 1e19, 1.0)], "does not fit"),
    ],
)
def test_an_unsound_file_is_refused(
    layout: ArchiveLayout, tmp_path: Path, rows: list[tuple[int, int, int, float, float]], reason: str
) -> None:
    with pytest.raises(ImportRejected, match=reason):
        import_file(layout, write(tmp_path / "a.npz", rows), OPTIONS)


def test_another_npz_is_refused(layout: ArchiveLayout, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", data=np.zeros(3))
    with pytest.raises(ImportRejected, match="hftbacktest 2 has"):
        import_file(layout, tmp_path / "a.npz", OPTIONS)
    np.savez(tmp_path / "b.npz", other=np.zeros(3))
    with pytest.raises(ImportRejected, match="no array"):
        import_file(layout, tmp_path / "b.npz", OPTIONS)
    (tmp_path / "c.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-30])
    with pytest.raises(ImportRejected, match="damaged"):
        import_file(layout, tmp_path / "c.npz", OPTIONS)
    with pytest.raises(ImportRejected, match="--venue and --symbol"):
        import_file(layout, tmp_path / "a.npz")
