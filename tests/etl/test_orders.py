"""Books of single orders: snapshots of them among their records, and taking them up again."""

from __future__ import annotations

import csv
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from raw_world import DAY, SECOND, VENUE, World, instrument, number

from libchronicle.book import L3Book
from libchronicle.etl.extract import extract, features_named
from libchronicle.etl.records import export_records
from libchronicle.etl.sinks import NullSink
from libchronicle.protocol import (
    BookMode,
    BookSnapshot,
    Gap,
    GapReason,
    Instrument,
    OrderAdd,
    OrderBookFlags,
    OrderDelete,
    OrderExecute,
    Side,
    decode,
)
from libchronicle.queue import Queue
from libchronicle.signals import OnEvent
from libchronicle.storage.archive import Archive
from libchronicle.storage.catalog import queue_segments
from libchronicle.storage.layout import ArchiveLayout
from libchronicle.storage.moves import adopt, freeze

AA = number("AA")
DEFINITION = instrument("AA", book_mode=BookMode.L3)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def add(order_id: int, **values: Any) -> OrderAdd:
    fields: dict[str, Any] = {"price": 10_000 + 100 * (order_id % 7), "qty": 5, "side": Side.BUY}
    return OrderAdd(instrument_id=AA, order_id=order_id, venue_seq=order_id, **(fields | values))


def is_injected(message: Any) -> bool:
    if isinstance(message, BookSnapshot):
        return bool(message.flags & 4)
    return isinstance(message, OrderAdd) and bool(message.flags & OrderBookFlags.INJECTED)


def snapshots(world: World, stream: str = "book") -> list[list[Any]]:
    """Each that was injected, as its records."""
    found: list[list[Any]] = []
    for message in world.messages("AA", stream):
        if not is_injected(message):
            continue
        if isinstance(message, BookSnapshot) or message.flags & OrderBookFlags.FIRST:
            found.append([])
        found[-1].append(message)
    return found


def own(world: World) -> list[Any]:
    """What is in the book stream but definitions and what was injected."""
    return [m for m in world.messages("AA", "book") if not is_injected(m) and not isinstance(m, Instrument)]


def make_up(count: int, seed: int) -> Iterator[Any]:
    """Orders that come, are filled in parts and go; about fifty stand."""
    rng = random.Random(seed)
    left: dict[int, int] = {}
    for seq in range(1, count + 1):
        if len(left) < 50 or (len(left) < 90 and rng.random() < 0.5):
            side = rng.choice([Side.BUY, Side.SELL])
            left[seq] = rng.randrange(1, 20)
            price = 10_000 + 100 * rng.randrange(10) * (1 if side == Side.SELL else -1)
            yield add(seq, qty=left[seq], side=side, price=price)
            continue
        order_id = rng.choice(list(left))
        qty = rng.randrange(1, left[order_id] + 1)
        left[order_id] -= qty
        kind = OrderExecute if rng.random() < 0.5 else OrderDelete
        yield kind(instrument_id=AA, order_id=order_id, venue_seq=seq, qty=qty)
        if not left[order_id]:
            del left[order_id]


def judge_all(world: World) -> L3Book:
    """At every record the clean stream gives the book of the raw records; also when read from any snapshot on."""
    judge = L3Book(AA)
    raw = {m.venue_seq: m for m in own(world)}
    books = [L3Book(AA)]
    for message in world.messages("AA", "book"):
        if is_injected(message) and getattr(message, "flags", 0) & OrderBookFlags.FIRST:
            books.append(L3Book(AA))
        for book in books:
            book.apply(message.TEMPLATE_ID, message.encode())
        if not is_injected(message) and not isinstance(message, Instrument):
            judge.apply(message.TEMPLATE_ID, raw[message.venue_seq].encode())
            for book in books:
                assert (book.valid, book.hash(), book.last_update_id) == (
                    judge.valid,
                    judge.hash(),
                    judge.last_update_id,
                )
    return judge


