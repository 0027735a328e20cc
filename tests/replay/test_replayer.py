"""Replays: books, order, filters, gaps."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from libchronicle.errors import BadSegment, InvalidArgument, ReplayGap
from libchronicle.protocol import BookDelta, Gap, GapReason, Trade, instrument_id
from libchronicle.replay import GapPolicy, RecordSource, Replay, SpanSource

sys.path.insert(0, str(Path(__file__).parent))
from stream import START, STEP, definition, market, merged, name, record, reference, rows, spans


@pytest.fixture(scope="module")
def two():
    return market("AAA", 1500), market("BBB", 1500, seed=2)


@pytest.fixture(scope="module")
def queue(two, tmp_path_factory):
    return record(tmp_path_factory.mktemp("q") / "raw", merged(*two))


def test_every_book_of_a_stream_of_many_symbols_is_kept(two, queue):
    replay = Replay([SpanSource(spans(queue))])
    report = replay.run()
    for symbol, stream in zip(("AAA", "BBB"), two, strict=True):
        assert replay.book(name(symbol)).hash() == reference(stream, symbol).hash()
    assert set(replay.books) == {name("AAA"), name("BBB")}
    assert report.records == sum(len(stream) for stream in two)
    assert (report.gaps, report.lost, report.damaged, replay.finished) == (0, 0, 0, True)
    assert report.levels == sum(len(m.bids) + len(m.asks) for s in two for _, m in s if hasattr(m, "bids"))


def test_the_book_in_a_callback_is_the_one_after_its_record(two):
    judge = reference([], "AAA")
    seen = 0

    def look(event):
        nonlocal seen
        judge.apply(event.type_id, event.payload)
        if event.book is not None:
            assert event.book.hash() == judge.hash()
            seen += 1

    Replay([RecordSource(rows(two[0]))]).run(look)
    assert seen > 1400


def test_sources_are_merged_by_time_and_equal_times_by_their_order():
    a = [(10, Trade(trade_id=1)), (20, Trade(trade_id=2)), (20, Trade(trade_id=3))]
    b = [(10, Trade(trade_id=4)), (15, Trade(trade_id=5)), (20, Trade(trade_id=6))]
    found = []
    Replay([RecordSource(rows(a)), RecordSource(rows(b))]).run(
        lambda e: found.append((e.ts_ns, e.source, e.message().trade_id))
    )
    assert found == [(10, 0, 1), (10, 1, 4), (15, 1, 5), (20, 0, 2), (20, 0, 3), (20, 1, 6)]


def test_many_sources_come_out_sorted():
    rng = random.Random(5)
    streams = [sorted(rng.randint(0, 300) for _ in range(rng.randint(0, 40))) for _ in range(37)]
    sources = [RecordSource([(5, Trade(trade_id=ts).encode(), ts) for ts in stream]) for stream in streams]
    found = []
    Replay(sources).run(lambda e: found.append((e.ts_ns, e.source)))
    assert found == sorted((ts, source) for source, stream in enumerate(streams) for ts in stream)


def test_the_same_records_from_one_queue_or_from_two_give_the_same_books(two, queue, tmp_path):
    parts = [record(tmp_path / symbol, stream) for symbol, stream in zip("AB", two, strict=True)]
    one = Replay([SpanSource(spans(queue))])
    both = Replay([SpanSource(spans(path)) for path in parts])
    one.run()
    both.run()
    for symbol in ("AAA", "BBB"):
        assert one.book(name(symbol)).hash() == both.book(name(symbol)).hash()


SCRIPT = """
import sys; sys.path.insert(0, {here!r})
from pathlib import Path
from stream import spans
from libchronicle.replay import Replay, SpanSource
print(Replay([SpanSource(spans(Path({queue!r})))]).run({callback}).state_hash)
"""


def test_replays_in_different_processes_have_the_same_state_hash(queue):
    def run(callback: str) -> int:
        script = SCRIPT.format(here=str(Path(__file__).parent), queue=str(queue), callback=callback)
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
        )
        return int(done.stdout)

    assert run("") == run("") == run("lambda event: None")


def test_another_order_of_the_same_records_has_another_state_hash(two):
    stream = two[0]
    swapped = [*stream[:-2], (stream[-2][0], stream[-1][1]), (stream[-1][0], stream[-2][1])]
    hashes = {Replay([RecordSource(rows(s))]).run().state_hash for s in (stream, stream, swapped)}
    assert len(hashes) == 2


# ------------------------------------------------------------------ filters


def test_the_range_is_half_open_and_what_comes_before_it_warms_the_books(two):
    stream = two[0]
    start, end = stream[400][0], stream[900][0]
    found = []
    replay = Replay([RecordSource(rows(stream))], start_ns=start, end_ns=end)
    report = replay.run(lambda event: found.append(event.ts_ns))
    assert found == [ts for ts, _ in stream if start <= ts < end]
    assert report.given == len(found)
    assert replay.book(name("AAA")).hash() == reference(stream, "AAA", end - 1).hash()


def test_types_and_symbols_filter_what_is_given(two):
    found = []
    replay = Replay([RecordSource(rows(merged(*two)))], types=[Trade], symbols=[name("BBB")])
    replay.run(lambda event: found.append(event.message()))
    assert found == [m for _, m in two[1] if isinstance(m, Trade)]
    assert set(replay.books) == {name("BBB")}
    assert replay.book(name("BBB")).hash() == reference(two[1], "BBB").hash()


def test_sampling_by_count_and_by_interval(two):
    stream = two[0]
    found = []
    Replay([RecordSource(rows(stream))], every=7, types=[BookDelta]).run(lambda e: found.append(e.ts_ns))
    assert found == [ts for ts, m in stream if isinstance(m, BookDelta)][::7]
    found.clear()
    Replay([RecordSource(rows(merged(*two)))], interval_ns=50 * STEP).run(
        lambda e: found.append((e.instrument_id, e.ts_ns // (50 * STEP)))
    )
    assert len(found) == len(set(found))
    assert set(found) == {
        (instrument_id(name(s)), ts // (50 * STEP))
        for s, t in zip(("AAA", "BBB"), two, strict=True)
        for ts, _ in t
    }


def test_a_callback_that_returns_false_ends_it_and_one_that_raises_is_heard(two):
    seen = []
    replay = Replay([RecordSource(rows(two[0]))])
    assert replay.run(lambda e: seen.append(1) or len(seen) < 10).given == 10
    with pytest.raises(KeyError):
        Replay([RecordSource(rows(two[0]))]).run(lambda event: {}[1])


def test_it_can_be_iterated_and_an_event_is_gone_with_the_next(two):
    events = iter(Replay([RecordSource(rows(two[0][:5]))]))
    first = next(events)
    assert (first.ts_ns, first.message()) == two[0][0]
    assert sum(1 for _ in events) == 4
    with pytest.raises(RuntimeError, match="gone"):
        first.ts_ns  # noqa: B018


@pytest.mark.parametrize("wrong", [{"gaps": "panic"}, {"every": 0}, {"interval_ns": -1}])
def test_wrong_arguments_are_named(wrong):
    with pytest.raises(InvalidArgument):
        Replay([], **wrong)


# ------------------------------------------------------------------ gaps


def with_gap(stream, at):
    ts = stream[at][0]
    return [
        *stream[:at],
        (ts, Gap(instrument_id=instrument_id(name("AAA")), reason=GapReason.SEQUENCE)),
        *stream[at:],
    ]


@pytest.mark.parametrize("kind", ["gap record", "missing ids", "contradiction"])
def test_what_each_policy_does_with_a_gap(two, kind):
    stream, other = two
    at = 350
    while not isinstance(stream[at][1], BookDelta):
        at += 1
    if kind == "gap record":
        broken = with_gap(stream, at)
    elif kind == "missing ids":
        broken = stream[:at] + stream[at + 1 :]
    else:
        bad = BookDelta(instrument_id=instrument_id(name("AAA")), bids=[(5, -1)])
        broken = [*stream[:at], (stream[at][0], bad), *stream[at:]]
    both = merged(broken, other)

    with pytest.raises(ReplayGap) as caught:
        Replay([RecordSource(rows(both), name="x")], gaps=GapPolicy.STOP).run()
    assert caught.value.instrument_id == instrument_id(name("AAA"))
    assert caught.value.source == "x"
    assert stream[at - 1][0] <= caught.value.ts_ns <= stream[at + 20][0]

    held = Replay([RecordSource(rows(both))], gaps="quarantine")
    report = held.run()
    assert not held.book(name("AAA")).valid
    row = report.instruments[0]
    assert (row.instrument, row.quarantined, row.gaps) == (name("AAA"), True, 1)
    assert row.dropped > 1000
    assert held.book(name("BBB")).hash() == reference(other, "BBB").hash()

    valid = []

    def note(event):
        if event.instrument_id == instrument_id(name("AAA")) and event.book is not None:
            valid.append(event.book.valid)

    synced = Replay([RecordSource(rows(both))], gaps="resync")
    synced.run(note)
    assert False in valid
    assert valid[-1]
    assert synced.book(name("AAA")).hash() == reference(stream, "AAA").hash()

    valid.clear()
    Replay([RecordSource(rows(both))], gaps="ignore").run(note)
    assert all(valid[2:])


def test_a_missing_segment_is_told_and_its_books_wait_for_a_snapshot(two, tmp_path):
    path = record(tmp_path / "q", two[0], segment_size=1 << 14)
    found = spans(path)
    assert len(found) > 5
    whole = Replay([SpanSource(found)])
    whole.run()
    holed = Replay([SpanSource(found[:2] + found[3:])])
    report = holed.run()
    assert (report.lost, report.gaps) == (1, 1)
    assert holed.book(name("AAA")).hash() == whole.book(name("AAA")).hash()
    with pytest.raises(ReplayGap, match="lost"):
        Replay([SpanSource(found[:2] + found[3:], name="q")], gaps="stop").run()


def test_a_segment_read_twice_is_given_once(two, tmp_path):
    found = spans(record(tmp_path / "q", two[0], segment_size=1 << 14))
    once = Replay([SpanSource(found)]).run()
    again = Replay([SpanSource([found[0], *found[0:2], *found])]).run()
    assert (again.records, again.state_hash) == (once.records, once.state_hash)


def test_damage_ends_a_replay_or_is_stepped_over(two, tmp_path):
    path = record(tmp_path / "q", two[0], segment_size=1 << 14)
    victim = sorted(path.glob("[0-9]*.q"))[1]
    data = bytearray(victim.read_bytes())
    data[4000] ^= 1
    victim.write_bytes(data)
    with pytest.raises(BadSegment, match=victim.name):
        Replay([SpanSource(spans(path))], gaps="stop").run()
    for policy in ("resync", "ignore", "quarantine"):
        report = Replay([SpanSource(spans(path))], gaps=policy).run()
        assert report.damaged == 1
        assert report.lost == 1
    replay = Replay([SpanSource(spans(path))])
    replay.run()
    assert replay.book(name("AAA")).hash() == reference(two[0], "AAA").hash()


def test_a_record_of_the_whole_feed_that_tells_a_gap_breaks_all_books(two):
    ts = two[0][700][0]
    broken = merged(*two)
    at = next(i for i, row in enumerate(broken) if row[0] >= ts)
    broken.insert(at, (broken[at][0], Gap(reason=GapReason.RECONNECT)))
    report = Replay([RecordSource(rows(broken))]).run()
    assert [row.gaps for row in report.instruments] == [1, 1]


def test_a_segment_head_repeats_definitions_without_harm(two):
    doubled = [(START, definition("AAA")), *two[0][:50], (two[0][50][0], definition("AAA")), *two[0][50:]]
    replay = Replay([RecordSource(rows(doubled))])
    replay.run()
    assert replay.book(name("AAA")).hash() == reference(two[0], "AAA").hash()
    assert replay.book(name("AAA")).tick == 10


def test_a_flipped_bit_anywhere_never_gives_a_wrong_book_that_says_it_is_right(two, tmp_path):
    path = record(tmp_path / "q", two[0], segment_size=1 << 14)
    files = sorted(path.glob("[0-9]*.q"))[:-2]
    truth = {}
    Replay([SpanSource(spans(path))]).run(
        lambda e: truth.__setitem__(e.seq, e.book.hash()) if e.book is not None else None
    )
    for seed in range(80):
        rng = random.Random(seed)
        victim = rng.choice(files)
        good = victim.read_bytes()
        data = bytearray(good)
        data[rng.randrange(128, len(data))] ^= 1 << rng.randrange(8)
        victim.write_bytes(data)
        checked = []

        def look(event, checked=checked, seed=seed):
            if event.book is not None and event.book.valid and event.type_id == BookDelta.TEMPLATE_ID:
                checked.append(event.book.hash() == truth[event.seq])
                assert checked[-1], (seed, event.seq)

        report = Replay([SpanSource(spans(path))]).run(look)
        assert len(checked) > 500
        assert report.damaged <= 1
        victim.write_bytes(good)
