"""Queues that imports are written into: one for each instrument, stream and date, however few may be open at once."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from libchronicle.protocol import (
    BookMode,
    Instrument,
    OrderAdd,
    OrderBookFlags,
    Side,
    Trade,
    decode,
    instrument_id,
)
from libchronicle.storage.importers import staging
from libchronicle.storage.importers.staging import StagedQueues
from libchronicle.storage.walk import SegmentSpan
from libchronicle.venues.batch import DAY_NS, RecordBatch

DAY = 18_000


def definition(symbol: str) -> Instrument:
    return Instrument(
        instrument_id=instrument_id(f"my:{symbol}"), book_mode=BookMode.L2, venue="my", symbol=symbol
    )


def trades_in(queue: Path) -> tuple[list[Trade], int]:
    """Trades of a finished queue, and how many segments hold them. Each segment is sealed and begins with the definition."""
    found: list[Trade] = []
    paths = sorted(queue.glob("*.q"))[:-1]
    for path in paths:
        span = SegmentSpan.open_file(path)
        assert span.sealed
        records = [decode(m.type_id, bytes(m)) for m in span.walk()]
        assert [type(r) for r in records] == [Instrument] + [Trade] * (len(records) - 1)
        found += records[1:]  # type: ignore[arg-type]
    return found, len(paths)


def test_queues_that_are_closed_and_opened_again_lose_and_double_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "MAX_OPEN", 3)
    seed = 8
    random = Random(seed)
    known = {d.instrument_id: d for d in (definition(f"S{i}") for i in range(10))}
    numbers = list(known)
    queues = StagedQueues(tmp_path, segment_size=4096)
    wanted: dict[tuple[int, int], list[int]] = {}
    batch, ts = RecordBatch(), DAY * DAY_NS
    for round_ in range(40):
        for number in range(60):
            owner, ts = random.choice(numbers), ts + random.randint(0, 10**6)
            day = DAY - (random.random() < 0.1)  # some are of the day before
            trade = Trade(instrument_id=owner, trade_id=round_ * 60 + number, venue_ts=day * DAY_NS + 5)
            batch.put(trade, "trade", ts, day * DAY_NS + 5)
            wanted.setdefault((owner, day), []).append(trade.trade_id)
        queues.write(batch, known)
        batch.clear()
    made = queues.finish()
    assert queues.records == {"trade": 2400}
    found: dict[tuple[int, int], list[int]] = {}
    segments = 0
    for queue in made:
        trades, count = trades_in(tmp_path / queue.path)
        segments += count
        (key,) = {(t.instrument_id, t.venue_ts // DAY_NS) for t in trades}
        assert known[key[0]].symbol == queue.symbol
        assert DAY * DAY_NS <= queue.first_ns <= queue.last_ns <= ts
        found[key] = [t.trade_id for t in trades]
    assert found == wanted, f"seed {seed}"
    assert segments > 2 * len(made)


def test_an_import_given_up_seals_nothing(tmp_path: Path) -> None:
    known = {d.instrument_id: d for d in (definition("S"),)}
    queues = StagedQueues(tmp_path)
    batch = RecordBatch()
    batch.put(Trade(instrument_id=next(iter(known))), "trade", 5, 5)
    queues.write(batch, known)
    queues.close()
    assert not SegmentSpan.open_file(tmp_path / "000000" / "000000000.q", live=True).sealed


def test_a_book_of_orders_that_went_back_a_date_gets_no_more_snapshots(tmp_path: Path) -> None:
    number = instrument_id("my:S")
    known = {number: Instrument(instrument_id=number, book_mode=BookMode.L3, venue="my", symbol="S")}
    queues = StagedQueues(tmp_path)
    batch = RecordBatch()
    days = [DAY, DAY, DAY + 1, DAY, DAY + 1, DAY + 2]
    for order, day in enumerate(days, start=1):
        ts = (DAY + 1) * DAY_NS + order
        batch.put(
            OrderAdd(instrument_id=number, order_id=order, price=100, qty=1, side=Side.BUY),
            "book",
            ts,
            day * DAY_NS,
        )
        queues.write(batch, known)
        batch.clear()
    injected = []
    for queue in queues.finish():
        span = SegmentSpan.open_file(sorted((tmp_path / queue.path).glob("*.q"))[0])
        records = [decode(m.type_id, bytes(m)) for m in span.walk()][1:]
        injected.append(
            [r.order_id for r in records if isinstance(r, OrderAdd) and r.flags & OrderBookFlags.INJECTED]
        )
    assert injected == [[1], [1, 2], []]
    assert queues.injected == 3
