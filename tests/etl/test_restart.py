"""Going on where an earlier life stopped: with the page or without, on the same raw queue or another one."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from hard_day import SYMBOLS, write_raw
from raw_world import DAY, SECOND, VENUE, World, delta, instrument, number, records, snapshot, trade

from libchronicle.errors import NotReady, QueueFull, WriterAlreadyActive
from libchronicle.etl import Group, Policy, open_refinery, opening
from libchronicle.etl.shelf import clean_config
from libchronicle.protocol import BookDelta, BookFlags, BookSnapshot, Gap, GapReason, Instrument, Trade
from libchronicle.queue import Queue


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def fill(world: World, first: int, last: int) -> None:
    for n in range(first, last):
        world.put(delta("AA", n + 10), trade("AA", n))


def begin(world: World) -> None:
    world.put(instrument("AA"), snapshot("AA", 1))
    fill(world, 0, 50)


def ids(world: World, stream: str = "trade") -> list[int]:
    return [m.trade_id for m in world.messages("AA", stream) if isinstance(m, Trade)]


def expected(world: World, root: Path) -> dict[str, object]:
    """What one life makes of the raw queue."""
    other = World(root)
    other.writer.close()
    shutil.rmtree(other.raw)
    shutil.copytree(world.raw, other.raw, ignore=shutil.ignore_patterns("readers"))
    (other.raw / "readers").mkdir()
    other.refine()
    found = other.everything()
    other.stop()
    return found


# ---------------------------------------------------------------- the same raw queue


@pytest.mark.parametrize("commits", [True, False])
def test_a_second_life_writes_what_is_not_in_and_nothing_twice(
    world: World, tmp_path: Path, commits: bool
) -> None:
    begin(world)
    world.refine(commit=commits)
    world.stop()
    fill(world, 50, 100)
    refinery = world.refine()
    assert refinery.figures["repeated"] == (0 if commits else 101)
    assert ids(world) == list(range(100))
    assert world.everything() == expected(world, tmp_path / "other")


def test_a_new_reader_begins_at_the_oldest_record_and_writes_nothing_twice(world: World) -> None:
    begin(world)
    world.refine()
    world.stop()
    fill(world, 50, 60)
    world.start(name="etl-other")
    world.refine()
    assert ids(world) == list(range(60))
    assert world.refinery is not None
    assert world.refinery.figures["gaps"] == 0


def test_the_book_is_taken_from_the_clean_queue(world: World) -> None:
    begin(world)
    first = world.refine().targets[f"{VENUE}:AA"].book.hash()
    world.stop()
    assert world.start().targets[f"{VENUE}:AA"].book.hash() == first


def test_a_new_epoch_of_the_feed_changes_nothing_but_the_origin(world: World, tmp_path: Path) -> None:
    begin(world)
    world.refine()
    world.stop()
    world.writer.close()
    world.writer = Queue.open_publisher(world.raw, world.config)
    fill(world, 50, 70)
    world.refine(commit=False)
    world.stop()
    fill(world, 70, 80)
    world.refine()
    assert ids(world) == list(range(80))
    assert world.everything() == expected(world, tmp_path / "other")


def test_a_definition_far_back_is_found_when_its_record_comes(tmp_path: Path) -> None:
    """Feeds repeat definitions at the head of each segment; this one does not."""
    world = World(tmp_path, segment_size=64 << 10)
    world.put(instrument("AA"), instrument("BB"))
    for n in range(20_000):
        world.put(trade("BB", n))
    world.start(name="first")
    world.refine()
    world.stop()
    world.put(trade("AA", 1), trade("ZZ", 1), trade("ZZ", 2))
    world.start(name="first")
    refinery = world.refine()
    assert ids(world) == [1]
    assert refinery.figures["unknown"] == 2
    world.close()


def test_damage_in_a_clean_queue_is_refilled_from_raw(world: World) -> None:
    """A hole that the queue declares is not filled: what was lost behind the last good record is."""
    begin(world)
    world.refine()
    world.stop()
    queue = world.paths.clean(VENUE, "AA", "trade")
    segment = queue / "000000000.q"
    payload = world.clean("AA", "trade")[-1][2]
    at = segment.read_bytes().index(payload) + len(payload) - 8
    with open(segment, "r+b") as file:
        file.seek(at)
        file.write(b"\xff")
    fill(world, 50, 60)
    world.refine()
    assert ids(world)[-11:] == list(range(49, 60))


# ---------------------------------------------------------------- power loss, eviction, another raw queue


def test_after_another_boot_what_a_clean_queue_lost_is_written_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(world)
    world.refine()
    world.stop()
    before = world.everything()
    saved = world.paths.root / "saved"
    shutil.copytree(world.paths.clean(VENUE, "AA", "trade"), saved)
    fill(world, 50, 100)
    world.refine()
    world.stop()
    shutil.rmtree(world.paths.clean(VENUE, "AA", "trade"))
    saved.rename(
        world.paths.clean(VENUE, "AA", "trade")
    )  # its tail was not on the medium, the reader's page was
    assert len(world.everything()[f"{VENUE}/AA/trade"]) == len(before[f"{VENUE}/AA/trade"])
    monkeypatch.setattr(opening, "boot_id", lambda: bytes(16))
    world.refine()
    assert ids(world) == list(range(100))
    deltas = [m.last_update_id for m in world.messages("AA", "book") if isinstance(m, BookDelta)]
    assert deltas == list(range(10, 110))


def test_an_origin_half_written_by_a_writer_that_died_is_none(world: World) -> None:
    begin(world)
    world.put(instrument("BB"), trade("BB", 1))
    world.refine()
    world.stop()
    origin = world.paths.clean_origin(VENUE, "AA", "book")
    shutil.move(world.paths.clean(VENUE, "BB", "trade"), world.paths.root / "gone")
    shutil.copy(
        origin, world.paths.clean_origin(VENUE, "CC", "book").parent.parent / "BB" / ".book.origin.json"
    )
    world.writer.roll()
    fill(world, 50, 60)
    world.refine()
    assert ids(world) == list(range(60))


def test_records_evicted_before_they_were_read_leave_a_gap(tmp_path: Path) -> None:
    world = World(tmp_path, segment_size=64 << 10)
    begin(world)
    world.refine()
    world.stop()
    world.writer.close()
    config = world.config.__class__(
        segment_size=64 << 10, budget_bytes=4 * (70 << 10), on_full="evict", prefault=False, sync=False
    )
    world.writer = Queue.open_publisher(world.raw, config)
    for n in range(50, 5000):
        if n % 100 == 0:
            world.put(instrument("AA"))
        world.put(trade("AA", n))
    world.put(snapshot("AA", 9000))
    world.writer.close()  # or its next segment would cost another one
    refinery = world.refine()
    trades = world.messages("AA", "trade")
    gaps = [m for m in trades if isinstance(m, Gap)]
    assert [m.reason for m in gaps] == [GapReason.EVICTED]
    found = ids(world)
    assert found[:50] == list(range(50))
    assert found[50:] == list(range(found[50], 5000))
    assert refinery.figures["unknown"] == 0
    world.close()


def test_another_raw_queue_in_its_place_leaves_a_gap_and_is_read_from_its_beginning(world: World) -> None:
    begin(world)
    world.refine()
    world.stop()
    for life in range(3):
        world.writer.close()
        shutil.rmtree(world.raw)
        world.writer = Queue.open_publisher(world.raw, world.config)
        world.put(instrument("AA"), snapshot("AA", 1))
        fill(world, 100 * (life + 1), 100 * (life + 1) + 10)
        world.refine(commit=life != 1)
        world.stop()
        world.refine()
        world.stop()
    found = [m for m in world.messages("AA", "trade") if not isinstance(m, Instrument)]
    kinds = [type(m).__name__ for m in found]
    assert kinds == ["Trade"] * 50 + (["Gap"] + ["Trade"] * 10) * 3
    assert ids(world) == [*range(50), *range(100, 110), *range(200, 210), *range(300, 310)]
    book = [type(m) for m in world.messages("AA", "book")]
    assert book.count(Gap) == 3
    assert book.count(BookSnapshot) == 4


def test_clean_queues_keep_their_time_when_the_raw_queue_that_replaced_another_has_an_earlier_one(
    world: World,
) -> None:
    begin(world)
    world.refine()
    world.stop()
    world.writer.close()
    shutil.rmtree(world.raw)
    world.writer = Queue.open_publisher(world.raw, world.config)
    world.now -= 3600 * SECOND
    begin(world)
    world.refine()
    times = [ts for ts, _, _ in world.clean("AA", "book")]
    assert times == sorted(times)
    assert ids(world) == [*range(50), *range(50)]


# ---------------------------------------------------------------- what stands in the way


def test_without_a_raw_queue_it_is_not_ready(tmp_path: Path) -> None:
    world = World(tmp_path)
    with pytest.raises(NotReady):
        open_refinery(world.paths, world.paths.raw("nothing"), "etl")
    world.close()


def test_two_processes_for_one_instrument_are_refused(world: World) -> None:
    begin(world)
    world.refine()
    with pytest.raises(WriterAlreadyActive):
        open_refinery(world.paths, world.raw, "another", policy=world.policy)


def test_a_queue_that_takes_nothing_costs_time_and_nothing_else(tmp_path: Path, monkeypatch) -> None:
    """As a full disk does: the roll fails, with whatever of the record is in by then; every try goes on from there."""
    from libchronicle.etl import shelf

    raw = tmp_path / "raw"
    write_raw(raw, 3000, seed=5)
    policy = Policy(segment_size=16 << 10, snapshot_levels=60, segment_age_s=60.0, sync=False)
    from libchronicle.bus.paths import BusPaths

    def run(root: Path) -> tuple[dict[str, object], int]:
        refinery = open_refinery(BusPaths(root), raw, root.name, policy=policy)
        refusals = 0
        while True:
            try:
                if not refinery.run(100):
                    break
                refinery.commit()
            except QueueFull:
                refusals += 1
                roomier(root)
                refinery.close()
                refinery.raw.close()
                refinery = open_refinery(BusPaths(root), raw, root.name, policy=policy)
        refinery.close()
        refinery.raw.close()
        clean = BusPaths(root).clean_dir
        found = {
            str(c.parent.relative_to(clean)): records(c.parent) for c in sorted(clean.rglob("control.meta"))
        }
        return found, refusals

    plain = shelf.clean_config
    budget = [3 * (17 << 10)]

    def tight(segment_size: int, sync: bool):
        return plain(segment_size, sync).__class__(
            segment_size=segment_size, budget_bytes=budget[0], on_full="fail", durable=("archive-tier",),
            prefault=False, sync=False,
        )  # fmt: skip

    def roomier(root: Path) -> None:
        budget[0] += 17 << 10

    whole, none = run(tmp_path / "whole")
    assert none == 0
    monkeypatch.setattr(opening, "clean_config", tight)
    found, refusals = run(tmp_path / "tight")
    assert refusals > 3
    assert found == whole


def test_groups_may_change_between_two_lives(tmp_path: Path) -> None:
    world = World(tmp_path)
    for symbol in SYMBOLS:
        world.put(instrument(symbol))
    for n in range(30):
        world.put(*(trade(symbol, n) for symbol in SYMBOLS))
    world.refine()
    world.stop()
    for n in range(30, 60):
        world.put(*(trade(symbol, n) for symbol in SYMBOLS))
    groups = {"a": [f"{VENUE}:AA"], "rest": ["*"]}
    for name in groups:
        world.start(Group(name, groups), f"etl-{name}")
        world.refine()
        world.stop()
    for symbol in SYMBOLS:
        found = [m.trade_id for m in world.messages(symbol, "trade") if isinstance(m, Trade)]
        assert found == list(range(60))
        assert {m.instrument_id for m in world.messages(symbol, "trade")} == {number(symbol)}
    world.close()


def test_injected_snapshots_are_flagged_and_nothing_else_is(world: World) -> None:
    begin(world)
    world.put(delta("AA", 1000), step_ns=61 * SECOND)
    world.refine()
    flagged = [m for m in world.messages("AA", "book") if getattr(m, "flags", 0) & BookFlags.INJECTED]
    assert [type(m) for m in flagged] == [BookSnapshot]


def test_a_definition_that_came_later_is_not_known_before_it(world: World, tmp_path: Path) -> None:
    """The first one was cut off: what stands before the next is of an unknown instrument, in every life."""
    world.put(instrument("BB"))
    world.writer.append(Instrument.TEMPLATE_ID, instrument("AA").encode()[:-5], ts_ns=world.now)
    world.put(trade("AA", 1), trade("BB", 1))
    world.refine()
    world.put(trade("AA", 2), instrument("AA"), trade("AA", 3), trade("AA", 4))
    world.refine(commit=False)
    assert ids(world) == [3, 4]
    shutil.rmtree(world.paths.clean(VENUE, "AA", "trade"))
    world.paths.clean_origin(VENUE, "AA", "trade").unlink()
    world.put(snapshot("AA", 1))
    world.refine(commit=False)
    world.stop()
    world.refine()
    assert ids(world) == [3, 4]
    assert world.everything() == expected(world, tmp_path / "other")


def test_a_queue_whose_writer_was_killed_before_its_first_record_takes_no_gap(
    world: World, tmp_path: Path
) -> None:
    world.put(instrument("AA"), Gap(instrument_id=number("AA"), reason=GapReason.SEQUENCE), trade("AA", 1))
    world.paths.clean(VENUE, "AA", "trade").parent.mkdir(parents=True)
    Queue.open_publisher(world.paths.clean(VENUE, "AA", "trade"), clean_config()).close()
    world.refine()
    assert [type(m) for m in world.messages("AA", "trade")] == [Instrument, Trade]
    assert world.everything() == expected(world, tmp_path / "other")


def replaced(world: World) -> None:
    world.stop()
    world.writer.close()
    shutil.rmtree(world.raw)
    world.writer = Queue.open_publisher(world.raw, world.config)


@pytest.mark.parametrize("swept", [False, True])
def test_behind_a_raw_queue_that_was_replaced_no_book_goes_on_and_each_segment_has_its_head(
    world: World, swept: bool
) -> None:
    begin(world)
    refinery = world.refine()
    if swept:
        refinery.sweep(world.now + 7 * 86_400 * SECOND)
    replaced(world)
    world.put(instrument("AA"), *(delta("AA", 1000 + n) for n in range(3)), step_ns=61 * SECOND)
    refinery = world.refine()
    told = world.messages("AA", "book")
    last = [type(m).__name__ for m in told[-4:]]
    assert last == ["Gap", "BookDelta", "BookDelta", "BookDelta"], "and no snapshot of a mixture"
    assert not refinery.targets[f"{VENUE}:AA"].book.valid
    for segment in world.segments("AA", "book"):
        assert segment[0][1] == Instrument.TEMPLATE_ID
    world.stop()
    assert not world.start().targets[f"{VENUE}:AA"].book.valid


def test_late_records_of_the_raw_queue_before_are_taken_in_their_order(world: World) -> None:
    """The Gap between two raw queues has the highest seq there is, and the seqs of two are not of one order."""
    midnight = world.now // DAY * DAY + DAY
    begin(world)
    world.refine()
    replaced(world)
    world.now = midnight - 10 * SECOND
    world.put(instrument("AA"), snapshot("AA", 1), step_ns=SECOND)
    world.put(delta("AA", 2, venue_ts=midnight + 1), delta("AA", 3, venue_ts=midnight - 1), step_ns=SECOND)
    world.refine()
    world.stop()
    world.writer.close()
    world.writer = Queue.open_publisher(world.raw, world.config)
    stale = delta("AA", 4, venue_ts=midnight + 2, flags=BookFlags.STALE)
    world.put(instrument("AA"), stale, step_ns=SECOND)
    before = world.refine().targets[f"{VENUE}:AA"].book
    world.stop()
    after = world.start().targets[f"{VENUE}:AA"].book
    assert (after.valid, after.hash(), after.last_update_id) == (True, before.hash(), 3)


@pytest.mark.parametrize("size", [0, 64, 128, 4096, 9000])
def test_a_clean_segment_cut_short_costs_the_book_and_ends_no_daemon(tmp_path: Path, size: int) -> None:
    world = World(tmp_path)
    world.policy = Policy(segment_size=16 << 10, sync=False)
    world.put(instrument("AA"), snapshot("AA", 1))
    world.put(*(delta("AA", n, flags=BookFlags.STALE) for n in range(2, 500)))
    book = world.refine().targets[f"{VENUE}:AA"].book
    assert book.valid
    world.stop()
    with open(world.paths.clean(VENUE, "AA", "book") / "000000001.q", "r+b") as file:
        file.truncate(size)
    assert not world.start().targets[f"{VENUE}:AA"].book.valid
    world.put(snapshot("AA", 500), delta("AA", 501))
    refinery = world.refine()
    assert refinery.targets[f"{VENUE}:AA"].book.valid
    assert refinery.figures["book"] == 2, "what stands behind it is in"
    world.close()


def test_an_instrument_that_moves_to_a_group_further_on_loses_nothing(world: World, tmp_path: Path) -> None:
    groups = {"a": ["*:AA"], "rest": ["*"]}
    world.put(instrument("AA"), instrument("BB"))
    for first, name in ((0, "a"), (10, "rest")):
        for n in range(first, first + 10):
            world.put(trade("AA", n), trade("BB", n))
        world.start(Group(name, groups), name=f"etl-{name}")
        world.refine()
        world.stop()
    assert ids(world) == list(range(10))
    for n in range(20, 30):
        world.put(trade("AA", n), trade("BB", n))
    for name in ("rest", "a"):
        world.start(Group(name, {"a": ["*:NONE"], "rest": ["*"]}), name=f"etl-{name}")
        world.refine()
        world.stop()
    assert ids(world) == list(range(30))
    assert world.everything() == expected(world, tmp_path / "other")
