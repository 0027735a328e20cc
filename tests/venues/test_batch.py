"""Batches of records: what was put in comes out, in order, however far it grows."""

from __future__ import annotations

from pathlib import Path

import pytest

from libchronicle.bus.paths import STREAMS
from libchronicle.protocol import BookDelta, BookSnapshot, Trade, decode
from libchronicle.queue import Queue, QueueConfig
from libchronicle.venues.batch import DAY_NS, LANES, RecordBatch


def test_lanes_are_the_clean_streams() -> None:
    assert LANES == STREAMS


def test_records_of_any_size_come_out_as_they_were_put_in() -> None:
    messages = [
        BookSnapshot(
            instrument_id=7, bids=[(i, 1) for i in range(levels)], asks=[(i, 2) for i in range(levels)]
        )
        for levels in (0, 1, 5000, 30_000, 3)
    ] * 3
    batch = RecordBatch()
    for at, message in enumerate(messages):
        batch.put(message, "book", at, at)
    assert len(batch) == 15
    assert batch.messages() == messages
    assert [ts for _, ts, _ in batch] == list(range(15))
    batch.clear()
    assert len(batch) == 0
    assert batch.routes() == {}


def test_routes_part_instruments_streams_and_days_and_keep_the_order() -> None:
    batch = RecordBatch()
    for at in range(12):
        kind = Trade if at % 2 else BookDelta
        batch.put(kind(instrument_id=at % 3), "trade" if at % 2 else "book", at, (at // 6) * DAY_NS)
    routes = batch.routes()
    assert routes[(1, "trade", 0)] == [1]
    assert routes[(0, "book", 0)] == [0]
    assert routes[(0, "book", 1)] == [6]
    assert sorted(row for rows in routes.values() for row in rows) == list(range(12))


def test_writing_stops_where_a_segment_begins_and_goes_on_behind_its_head(tmp_path: Path) -> None:
    batch = RecordBatch()
    for at in range(200):
        batch.put(Trade(instrument_id=1, trade_id=at), "trade", 1000 - at % 2, 0)
    (rows,) = batch.routes().values()
    heads = 0
    with Queue.open_publisher(tmp_path / "q", QueueConfig(segment_size=4096, durable=("x",))) as writer:
        at, segment = 0, (1 << 64) - 1
        while at < len(rows):
            at, segment = batch.write(writer, rows, at, segment)
            if at < len(rows):
                writer.append(1, b"head", max(writer.last_ts_ns, 0))
                heads += 1
        with pytest.raises(IndexError):
            batch.write(writer, [200], 0, segment)
    with Queue.open_subscriber(tmp_path / "q", None, start="earliest") as reader:
        records = [(m.type_id, bytes(m)) for m in reader]
        assert [decode(5, data).trade_id for kind, data in records if kind == 5] == list(range(200))  # type: ignore[union-attr]
        assert sum(kind == 1 for kind, _ in records) == heads > 5