def test_a_snapshot_of_the_orders_goes_before_the_record_after_a_minute(world: World) -> None:
    world.put(DEFINITION)
    for n in range(1, 131):
        world.put(add(n), step_ns=SECOND)
    world.refine()
    found = snapshots(world)
    assert [len(one) for one in found] == [
        1,
        61,
        122,
    ]  # a first one; then never before as many records as the last one had
    assert [{m.raw_seq for m in one} for one in found] == [{2}, {62}, {123}]
    assert len(own(world)) == 130
    judge = judge_all(world)
    assert judge.order_count == 130
    assert world.refine().figures["snapshots"] == 3


def test_one_goes_before_the_record_after_so_many_and_queues_keep_their_order(tmp_path: Path) -> None:
    world = World(tmp_path, snapshot_levels=100)
    world.put(DEFINITION, *make_up(3000, seed=3))
    world.refine()
    assert 20 <= len(snapshots(world)) <= 30
    assert judge_all(world).order_count > 40
    world.close()


def test_the_day_begins_with_one(world: World) -> None:
    world.now = world.now // DAY * DAY + DAY - 10 * SECOND
    world.put(DEFINITION)
    for n in range(1, 21):
        world.put(add(n, venue_ts=world.now + SECOND), step_ns=SECOND)
    world.refine()
    *_, last = world.segments("AA", "book")
    kinds = [decode(kind, payload) for _, kind, payload in last]
    assert [is_injected(m) for m in kinds] == [False] + [True] * 9 + [False] * 11


def test_a_book_larger_than_a_segment_lies_in_several_and_loses_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, segment_size=1 << 20)
    world.policy = world.policy.__class__(segment_size=16 << 10, snapshot_levels=100, sync=False)
    world.put(DEFINITION)
    for n in range(1, 1500):
        world.put(add(n))
    refinery = world.refine()
    assert refinery.figures["unfit"] == 0
    assert max(len(one) for one in snapshots(world)) > 300
    assert judge_all(world).order_count == 1499
    world.stop()
    world.put(*(add(n) for n in range(1500, 1600)))
    world.refine()
    assert judge_all(world).order_count == 1599
    world.close()


def test_a_book_that_is_not_right_gets_none_and_the_venues_own_snapshot_ends_that(world: World) -> None:
    world.put(DEFINITION, add(1), add(2), Gap(instrument_id=AA, reason=GapReason.SEQUENCE))
    for n in range(3, 200):
        world.put(add(n), step_ns=SECOND)
    before = L3Book(AA)
    before.apply_all((m.TEMPLATE_ID, m.encode()) for m in (add(500), add(501)))
    world.put(*(decode(*record) for record in before.snapshot()))
    world.put(add(502), add(503), step_ns=SECOND)
    world.refine()
    found = snapshots(world)
    assert [[m.order_id for m in one] for one in found] == [[1], [501, 500]]
    assert world.refine().targets[f"{VENUE}:AA"].book.order_count == 4


def test_the_venues_own_snapshot_is_not_written_again_by_the_next_life(world: World) -> None:
    before = L3Book(AA)
    before.apply_all((m.TEMPLATE_ID, m.encode()) for m in (add(500), add(501), add(502)))
    world.put(DEFINITION)
    for record in before.snapshot():
        world.put(decode(*record))
        world.refine(commit=False)
        world.stop()
    world.put(add(503))
    world.refine()
    orders = [m.order_id for m in world.messages("AA", "book") if isinstance(m, OrderAdd)]
    assert orders == [502, 501, 500, 503]


def test_the_book_of_orders_is_taken_from_the_clean_queue(world: World) -> None:
    world.put(DEFINITION, *make_up(500, seed=5))
    first = world.refine().targets[f"{VENUE}:AA"].book.hash()
    world.stop()
    book = world.start().targets[f"{VENUE}:AA"].book
    assert (book.valid, book.hash()) == (True, first)


def test_without_its_snapshot_the_next_life_says_that_it_does_not_know_the_book(tmp_path: Path) -> None:
    """Segments that were taken away by hand: better no book than one that lacks orders."""
    world = World(tmp_path)
    world.policy = world.policy.__class__(segment_size=16 << 10, sync=False)
    world.put(DEFINITION)
    for n in range(1, 400):
        world.put(add(n))
    world.refine()
    world.stop()
    segments = sorted(world.paths.clean(VENUE, "AA", "book").glob("*.q"))
    for segment in segments[:-1]:
        segment.unlink()
    assert not world.start().targets[f"{VENUE}:AA"].book.valid
    world.close()


