"""Archive to Parquet and CSV, read back by three engines."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from libchronicle.bus.paths import BusPaths
from libchronicle.cli.main import app
from libchronicle.errors import InvalidArgument
from libchronicle.etl.extract import DEFAULT_FEATURES, extract, features_named
from libchronicle.etl.making import Making
from libchronicle.etl.recordings import ALL_KINDS
from libchronicle.etl.sinks import CsvSink, NullSink, ParquetSink
from libchronicle.protocol import Trade
from libchronicle.queue import Queue, QueueConfig
from libchronicle.signals import Column, Feature, Mid, TimeBar, trigger_named
from libchronicle.signals.registry import BUILTIN
from libchronicle.storage.archive import Archive
from libchronicle.storage.importers import import_file
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.testing.recordings import START_NS, generated_lines

pq = pytest.importorskip("pyarrow.parquet")
MARKET = "binance-spot"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("extract")
    file = base / "r.txt"
    file.write_bytes(b"".join(generated_lines(MARKET, seconds=6.0)))
    import_file(ArchiveLayout(base / "archive"), file, kinds=ALL_KINDS)
    return base


def test_parquet_lies_in_a_hive_layout_and_three_engines_read_the_same_rows(
    root: Path, tmp_path: Path
) -> None:
    duckdb, polars = pytest.importorskip("duckdb"), pytest.importorskip("polars")
    with Archive(root) as archive:
        report = extract(
            archive,
            MARKET,
            "BTCUSDT",
            features_named("time,mid,spread,imbalance:5,flow"),
            trigger_named("any"),
            ParquetSink(tmp_path, MARKET, "BTCUSDT"),
        )
    assert report.rows > 500
    assert report.files == [
        str(tmp_path / "venue=binance-spot/symbol=BTCUSDT/date=2023-11-14/part-0.parquet")
    ]
    table = pq.read_table(report.files[0], partitioning=None)
    assert table.num_rows == report.rows
    times = table.column("ts_ns").to_pylist()
    assert times == sorted(times)
    assert [ns // 1000 for ns in times] == table.column("ts").cast("int64").to_pylist()
    pattern = f"{tmp_path}/**/*.parquet"
    columns = ["ts_ns", "mid", "spread_bps", "imbalance_5", "trades", "valid"]
    ours = table.select(columns).to_pydict()
    theirs = duckdb.sql(
        "select ts_ns, mid, spread_bps, imbalance_5, trades, valid "
        f"from read_parquet('{pattern}', hive_partitioning=true)"
    ).fetchall()
    ours_plain = list(zip(*(ours[c] for c in columns), strict=True))
    assert theirs == ours_plain
    frame = polars.read_parquet(pattern, hive_partitioning=True)
    assert frame.select(columns).rows() == ours_plain
    counted = duckdb.sql(
        f"select venue, symbol, date, count(*) from read_parquet('{pattern}', hive_partitioning=true) group by all"
    ).fetchall()
    assert [(v, s, str(d), n) for v, s, d, n in counted] == [(MARKET, "BTCUSDT", "2023-11-14", report.rows)]
    facts = pq.ParquetFile(report.files[0]).metadata.row_group(0).column(1)
    assert facts.compression == "ZSTD"
    assert not facts.has_dictionary_page


def _mids(archive: Archive, out: Path, start: int, end: int) -> list[float]:
    sink = ParquetSink(out, MARKET, "BTCUSDT")
    extract(archive, MARKET, "BTCUSDT", [Mid()], trigger_named("trade"), sink, start=start, end=end)
    return pq.read_table(sink.files[0], partitioning=None).column("mid").to_pylist()


def test_a_range_is_half_open_and_its_first_row_has_a_whole_book(root: Path, tmp_path: Path) -> None:
    with Archive(root) as archive:
        start, end = START_NS + 3 * 10**9, START_NS + 4 * 10**9
        wanted = sum(
            isinstance(record, Trade)
            for _, record in archive.read(MARKET, "BTCUSDT", "trade", start, end).decoded()
        )
        sink = NullSink()
        report = extract(
            archive, MARKET, "BTCUSDT", [Mid()], trigger_named("trade"), sink, start=start, end=end
        )
        assert report.rows == sink.rows == wanted > 0
        assert report.invalid == 0
        assert sink.rows == len(prices := _mids(archive, tmp_path, start, end))
        assert all(50_000 < price < 70_000 for price in prices)  # real prices, not mantissas


def test_csv_has_the_same_rows(root: Path, tmp_path: Path) -> None:
    with Archive(root) as archive:
        extract(
            archive,
            MARKET,
            "BTCUSDT",
            [Mid()],
            TimeBar(10**8),
            ParquetSink(tmp_path, MARKET, "BTCUSDT", "bars"),
        )
        extract(archive, MARKET, "BTCUSDT", [Mid()], TimeBar(10**8), CsvSink(tmp_path / "x.csv"))
    table = pq.read_table(next(tmp_path.rglob("bars.parquet")), partitioning=None)
    rows = list(csv.DictReader((tmp_path / "x.csv").read_text().splitlines()))
    assert [int(row["ts"]) for row in rows] == table.column("ts_ns").to_pylist()
    assert [float(row["mid"]) if row["mid"] else None for row in rows] == table.column("mid").to_pylist()


class Breaks(Feature):
    columns = (Column("x", "float"),)

    def __init__(self) -> None:
        self.rows = 0

    def values(self, market: object) -> tuple[float]:
        self.rows += 1
        if self.rows == 300:
            raise ZeroDivisionError
        return (1.0,)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_an_extraction_that_fails_leaves_what_was_there(root: Path, tmp_path: Path, kind: str) -> None:
    sink = ParquetSink(tmp_path, MARKET, "BTCUSDT") if kind == "parquet" else CsvSink(tmp_path / "x.csv")
    with Archive(root) as archive, pytest.raises(ZeroDivisionError):
        extract(archive, MARKET, "BTCUSDT", [Breaks()], trigger_named("any"), sink)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


HANGS = """
import sys, time
from pathlib import Path
from libchronicle.etl.extract import extract
from libchronicle.etl.sinks import CsvSink
from libchronicle.signals import Mid, trigger_named
from libchronicle.storage.archive import Archive

