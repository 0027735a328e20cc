"""SQL over the archive gives what reading it gives, whatever tier the records are in, and reads no more than it must."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from libchronicle.bus.paths import BusPaths
from libchronicle.errors import BadQuery, CorruptError
from libchronicle.protocol import BookDelta, BookMode, BookSnapshot, Instrument, Trade, instrument_id
from libchronicle.queue import Queue, QueueConfig
from libchronicle.storage.archive import Archive
from libchronicle.storage.importers import import_file
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.manifest import Manifest
from libchronicle.storage.moves import freeze
from libchronicle.storage.sql import query

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

DAY_US = 1_585_699_200_000_000  # 2020-04-01
HOUR_US = 3600 * 10**6
L2 = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n"
TRADES = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days of two instruments; half of the segments are cold."""
    base = tmp_path_factory.mktemp("sql")
    layout = ArchiveLayout(base / "archive")
    for symbol, price in (("AAA", 10), ("BBB", 2000)):
        rows = "".join(
            f"deribit,{symbol},{DAY_US + i * HOUR_US // 10},{DAY_US + i * HOUR_US // 10 + 7},{i},"
            f"{'buy' if i % 3 else 'sell'},{price + i % 5}.25,{i % 7 + 1}\n"
            for i in range(700)
        )
        (base / "t.csv").write_text(TRADES + rows)
        import_file(layout, base / "t.csv")
    levels = "".join(
        f"deribit,AAA,{DAY_US + at},{DAY_US + at},{'true' if at == 0 else 'false'},{side},{price},{1 + at % 3}\n"
        for at in range(0, 5000, 10)
        for side, price in (("bid", 9.5), ("ask", 10.5))
    )
    (base / "b.csv").write_text(L2 + levels)
    import_file(layout, base / "b.csv")
    with Manifest(layout.manifest) as manifest:
        rows_of = list(manifest.find("deribit"))
        for number, record in enumerate(rows_of):
            if number % 2:
                manifest.put(freeze(layout, record))
    return base


def ask(root: Path, text: str) -> list[tuple[Any, ...]]:
    with Archive(root) as archive:
        table = query(archive, text)
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def trades(root: Path, symbol: str) -> list[Trade]:
    with Archive(root) as archive:
        return [r for _, r in archive.read("deribit", symbol, "trade").decoded() if isinstance(r, Trade)]


def test_every_trade_is_a_row(root: Path) -> None:
    found = ask(
        root,
        "select epoch_ns(recv_ts), epoch_ns(venue_ts), trade_id, price, qty, side from trades "
        "where symbol = 'AAA' order by ts, trade_id",
    )
    assert found == [
        (t.recv_ts, t.venue_ts, t.trade_id, t.price / 1e8, t.qty / 1e8, "buy" if t.aggressor == 1 else "sell")
        for t in trades(root, "AAA")
    ]


def test_every_level_is_a_row(root: Path) -> None:
    with Archive(root) as archive:
        books = [
            r
            for _, r in archive.read("deribit", "AAA", "book").decoded()
            if isinstance(r, BookSnapshot | BookDelta)
        ]
    wanted = Counter(
        ("snapshot" if isinstance(r, BookSnapshot) else "delta", side, price / 1e8)
        for r in books
        for side, levels in (("buy", r.bids), ("sell", r.asks))
        for price, _ in levels
    )
    found = ask(root, "select kind, side, price, count(*) from levels group by all")
    assert {row[:3]: row[3] for row in found} == wanted


