"""Records through filters into sinks: every count is exact, every range half-open."""

from __future__ import annotations

import csv
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from libchronicle.cli.main import app
from libchronicle.etl.recordings import ALL_KINDS
from libchronicle.etl.records import export_records
from libchronicle.protocol import BestBidAsk, BookDelta, BookSnapshot, SbeMessage, Trade, decode
from libchronicle.queue import Queue
from libchronicle.storage.archive import Archive
from libchronicle.storage.importers import import_file
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.testing.recordings import START_NS, generated_lines

MARKET = "binance-usdm"
STREAMS = ("book", "trade", "quote")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("records")
    file = base / "r.txt"
    file.write_bytes(b"".join(generated_lines(MARKET, seconds=4.0)))
    import_file(ArchiveLayout(base / "archive"), file, kinds=ALL_KINDS)
    return base


def everything(root: Path) -> list[tuple[int, SbeMessage]]:
    with Archive(root) as archive:
        found = [
            (message.ts_ns, place, record)
            for place, stream in enumerate(STREAMS)
            for message, record in archive.read(MARKET, "BTCUSDT", stream).decoded()
        ]
    return [(ts, record) for ts, _, record in sorted(found, key=lambda one: one[:2]) if record is not None]


def exported(root: Path, kind: str = "null", out: Path = Path("x"), **options: object) -> int:
    with Archive(root) as archive:
        return export_records(archive, MARKET, "BTCUSDT", kind, out, **options)  # type: ignore[arg-type]


def test_filters_let_exactly_those_through_that_they_should(root: Path) -> None:
    records = everything(root)
    start, end = START_NS + 10**9, START_NS + 3 * 10**9
    assert exported(root) == len(records)
    assert exported(root, types=[Trade]) == sum(isinstance(r, Trade) for _, r in records)
    edge = next(ts for ts, r in records if ts > start)
    for first, last in ((start, end), (edge, edge), (edge, edge + 1), (None, edge), (edge, None)):
        wanted = sum((first or 0) <= ts < (last or 1 << 62) for ts, _ in records)
        assert exported(root, start=first, end=last) == wanted
    assert exported(root, every=7) == -(-len(records) // 7)
    assert exported(root, symbols=["my:OTHER"]) == 0


def test_a_queue_takes_every_record_byte_for_byte(root: Path, tmp_path: Path) -> None:
    count = exported(root, "queue", tmp_path / "q")
    with Queue.open_subscriber(tmp_path / "q", None, start="earliest") as reader:
        found = [(message.ts_ns, decode(message.type_id, bytes(message))) for message in reader]
    assert len(found) == count
    assert found == everything(root)


def long_rows(root: Path) -> Counter:
    rows: Counter = Counter()
    for _, r in everything(root):
        if isinstance(r, BookSnapshot | BookDelta):
            rows["snapshot" if isinstance(r, BookSnapshot) else "delta"] += max(len(r.bids) + len(r.asks), 1)
        elif isinstance(r, Trade):
            rows["trade"] += 1
        elif isinstance(r, BestBidAsk):
            rows["quote"] += 2
    return rows


def test_csv_and_parquet_hold_every_level_trade_and_quote(root: Path, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    exported(root, "csv", tmp_path / "x.csv")
    exported(root, "parquet", tmp_path / "x.parquet")
    rows = list(csv.DictReader((tmp_path / "x.csv").read_text().splitlines()))
    assert Counter(row["type"] for row in rows) == long_rows(root)
    trades = [r for _, r in everything(root) if isinstance(r, Trade)]
    told = [row for row in rows if row["type"] == "trade"]
    assert [Decimal(row["price"]) for row in told] == [Decimal(t.price).scaleb(-8) for t in trades]
    assert {row["instrument"] for row in rows} == {f"{MARKET}:BTCUSDT"}
    table = pq.read_table(tmp_path / "x.parquet").to_pydict()
    assert table["price"] == [float(row["price"]) for row in rows]
    assert table["qty"] == [float(row["qty"]) for row in rows]
    assert table["id"] == [int(row["id"]) for row in rows]
    assert [str(one) for one in table["side"]] == [row["side"] for row in rows]


def test_a_range_that_begins_behind_the_definition_has_real_prices(root: Path, tmp_path: Path) -> None:
    exported(root, "csv", tmp_path / "x.csv", start=START_NS + 2 * 10**9)
    rows = list(csv.DictReader((tmp_path / "x.csv").read_text().splitlines()))
    assert {row["instrument"] for row in rows} == {f"{MARKET}:BTCUSDT"}
    assert all(50_000 < float(row["price"]) < 70_000 for row in rows if row["type"] == "trade")


def test_an_export_that_fails_leaves_no_file(root: Path, tmp_path: Path) -> None:
    class Stops(Exception):
        pass

    def pace(ts_ns: int) -> int:
        if ts_ns > START_NS + 10**9:
            raise Stops
        return ts_ns

    for kind in ("csv", "parquet"):
        with pytest.raises(Stops):
            exported(root, kind, tmp_path / "out", pace=pace)
    assert list(tmp_path.iterdir()) == []


def test_the_command_exports(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    arguments = [
        "archive",
        "export",
        f"{MARKET}:BTCUSDT",
        "--to",
        "csv",
        "--out",
        str(out),
        "--run",
        str(root),
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert f"{len(everything(root)):,} records" in result.output
    assert out.exists()
