"""Seek lands where a linear scan would, whatever the index says."""

import contextlib
import os
import random
import struct
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libchronicle.errors import Broken
from libchronicle.queue import LOST_TYPE, Queue, QueueConfig

CONFIG = QueueConfig(segment_size=1 << 18)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """About 2 MB over eight segments, three writers, times with long runs of equal values."""
    path = tmp_path_factory.mktemp("seek") / "q"
    rng = random.Random(7)
    records = []
    now = 1000
    for _ in range(3):
        with Queue.open_publisher(path, CONFIG) as writer:
            for _ in range(1000):
                now += rng.choice((0, 0, 0, 1, 5, 100))
                seq = writer.append(1, bytes(rng.randrange(0, 1400)), now)
                records.append((seq, now))
    return path, records


def lands_on(path, **where):
    with Queue.open_subscriber(path, None, **where) as reader:
        message = reader.next()
        return None if message is None else message.seq


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_seek_equals_a_linear_scan(filled, data):
    path, records = filled
    seq = data.draw(st.integers(0, len(records) + 10))
    assert lands_on(path, seq=seq) == next((s for s, _ in records if s >= seq), None)
    ts_ns = data.draw(st.integers(0, records[-1][1] + 10) | st.sampled_from([t for _, t in records]))
    assert lands_on(path, time_ns=ts_ns) == next((s for s, t in records if t >= ts_ns), None)


@pytest.mark.parametrize("damage", ["missing", "zeroed", "garbage", "wrong"])
def test_a_bad_index_costs_time_only(tmp_path, damage):
    path = tmp_path / "q"
    with Queue.open_publisher(path, CONFIG) as writer:
        writer.append_many(1, [bytes(900)] * 1000)
    index = path / "000000001.idx"
    content = index.read_bytes()
    if damage == "missing":
        index.unlink()
    elif damage == "zeroed":
        index.write_bytes(bytes(len(content)))
    elif damage == "garbage":
        index.write_bytes(content[:32] + random.Random(1).randbytes(len(content) - 32))
    else:
        index.write_bytes(content[:32] + content[56:80] + content[32:56] + content[80:])
    for seq in range(0, 1000, 13):
        assert lands_on(path, seq=seq) == seq