def test_grouping_by_date_and_symbol_counts_every_row_once(root: Path) -> None:
    found = ask(root, "select symbol, date, count(*) from trades group by all order by all")
    wanted = Counter(
        (symbol, datetime.fromtimestamp(t.recv_ts // 10**9, UTC).date())
        for symbol in ("AAA", "BBB")
        for t in trades(root, symbol)
    )
    assert {row[:2]: row[2] for row in found} == wanted
    assert len({row[1] for row in found}) == 3


def test_a_table_may_be_read_twice_in_one_query(root: Path) -> None:
    (row,) = ask(root, "select count(*) from trades a join trades b using (symbol, trade_id)")
    assert row == (1400,)


def test_conditions_are_those_of_sql(root: Path) -> None:
    both = [*trades(root, "AAA"), *trades(root, "BBB")]
    noon = "2020-04-02 12:00:00"
    at = int(datetime(2020, 4, 2, 12, tzinfo=UTC).timestamp()) * 10**9
    for condition, wanted in (
        (f"ts >= '{noon}'", sum(t.recv_ts >= at for t in both)),
        (f"ts < '{noon}' and side = 'buy'", sum(t.recv_ts < at and t.aggressor == 1 for t in both)),
        ("price > 2002 or qty = 3", sum(t.price > 2002 * 10**8 or t.qty == 3 * 10**8 for t in both)),
        ("symbol in ('BBB', 'CCC')", 700),
        ("venue = 'nowhere'", 0),
        ("date = '2020-04-01' and symbol like 'A%'", 240),
    ):
        assert ask(root, f"select count(*) from trades where {condition}") == [(wanted,)], condition


def test_what_cannot_match_is_not_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    days: list[tuple[str, Any]] = []
    read = Archive.read

    def watched(
        self: Archive, venue: str, symbol: str, stream: str, start: Any = None, *rest: Any, **more: Any
    ) -> Any:
        if start is not None:
            days.append((symbol, datetime.fromtimestamp(start // 10**9, UTC).date()))
        return read(self, venue, symbol, stream, start, *rest, **more)

    monkeypatch.setattr(Archive, "read", watched)
    ask(
        root,
        "select sum(qty) from trades where symbol = 'BBB' and ts between '2020-04-02 01:00' and '2020-04-02 02:00'",
    )
    assert days == [("BBB", date(2020, 4, 2))]


def test_segments_are_those_of_the_manifest(root: Path) -> None:
    with Manifest(ArchiveLayout(root / "archive").manifest) as manifest:
        wanted = Counter(row.tier for row in manifest.find("deribit"))
    assert dict(ask(root, "select tier, count(*) from segments group by tier")) == wanted
    assert set(wanted) == {"warm", "cold"}


def test_hot_queues_are_read_with_the_archive(tmp_path: Path) -> None:
    name = "my:HOT"
    definition = Instrument(
        instrument_id=instrument_id(name), price_exponent=-2, book_mode=BookMode.L2, venue="my", symbol="HOT"
    )
    begin = DAY_US * 1000
    with Queue.open_publisher(
        BusPaths(tmp_path).clean("my", "HOT", "trade"), QueueConfig(segment_size=1 << 20)
    ) as writer:
        writer.append(Instrument.TEMPLATE_ID, definition.encode(), begin)
        for i in range(100):
            trade = Trade(
                instrument_id=definition.instrument_id, trade_id=i, price=150 + i, qty=2, recv_ts=begin + i
            )
            writer.append(Trade.TEMPLATE_ID, trade.encode(), begin + i)
        found = ask(
            tmp_path,
            "select date, count(*), min(price), sum(qty) from trades where symbol = 'HOT' group by date",
        )
    assert found == [(date(2020, 4, 1), 100, 1.5, 200.0)]


def test_damage_is_stepped_over_and_told(tmp_path: Path) -> None:
    layout = ArchiveLayout(tmp_path / "archive")
    rows = "".join(f"deribit,X,{DAY_US + i},{DAY_US + i},{i},buy,1,1\n" for i in range(200))
    (tmp_path / "t.csv").write_text(TRADES + rows)
    import_file(layout, tmp_path / "t.csv")
    (segment,) = layout.partitions_dir.rglob("*.q")
    segment.chmod(0o640)
    data = bytearray(segment.read_bytes())
    data[8000] ^= 1
    segment.write_bytes(data)
    with Archive(tmp_path) as archive:
        table = query(archive, "select count(*) n from trades")
    assert table.to_pydict() == {"n": [199]}
    assert table.schema.metadata == {b"lost": b"1"}


def test_a_query_content_with_a_part_leaves_nothing_behind_that_keeps_the_process(root: Path) -> None:
    program = """
        import sys
        from libchronicle.storage.archive import Archive
        from libchronicle.storage.sql import connect
        with Archive(sys.argv[1]) as archive:
            print(len(connect(archive).sql("select * from trades limit 3").fetchall()))
        print("end")
    """
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", dedent(program), str(root)], capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "3\nend\n", "")


def test_a_segment_that_cannot_be_read_at_all_is_named(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    cold = next((copy / "archive").rglob("*/trade/*.zst"))
    rotten = bytearray(cold.read_bytes())
    rotten[60:64] = bytes(byte ^ 0xFF for byte in rotten[60:64])
    cold.chmod(0o640)
    cold.write_bytes(rotten)
    with Archive(copy) as archive, pytest.raises(CorruptError, match=cold.name):
        query(archive, "select count(*) from trades")


def test_an_empty_archive_has_empty_tables(tmp_path: Path) -> None:
    for table in ("trades", "quotes", "levels", "orders", "segments"):
        assert ask(tmp_path, f"select count(*) from {table}") == [(0,)]


def test_what_duckdb_refuses_is_told(root: Path) -> None:
    for text, place, remedy in (
        ("select * from nosuch", "nosuch", "tables are trades, quotes, levels, orders, segments"),
        ("select prize from trades", "prize", "describe trades"),
        ("selekt 1", "LINE 1: selekt", "DuckDB's dialect"),
    ):
        with pytest.raises(BadQuery) as caught:
            ask(root, text)
        assert place in str(caught.value)
        assert remedy in str(caught.value)
