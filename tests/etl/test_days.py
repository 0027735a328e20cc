"""A segment holds one UTC date; what comes late goes to its day, what comes too late nowhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from raw_world import (
    DAY,
    MIDNIGHT,
    SECOND,
    VENUE,
    World,
    delta,
    instrument,
    number,
    records,
    records_by_segment,
    snapshot,
    trade,
)

from libchronicle.book import L2Book
from libchronicle.protocol import BookDelta, Gap, GapReason, Instrument
from libchronicle.protocol.event_time import dating_ns
from libchronicle.queue import Queue

MINUTE = 60 * SECOND
LATE = f"{VENUE}/AA/trade.late"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def days(world: World, stream: str, symbol: str = "AA") -> list[list[int]]:
    """UTC days after the first midnight, of each segment."""
    found = []
    for found_here in records_by_segment(world.paths.clean(VENUE, symbol, stream)):
        times = [dating_ns(type_id, payload, ts) for ts, type_id, payload in found_here]
        found.append(sorted({(ts - MIDNIGHT) // DAY for ts in times if ts}))
    return found


def test_a_queue_rolls_at_the_first_event_of_another_day_whenever_it_came(world: World) -> None:
    world.put(instrument("AA"))
    world.put(trade("AA", 1, venue_ts=MIDNIGHT - 1), at=MIDNIGHT - SECOND)
    world.put(trade("AA", 2, venue_ts=MIDNIGHT - 1), at=MIDNIGHT + SECOND)
    world.put(trade("AA", 3, venue_ts=MIDNIGHT), at=MIDNIGHT + 2 * SECOND)
    world.put(trade("AA", 4, venue_ts=MIDNIGHT + 3 * DAY), at=MIDNIGHT + 3 * DAY)
    world.refine()
    assert days(world, "trade") == [[-1], [0], [3]]
    ids = [m.trade_id for m in world.messages("AA", "trade") if not isinstance(m, Instrument)]
    assert ids == [1, 2, 3, 4]


def test_half_an_hour_late_goes_to_its_day_and_two_hours_late_nowhere(world: World) -> None:
    world.put(instrument("AA"), trade("AA", 1, venue_ts=MIDNIGHT - 3600 * SECOND))
    world.put(trade("AA", 2, venue_ts=MIDNIGHT + 10 * MINUTE), at=MIDNIGHT + 10 * MINUTE)
    world.put(trade("AA", 3, venue_ts=MIDNIGHT - 20 * MINUTE), at=MIDNIGHT + 10 * MINUTE)
    world.put(trade("AA", 4, venue_ts=MIDNIGHT - 110 * MINUTE), at=MIDNIGHT + 10 * MINUTE)
    world.put(trade("AA", 5, venue_ts=MIDNIGHT + 11 * MINUTE), at=MIDNIGHT + 11 * MINUTE)
    refinery = world.refine()
    assert [m.trade_id for m in world.messages("AA", "trade") if hasattr(m, "trade_id")] == [1, 2, 5]
    late = world.messages("AA", "trade.late")
    assert [type(m).__name__ for m in late] == ["Instrument", "Trade"]
    assert (late[1].trade_id, late[1].raw_seq) == (3, 3)
    assert days(world, "trade.late") == [[-1]]
    assert (refinery.figures["late"], refinery.figures["too_late"]) == (1, 1)


def test_late_records_of_two_days_lie_in_two_segments(tmp_path: Path) -> None:
    world = World(tmp_path, late_limit_s=3 * 86400)
    world.put(instrument("AA"), trade("AA", 1, venue_ts=MIDNIGHT + DAY), at=MIDNIGHT + DAY)
    for n, ts in enumerate((MIDNIGHT - 1, MIDNIGHT, MIDNIGHT - 2, MIDNIGHT - 3)):
        world.put(trade("AA", 2 + n, venue_ts=ts))
    world.refine()
    assert days(world, "trade.late") == [[-1], [0], [-1]]
    world.close()


def test_a_venue_time_that_cannot_be_does_not_carry_the_queue_into_another_year(world: World) -> None:
    world.put(instrument("AA"), trade("AA", 1, venue_ts=world.now))
    world.put(trade("AA", 2, venue_ts=world.now * 2), trade("AA", 3, venue_ts=world.now))
    refinery = world.refine()
    assert len(world.segments("AA", "trade")) == 1
    assert len(world.messages("AA", "trade")) == 4
    assert refinery.figures["too_late"] == 0


def test_a_feed_started_anew_on_an_earlier_recording_begins_a_segment_of_that_day(world: World) -> None:
    world.put(instrument("AA"), trade("AA", 1, venue_ts=world.now))
    world.writer.close()
    world.writer = Queue.open_publisher(world.raw, world.config)
    world.put(trade("AA", 2, venue_ts=world.now - 400 * DAY), trade("AA", 3, venue_ts=world.now - 400 * DAY))
    refinery = world.refine()
    assert [m.trade_id for m in world.messages("AA", "trade") if hasattr(m, "trade_id")] == [1, 2, 3]
    assert days(world, "trade") == [[-1], [-401]]
    assert refinery.figures["late"] == refinery.figures["too_late"] == 0


# ---------------------------------------------------------------- the book and what came late


def late_deltas(world: World, back: int = SECOND) -> None:
    world.put(instrument("AA"), snapshot("AA", 1, venue_ts=MIDNIGHT - 4 * 3600 * SECOND))
    world.put(delta("AA", 2, venue_ts=MIDNIGHT + SECOND), at=MIDNIGHT + SECOND)
    world.put(delta("AA", 3, venue_ts=MIDNIGHT + SECOND), delta("AA", 4, venue_ts=MIDNIGHT - back))
    world.put(delta("AA", 5, venue_ts=MIDNIGHT + SECOND), delta("AA", 6, venue_ts=MIDNIGHT - back))
    world.put(delta("AA", 7, venue_ts=MIDNIGHT - back), delta("AA", 8, venue_ts=MIDNIGHT + SECOND))


def raw_books(world: World) -> dict[int, int]:
    book = L2Book(number("AA"))
    found = {}
    for seq, (_, type_id, payload) in enumerate(records(world.raw)):
        book.apply(type_id, payload)
        found[seq] = book.hash()
    return found


@pytest.mark.parametrize("back", [SECOND, 3 * 3600 * SECOND])
def test_each_book_queue_by_itself_shows_the_raw_book_at_every_record_it_holds(
    world: World, back: int
) -> None:
    """However late: a record that changes a book is never left out, or the later ones would fit no book."""
    late_deltas(world, back)
    refinery = world.refine()
    expected = raw_books(world)
    for stream, wanted in (("book", 4), ("book.late", 3)):
        seen = 0
        book = L2Book(number("AA"))
        for m in world.messages("AA", stream):
            book.apply(m.TEMPLATE_ID, m.encode())
            if isinstance(m, BookDelta):
                assert book.hash() == expected[m.raw_seq]
                seen += 1
        assert seen == wanted
    assert refinery.figures["too_late"] == 0
    assert refinery.targets[f"{VENUE}:AA"].book.hash() == expected[max(expected)]


def test_a_late_queue_does_not_show_a_book_that_became_invalid_meanwhile(world: World) -> None:
    late_deltas(world)
    world.put(Gap(instrument_id=number("AA"), reason=GapReason.SEQUENCE))
    world.put(delta("AA", 20, venue_ts=MIDNIGHT - SECOND), delta("AA", 21, venue_ts=MIDNIGHT - SECOND))
    world.refine()
    late = world.messages("AA", "book.late")
    assert [type(m) for m in late[-3:]] == [Gap, BookDelta, BookDelta]
    book = L2Book(number("AA"))
    for m in late:
        book.apply(m.TEMPLATE_ID, m.encode())
    assert not book.valid


# ---------------------------------------------------------------- segments that grow old


def test_a_sweep_ends_no_segment_while_records_of_before_wait_to_be_read(
    world: World, tmp_path: Path
) -> None:
    world.put(instrument("AA"), *(trade("AA", n) for n in range(20)))
    refinery = world.start()
    while refinery.run(5):
        refinery.sweep(world.now + 7 * DAY)
    assert [len(one) for one in world.segments("AA", "trade")] == [21]
    refinery.sweep(world.now + 7 * DAY)
    assert refinery.figures["rolls"] == 1


def test_a_segment_ends_when_its_first_record_is_old_enough(world: World) -> None:
    world.put(instrument("AA"))
    for n in range(10):
        world.put(trade("AA", n), step_ns=20 * MINUTE)
    world.refine()
    sizes = [len(one) - 1 for one in world.segments("AA", "trade")]
    assert sizes == [3, 3, 3, 1]


def test_a_sweep_ends_a_quiet_segment_where_the_next_record_would_have(world: World) -> None:
    world.put(instrument("AA"), snapshot("AA", 1), trade("AA", 1))
    refinery = world.refine()
    refinery.sweep(world.now + 59 * MINUTE)
    assert len(list(world.paths.clean(VENUE, "AA", "trade").glob("*.q"))) == 1
    refinery.sweep(world.now + 60 * MINUTE)
    assert refinery.figures["rolls"] == 0, "a record of before may be on its way"
    refinery.sweep(world.now + 61 * MINUTE)
    refinery.sweep(world.now + 70 * MINUTE)
    assert refinery.figures["rolls"] == 2
    world.put(trade("AA", 2), delta("AA", 2), at=world.now + 2 * 60 * MINUTE)
    world.refine()
    assert [len(one) for one in world.segments("AA", "trade")] == [2, 2]
    again = World(world.paths.root / "again")
    for ts, type_id, payload in records(world.raw):
        again.writer.append(type_id, payload, ts_ns=ts)
    again.refine()
    assert again.segments("AA", "trade") == world.segments("AA", "trade")
    assert again.segments("AA", "book") == world.segments("AA", "book")
    again.close()