def test_late_records_of_orders_are_in_both_queues_books(tmp_path: Path) -> None:
    world = World(tmp_path)
    midnight = world.now // DAY * DAY + DAY
    world.now = midnight - 5 * SECOND
    world.put(DEFINITION)
    for n in range(1, 40):
        late = n in (12, 13, 20, 31)
        world.put(add(n, venue_ts=midnight - SECOND if late else world.now + SECOND), step_ns=SECOND)
    world.refine()
    live = world.refine().targets[f"{VENUE}:AA"].book
    plain, behind = L3Book(AA), L3Book(AA)
    plain.apply_all((kind, payload) for _, kind, payload in world.clean("AA", "book"))
    behind.apply_all((kind, payload) for _, kind, payload in world.clean("AA", "book.late"))
    assert plain.hash() == live.hash()
    assert (behind.valid, behind.order_count) == (True, 31)
    world.stop()
    shutil.rmtree(world.raw / "readers")
    (world.raw / "readers").mkdir()
    assert world.start().targets[f"{VENUE}:AA"].book.hash() == live.hash()
    world.close()


def test_orders_of_snapshots_are_not_added_ones_in_columns_and_exports(world: World, tmp_path: Path) -> None:
    world.put(DEFINITION)
    for n in range(1, 131):
        world.put(add(n), step_ns=SECOND)
    world.refine()
    world.stop()
    with Archive(world.paths) as archive:
        kinds = archive.read(f"{VENUE}:AA", "book").to_numpy()["kind"].tolist()
        assert (kinds.count(6), kinds.count(2)) == (130, 184)
        export_records(archive, VENUE, "AA", "csv", tmp_path / "rows.csv")
        order = OnEvent(("order",))
        assert extract(archive, VENUE, "AA", features_named("mid"), order, NullSink()).rows == 130
    with open(tmp_path / "rows.csv", newline="") as file:
        types = [row["type"] for row in csv.DictReader(file)]
    assert (types.count("add"), types.count("snapshot")) == (130, 184)


def test_the_book_of_orders_at_a_thousand_times_is_that_of_a_whole_replay_in_every_tier(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    world.policy = world.policy.__class__(segment_size=64 << 10, snapshot_levels=400, sync=False)
    world.put(DEFINITION, *make_up(8000, seed=11), step_ns=SECOND // 5)
    world.refine()
    world.stop()
    queue = world.paths.clean(VENUE, "AA", "book")
    layout = ArchiveLayout.of(world.paths)
    sealed = [ref for ref in queue_segments(queue) if ref.last_ts is not None]
    assert len(sealed) > 15
    for place, ref in enumerate(sealed[:-3]):
        record = adopt(layout, ref.path, VENUE, "AA", "book")
        if place % 2:
            freeze(layout, record, level=1, block_size=8192)
        ref.path.unlink()
    stream = raw_orders(world)
    rng = random.Random(7)
    times = sorted(rng.randint(stream[0][0] - 1000, stream[-1][0] + 1000) for _ in range(1000))
    judge, at, most = L3Book(AA), 0, 0
    with Archive(world.paths) as archive:
        for ts in times:
            while at < len(stream) and stream[at][0] <= ts:
                judge.apply(*stream[at][1:])
                at += 1
            found = archive.find_book(f"{VENUE}:AA", ts)
            most = max(most, found.records)
            if judge.order_count:
                assert (found.book.valid, found.book.hash()) == (True, judge.hash())
                assert found.book.last_update_id == judge.last_update_id
    assert most < 1000
    world.close()


def raw_orders(world: World) -> list[tuple[int, int, bytes]]:
    with Queue.open_subscriber(world.raw, None, start="earliest") as reader:
        return [(m.ts_ns, m.type_id, bytes(m)) for m in reader if m.type_id != Instrument.TEMPLATE_ID]
