"""Sinks hold exactly what was given."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

from libchronicle.protocol import Trade, instrument_id
from libchronicle.queue import Queue
from libchronicle.replay import CsvSink, NullSink, ParquetSink, QueueSink, RecordSource, Replay
from libchronicle.replay.sinks import COLUMNS

sys.path.insert(0, str(Path(__file__).parent))
from stream import market, merged, name, rows


@pytest.fixture(scope="module")
def stream():
    return merged(market("AAA", 600), market("BBB", 600, seed=2))


def test_a_queue_holds_the_records_with_their_times(stream, tmp_path):
    with QueueSink(tmp_path / "q") as sink:
        report = Replay([RecordSource(rows(stream))], types=[Trade]).run(sink)
    wanted = [(ts, m.encode()) for ts, m in stream if isinstance(m, Trade)]
    with Queue.open_subscriber(tmp_path / "q", None) as reader:
        assert [(m.ts_ns, bytes(m)) for m in reader.drain()] == wanted
    assert sink.records == report.given == len(wanted)


def test_tables_hold_a_row_per_record_with_the_touch_after_it(stream, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    touches = []

    def both(event):
        written(event)
        packed(event)
        book = event.book
        touches.append((event.ts_ns, None if book is None else book.bid_price))

    with CsvSink(tmp_path / "t.csv") as written, ParquetSink(tmp_path / "t.parquet") as packed:
        Replay([RecordSource(rows(stream))]).run(both)
    with open(tmp_path / "t.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    table = pq.read_table(tmp_path / "t.parquet").to_pylist()
    assert len(lines) == len(table) == len(stream)
    assert tuple(lines[0]) == COLUMNS
    for line, row, (ts, bid) in zip(lines, table, touches, strict=True):
        assert {key: "" if value is None else str(value) for key, value in row.items()} == line
        assert (row["ts_ns"], row["bid_price"]) == (ts, bid)
    trades = [row for row in table if row["type"] == "Trade"]
    wanted = [m for _, m in stream if isinstance(m, Trade)]
    assert [(t["price"], t["qty"]) for t in trades] == [(m.price, m.qty) for m in wanted]
    assert {row["instrument_id"] for row in table} == {instrument_id(name("AAA")), instrument_id(name("BBB"))}


def test_a_parquet_file_that_was_not_finished_is_none(stream, tmp_path):
    pytest.importorskip("pyarrow.parquet")
    with pytest.raises(ZeroDivisionError), ParquetSink(tmp_path / "t.parquet") as sink:
        sink.records = 1 // 0
    assert list(tmp_path.iterdir()) == []
    with ParquetSink(tmp_path / "empty.parquet"):
        pass
    assert (tmp_path / "empty.parquet").exists()


def test_the_null_sink_counts(stream):
    sink = NullSink()
    Replay([RecordSource(rows(stream))], every=2).run(sink)
    assert sink.records == (len(stream) + 1) // 2