class Hangs(CsvSink):
    def close(self):
        print("written", flush=True)
        time.sleep(600)

with Archive(Path(sys.argv[1])) as archive:
    extract(archive, "binance-spot", "BTCUSDT", [Mid()], trigger_named("any"), Hangs(Path(sys.argv[2])))
"""


def test_what_a_killed_extraction_left_goes_with_the_next_and_one_under_way_stays(
    root: Path, tmp_path: Path
) -> None:
    words = [sys.executable, "-c", HANGS, root, tmp_path / "x.csv"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as maker:
        try:
            assert maker.stdout is not None
            assert maker.stdout.readline() == b"written\n"
            (left,) = tmp_path.rglob("*.making")
            other = Making(tmp_path)
            assert left.exists()
            other.abandon()
        finally:
            maker.kill()
            maker.wait()
    assert left.exists()
    under_way = Making(tmp_path / "deeper")
    under_way.path(tmp_path / "deeper" / "z.csv").touch()
    assert left.exists()
    with Archive(root) as archive:
        for sink in (ParquetSink(tmp_path, MARKET, "BTCUSDT"), CsvSink(tmp_path / "deeper" / "y.csv")):
            extract(archive, MARKET, "BTCUSDT", [Mid()], trigger_named("any"), sink)
            assert not left.exists()
            assert sink.files[0].exists()
    assert len(list(tmp_path.rglob("*.making"))) == 1
    (shown,) = under_way.publish()
    assert shown.exists()
    assert not list(tmp_path.rglob(".extract-*"))


def test_the_command_extracts_every_instrument_and_takes_the_users_own_features(
    root: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from libchronicle.signals import Column, Feature\n"
        "class LastPrice(Feature):\n"
        "    columns = (Column('last', 'float'),)\n"
        "    def values(self, market):\n"
        "        return (market.trade_price / market.price_scale or None,)\n"
    )
    out = tmp_path / "out"
    arguments = [
        "etl",
        "extract",
        "--out",
        str(out),
        "--features",
        f"mid,{mine}:LastPrice",
        "--trigger",
        "bar:1s",
    ]
    result = CliRunner().invoke(app, [*arguments, "--run", str(root)])
    assert result.exit_code == 0, result.output
    table = pq.read_table(next(out.rglob("*.parquet")), partitioning=None)
    assert table.column_names == ["ts", "ts_ns", "mid", "last", "valid"]
    assert f"{table.num_rows} rows" in result.output
    assert 4 <= table.num_rows <= 6
    listed = CliRunner().invoke(app, ["etl", "extract", "--list"])
    assert "spread_bps" in listed.output


def test_raw_records_of_a_feed_give_the_same_rows(root: Path, tmp_path: Path) -> None:
    """The clean records of one instrument, put into a raw queue between those of another, as a feed writes them."""
    paths = BusPaths(tmp_path / "run")
    with Archive(root) as archive:
        streams = [archive.read(MARKET, "BTCUSDT", name) for name in ("book", "trade", "quote")]
        records = sorted(
            ((m.ts_ns, place, m.type_id, bytes(m)) for place, one in enumerate(streams) for m in one),
            key=lambda record: record[:2],
        )
        clean = NullSink()
        extract(archive, MARKET, "BTCUSDT", [Mid()], trigger_named("any"), clean)
    with Queue.open_publisher(paths.raw("feed"), QueueConfig(segment_size=64 << 20)) as writer:
        for ts_ns, _, type_id, payload in records:
            writer.append(type_id, payload, ts_ns)
            writer.append(Trade.TEMPLATE_ID, Trade(instrument_id=5, price=1, qty=1).encode(), ts_ns)
    arguments = [
        "etl",
        "extract",
        f"{MARKET}:BTCUSDT",
        "--raw",
        "feed",
        "--features",
        "mid",
        "--trigger",
        "any",
    ]
    result = CliRunner().invoke(
        app, [*arguments, "--out", str(tmp_path / "out"), "--run", str(tmp_path / "run")]
    )
    assert result.exit_code == 0, result.output
    table = pq.read_table(next((tmp_path / "out").rglob("*.parquet")), partitioning=None)
    assert table.num_rows == clean.rows


def test_a_feature_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="a Python file"):
        features_named(f"{tmp_path}/nosuch.py:X")
    (tmp_path / "a.py").write_text("X = 3\n")
    with pytest.raises(InvalidArgument, match="derived from Feature"):
        features_named(f"{tmp_path}/a.py:X")


def test_the_page_on_research_names_every_feature_and_what_is_taken_by_default(project_root: Path) -> None:
    told = (project_root / "docs" / "research.md").read_text() + (
        project_root / "docs" / "signals.md"
    ).read_text()
    missing = [name for name in BUILTIN if f"`{name}" not in told]
    assert missing == []
    assert f"`{DEFAULT_FEATURES}`" in told