def test_the_live_segment_is_indexed_and_its_index_rebuilt(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(path, CONFIG) as writer:
        writer.append_many(1, [bytes(900)] * 200)
        filled = (path / "000000000.idx").read_bytes()
        assert any(filled[32 + 24 : 32 + 48])
        with Queue.open_subscriber(path, "a") as reader:
            reader.seek_seq(150)
            assert reader.next().seq == 150
            reader.seek_seq(0)
            assert reader.next().seq == 0
            reader.seek_seq(10_000)
            assert reader.next() is None
            writer.append(1, b"next")
            assert reader.next().seq == 200
    (path / "000000000.idx").unlink()
    with Queue.open_publisher(path, CONFIG) as writer:
        rebuilt = (path / "000000000.idx").read_bytes()
        assert rebuilt[32:104] != bytes(72)
        writer.append_many(1, [bytes(900)] * 50)
    for seq in range(251):
        assert lands_on(path, seq=seq) == (seq if seq < 251 else None)


def test_latest_sees_only_what_comes_after(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(path, CONFIG) as writer:
        writer.append_many(1, [b"x"] * 10)
        with Queue.open_subscriber(path, "a", start="latest") as reader:
            assert reader.next() is None
            assert reader.next_seq == 10
            writer.append(1, b"new")
            assert [m.seq for m in reader] == [10]
        writer.roll()
        with Queue.open_subscriber(path, "b", start="latest") as reader:
            assert reader.next_seq == 11
            writer.append(1, b"new")
            assert [m.seq for m in reader] == [11]


def test_latest_is_exact_while_a_writer_runs(tmp_path, spawn):
    code = """
        import sys
        from libchronicle.queue import Queue, QueueConfig
        with Queue.open_publisher(sys.argv[1], QueueConfig(segment_size=1 << 16)) as writer:
            print("open")
            while True:
                writer.append(1, writer.next_seq.to_bytes(8, "little"))
    """
    path = tmp_path / "q"
    child = spawn(code, path)
    assert child.stdout.readline() == "open\n"
    for _ in range(300):
        with Queue.open_subscriber(path, None, start="latest") as reader:
            while (m := reader.next()) is None:
                pass
            assert int.from_bytes(bytes(m), "little") == m.seq


def holes_and_first(reader, above=None):
    """What next() says is lost, from where the seek went on; and the seq of the first record."""
    lost = []
    while (message := reader.next()) is not None and message.type_id == LOST_TYPE:
        lost.append(struct.unpack("<QQ", bytes(message)))
    return lost, message and message.seq


def test_seek_tells_the_hole_it_lands_in_and_passes_over_others(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(path, CONFIG) as writer:
        for _ in range(12):
            writer.append_many(1, [bytes(100)] * 10, 1000 + writer.next_seq)
            writer.roll()
    for number in (0, 4, 5):
        (path / f"{number:09d}.q").unlink()
    (path / "000000007.q").write_bytes(b"short")
    with (path / "000000009.q").open("r+b") as file:
        file.write(b"no header")
    holes = [(0, 9), (40, 59), (70, 79), (90, 99)]
    kept = [seq for seq in range(120) if not any(first <= seq <= last for first, last in holes)]
    with Queue.open_subscriber(path, "a", start="latest") as reader:
        for _ in range(2):
            for seq in range(120):
                told = [hole for hole in holes if hole[0] <= seq <= hole[1]]
                reader.seek_seq(seq)
                assert holes_and_first(reader) == (told, next(s for s in kept if s >= seq))
                reader.seek_time(1000 + seq // 10 * 10)
                assert holes_and_first(reader) == (told, next(s for s in kept if s >= seq // 10 * 10))


def test_seeks_with_a_short_index_keep_no_descriptor(tmp_path):
    with Queue.open_publisher(tmp_path / "q", CONFIG) as writer:
        writer.append_many(1, [bytes(1000)] * 1000)
        (tmp_path / "q" / "000000000.idx").write_bytes(b"")
        with Queue.open_subscriber(tmp_path / "q", "a", start="earliest") as reader:
            reader.seek_seq(5)
            before = len(os.listdir("/proc/self/fd"))
            for seq in range(100):
                reader.seek_seq(seq)
            assert len(os.listdir("/proc/self/fd")) <= before + 2


def mapped(ending):
    """How many files of that ending this process maps."""
    return sum(line.rstrip().endswith(ending) for line in Path("/proc/self/maps").read_text().splitlines())


def in_segments(path, count, size):
    with Queue.open_publisher(path, QueueConfig(segment_size=size)) as writer:
        for _ in range(count):
            writer.append_many(1, [bytes(100)] * 10)
            writer.roll()


def test_indexes_are_kept_without_their_descriptors(tmp_path):
    in_segments(tmp_path / "q", 40, 1 << 16)
    with Queue.open_subscriber(tmp_path / "q", "a", start="earliest") as reader:
        before = len(os.listdir("/proc/self/fd"))
        for seq in range(0, 400, 10):
            reader.seek_seq(seq)
            assert reader.next().seq == seq
        assert len(os.listdir("/proc/self/fd")) <= before + 1
        assert mapped(".idx") == 40


def test_readers_that_seek_everywhere_leave_the_bus_handler_room_for_others(tmp_path):
    in_segments(tmp_path / "q", 130, 1 << 12)
    with contextlib.ExitStack() as stack:
        for _ in range(70):
            reader = stack.enter_context(Queue.open_subscriber(tmp_path / "q", None, start="earliest"))
            for seq in range(0, 1300, 10):
                reader.seek_seq(seq)
        assert 2000 < mapped(".idx") < 4500
        writer = stack.enter_context(
            Queue.open_publisher(tmp_path / "other", QueueConfig(segment_size=1 << 16))
        )
        writer.append_many(1, [bytes(1000)] * 40)
        late = stack.enter_context(Queue.open_subscriber(tmp_path / "other", None, start="earliest"))
        os.truncate(tmp_path / "other" / "000000000.q", 0)
        with pytest.raises(Broken):
            late.next()
        reader.seek_seq(1234)
        assert reader.next().seq == 1234


def test_an_index_cut_while_it_is_mapped_costs_time_only(tmp_path):
    with Queue.open_publisher(tmp_path / "q", QueueConfig(segment_size=32 << 20)) as writer:
        writer.append_many(1, bytes(24 << 20), item_size=4096)
        writer.roll()
        with Queue.open_subscriber(tmp_path / "q", "a", start="earliest") as reader:
            seqs = range(0, writer.next_seq, 97)
            whole = (tmp_path / "q" / "000000000.idx").read_bytes()
            for present in (whole, b"", whole):
                with open(tmp_path / "q" / "000000000.idx", "r+b") as index:
                    index.truncate(len(present))
                    index.write(present)
                for seq in seqs:
                    reader.seek_seq(seq)
                    assert reader.next().seq == seq


@pytest.mark.parametrize("size", [1_000, 20_000, 100_000])
def test_only_who_reads_on_has_the_next_segment_mapped_ahead(tmp_path, size):
    per_segment = (4 << 20) // (size + 100)
    with Queue.open_publisher(tmp_path / "q", QueueConfig(segment_size=4 << 20)) as writer:
        writer.append_many(1, [bytes(size)] * (per_segment * 3 // 2))
    following = "/q/000000001.q"
    with Queue.open_subscriber(tmp_path / "q", "a", start="earliest") as reader:
        for seq in range(per_segment - 1):  # some of them end a step of the segment
            reader.seek_seq(seq)
            assert reader.next().seq == seq
        time.sleep(0.2)
        assert not mapped(following)
        reader.seek_seq(per_segment // 2)
        assert reader.drain(per_segment // 4)
        until = time.monotonic() + 5
        while not mapped(following) and time.monotonic() < until:
            time.sleep(0.01)
        assert mapped(following)


def test_a_reader_that_is_opened_in_a_missing_segment_is_told_so_and_again_after_a_crash(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(path, CONFIG) as writer:
        for _ in range(5):
            writer.append_many(1, [bytes(100)] * 10)
            writer.roll()
    (path / "000000002.q").unlink()
    for where in ({"seq": 25}, {}):  # the second time it resumes: nothing was committed since
        with Queue.open_subscriber(path, "a", **where) as reader:
            assert holes_and_first(reader) == ([(20, 29)], 30)
            assert reader.next().seq == 31
