"""Recordings into the archive through the feed's decoder and the refinery."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from libchronicle.book import L2Book
from libchronicle.errors import DuplicateImport, ImportRejected
from libchronicle.etl.recordings import ALL_KINDS
from libchronicle.protocol import BestBidAsk, BookDelta, Gap, Trade
from libchronicle.storage.archive import Archive
from libchronicle.storage.importers import import_file
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.testing.recordings import START_NS, generated_lines


def kinds(archive: Archive, venue: str, stream: str, symbol: str = "BTCUSDT") -> Counter:
    return Counter(type(r) for _, r in archive.read(venue, symbol, stream).decoded())


@pytest.mark.parametrize("market", ["binance-spot", "binance-usdm"])
def test_a_recording_becomes_book_trades_and_quotes_timed_by_the_recorder(
    tmp_path: Path, market: str
) -> None:
    lines = generated_lines(market)
    file = tmp_path / "r.gz"
    file.write_bytes(gzip.compress(b"".join(lines)))
    layout = ArchiveLayout(tmp_path / "run" / "archive")
    report = import_file(layout, file, kinds=ALL_KINDS)
    assert report.kind == "binance"
    assert report.rows == len(lines)
    assert report.skipped == {}
    frames = Counter(
        msgspec.json.decode(line.partition(b" ")[2])["stream"].split("@")[1]
        for line in lines
        if b'"stream"' in line
    )
    with Archive(tmp_path / "run") as archive:
        assert kinds(archive, market, "trade")[Trade] == frames["trade"]
        assert kinds(archive, market, "quote")[BestBidAsk] == frames["bookTicker"]
        assert kinds(archive, market, "book")[BookDelta] == frames["depth"]
        book = L2Book()
        times = []
        for message, record in archive.read(market, "BTCUSDT", "book").decoded():
            book.apply(message.type_id, message)
            times.append(message.ts_ns)
            if isinstance(record, BookDelta) and not record.flags:  # stale ones waited for the snapshot
                assert message.ts_ns == record.recv_ts
        assert book.valid
        assert not book.crossed
        assert times == sorted(times)
        assert START_NS <= times[0] < START_NS + 10**9 < times[-1] <= START_NS + 4 * 10**9
    with pytest.raises(DuplicateImport):
        import_file(layout, file, kinds=ALL_KINDS)


def test_a_missing_diff_is_a_gap_in_the_archive(tmp_path: Path) -> None:
    lines = generated_lines("binance-spot")
    depths = [i for i, line in enumerate(lines) if b"depthUpdate" in line]
    del lines[depths[len(depths) // 2]]
    file = tmp_path / "r.txt"
    file.write_bytes(b"".join(lines))
    report = import_file(ArchiveLayout(tmp_path / "archive"), file, kinds=ALL_KINDS)
    assert report.gaps >= 1
    with Archive(tmp_path) as archive:
        assert kinds(archive, "binance-spot", "book")[Gap] >= 1


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    lines = generated_lines("binance-spot", seconds=1.0)
    lines[200] = lines[200][:60] + b"\n"
    file = tmp_path / "r.txt"
    file.write_bytes(b"".join(lines))
    with pytest.raises(ImportRejected, match="line 201"):
        import_file(ArchiveLayout(tmp_path / "archive"), file, kinds=ALL_KINDS)
    assert not (tmp_path / "archive" / "v1").exists()


@pytest.mark.recording
def test_a_real_recording_goes_over_midnight(tmp_path: Path, chronicle_data: Path) -> None:
    """The exchange's clock ran ahead of the recorder's, so the last events are of the next day."""
    layout = ArchiveLayout(tmp_path / "archive")
    report = import_file(layout, chronicle_data / "binance" / "spot" / "ethusdt_20240808.gz", kinds=ALL_KINDS)
    assert report.gaps == 0
    days = sorted({str(p.day) for p in layout.partitions("binance-spot", "ETHUSDT", "trade")})
    assert days[0] == "2024-08-08"
    with Archive(tmp_path) as archive:
        trades = [
            r for _, r in archive.read("binance-spot", "ETHUSDT", "trade").decoded() if isinstance(r, Trade)
        ]
        ids = [t.trade_id for t in trades]
        assert ids == sorted(set(ids))
        assert len(days) == len({t.venue_ts // 86_400_000_000_000 for t in trades})
