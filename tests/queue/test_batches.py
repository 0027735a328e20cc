"""Many records per call: append_many over one buffer, drain_columns; the same records and errors as one at a time."""

from __future__ import annotations

import os
import random
import struct
from array import array

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libchronicle.errors import (
    ChronicleError,
    Corrupt,
    Evicted,
    InvalidArgument,
    QueueFull,
    QueueMisuse,
    ReservedType,
    TimestampOrder,
)
from libchronicle.queue import LOST_TYPE, Columns, Queue, QueueConfig, verify

SMALL = QueueConfig(segment_size=1 << 16)


def split(columns: Columns) -> list[tuple[int, int, int, int, bytes]]:
    """Columns as rows."""
    ends = columns.offsets
    payloads = [bytes(columns.payload[ends[i] : ends[i + 1]]) for i in range(len(columns))]
    fields = (columns.seqs, columns.ts_ns, columns.epochs, columns.type_ids, payloads)
    return list(zip(*fields, strict=True))


def everything(path):
    with Queue.open_subscriber(path, None, start="earliest") as reader:
        return [(m.seq, m.ts_ns, m.epoch, m.type_id, bytes(m)) for m in reader]


def drained(path, most=None):
    rows = []
    with Queue.open_subscriber(path, None, start="earliest") as reader:
        while len(columns := reader.drain_columns(most)):
            rows += split(columns)
    return rows


def test_records_of_one_size_go_in_and_come_out_as_columns(tmp_path):
    prices = array("q", range(10_000))
    with (
        Queue.open_publisher(tmp_path / "q", SMALL) as writer,
        Queue.open_subscriber(tmp_path / "q", "a") as reader,
    ):
        assert writer.append_many(7, prices, 1_000, item_size=8) == 9_999
        columns = reader.drain_columns()
        assert len(columns) == 10_000
        assert columns.item_size == 8
        assert memoryview(columns.payload).cast("q").tolist() == prices.tolist()
        assert columns.seqs.tolist() == list(range(10_000))
        assert set(columns.type_ids) == {7}
        assert set(columns.ts_ns) == {1_000}
        assert set(columns.epochs) == {1}
        assert len(reader.drain_columns()) == 0
        assert reader.lag() == (0, 0)
        reader.commit()
    with Queue.open_subscriber(tmp_path / "q", "a") as reader:
        assert reader.next_seq == 10_000
    assert verify(tmp_path / "q") == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.one_of(st.integers(0, 300), st.integers(0, 20_000)), max_size=60),
    most=st.one_of(st.none(), st.integers(1, 20)),
    as_buffer=st.booleans(),
)
def test_a_batch_reads_like_single_appends_however_it_is_drained(tmp_path_factory, sizes, most, as_buffer):
    path = tmp_path_factory.mktemp("batch") / "q"
    payloads = [bytes([i & 0xFF]) * size for i, size in enumerate(sizes)]
    times = array("q", range(100, 100 + len(sizes)))
    with Queue.open_publisher(path, SMALL) as writer:
        if as_buffer:
            offsets = array("q", [0])
            for size in sizes:
                offsets.append(offsets[-1] + size)
            last = writer.append_many(3, b"".join(payloads), times, offsets=offsets)
        else:
            last = writer.append_many(3, payloads)
    assert last == len(sizes) - 1
    rows = everything(path)
    assert [(row[0], row[3], row[4]) for row in rows] == [(i, 3, p) for i, p in enumerate(payloads)]
    if as_buffer:
        assert [row[1] for row in rows] == times.tolist()
    assert drained(path, most) == rows
    assert verify(path) == []


def test_columns_go_back_into_a_queue_as_they_are(tmp_path):
    rng = random.Random(5)
    with Queue.open_publisher(tmp_path / "one", SMALL) as writer:
        for i in range(500):
            writer.append(9, rng.randbytes(rng.randrange(400)), 10 * i)
    with (
        Queue.open_publisher(tmp_path / "two", SMALL) as writer,
        Queue.open_subscriber(tmp_path / "one", None) as reader,
    ):
        columns = reader.drain_columns()
        assert columns.item_size is None
        writer.append_many(9, columns.payload, columns.ts_ns, offsets=columns.offsets)
    assert everything(tmp_path / "one") == everything(tmp_path / "two")


def test_numpy_takes_columns_without_a_copy(tmp_path):
    numpy = pytest.importorskip("numpy")
    trade = numpy.dtype([("price", "<i8"), ("qty", "<i8")])
    trades = numpy.array([(100 + i, i) for i in range(1000)], trade)
    with (
        Queue.open_publisher(tmp_path / "q", SMALL) as writer,
        Queue.open_subscriber(tmp_path / "q", "a") as reader,
    ):
        writer.append_many(1, trades, item_size=trade.itemsize)
        columns = reader.drain_columns()
        back = numpy.frombuffer(columns.payload, trade)
        assert (back == trades).all()
        assert numpy.frombuffer(columns.seqs, numpy.uint64).sum() == 999 * 500


def test_a_clock_reading_serves_a_run_and_time_never_falls(tmp_path):
    with (
        Queue.open_publisher(tmp_path / "q", SMALL) as writer,
        Queue.open_subscriber(tmp_path / "q", "a") as reader,
    ):
        writer.append_many(1, bytes(80_000), item_size=8)
        times = reader.drain_columns(None).ts_ns.tolist()
        assert times == sorted(times)
        assert 10_000 / 257 <= len(set(times)) <= 10_000


def test_a_batch_that_fails_in_the_middle_keeps_what_came_before(tmp_path):
    with (
        Queue.open_publisher(tmp_path / "q", SMALL) as writer,
        Queue.open_subscriber(tmp_path / "q", "a") as reader,
    ):
        with pytest.raises(TimestampOrder):
            writer.append_many(1, b"abcdef", array("q", [5, 6, 7, 6, 8, 9]), item_size=1)
        assert writer.next_seq == 3
        assert writer.append(1, b"on", 7) == 3
        assert [bytes(m) for m in reader] == [b"a", b"b", b"c", b"on"]
    assert verify(tmp_path / "q") == []


def test_a_full_queue_stops_a_batch_where_it_is(tmp_path):
    config = QueueConfig(segment_size=1 << 14, budget_bytes=1 << 16, durable=("slow",))
    with Queue.open_publisher(tmp_path / "q", config) as writer:
        with pytest.raises(QueueFull):
            writer.append_many(1, bytes(1_000_000), item_size=100)
        stood = writer.next_seq
        assert 100 < stood < 10_000
        with Queue.open_subscriber(tmp_path / "q", "slow") as reader:
            assert len(reader.drain_columns()) == stood


@pytest.mark.parametrize(
    "wrong",
    [
        {"item_size": 0},
        {"item_size": -1},
        {"item_size": 7},
        {"item_size": 1 << 40},
        {"item_size": 8, "offsets": array("q", [0, 8])},
        {"offsets": array("q")},
        {"offsets": array("q", [0, 9, 8])},
        {"offsets": array("q", [-1, 8])},
        {"offsets": array("q", [0, 81])},
        {"offsets": array("i", [0, 8])},
        {"offsets": array("d", [0, 8])},
        {"item_size": 8, "ts_ns": array("q", [1])},
        {"item_size": 8, "ts_ns": array("q", [-1] * 10)},
        {"item_size": 8, "ts_ns": -1},
    ],
)
def test_a_batch_that_makes_no_sense_is_refused_whole(tmp_path, wrong):
    with Queue.open_publisher(tmp_path / "q", SMALL) as writer:
        with pytest.raises((InvalidArgument, QueueMisuse)):
            writer.append_many(1, bytes(80), **wrong)
        with pytest.raises(ReservedType):
            writer.append_many(0xFFFE, bytes(80), item_size=8)
        assert writer.next_seq == 0
        assert writer.append_many(1, b"", item_size=8) == -1
        assert writer.append_many(1, b"", offsets=array("q", [0])) == -1


def test_records_before_an_error_are_handed_out_and_the_error_is_told_next(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(path, SMALL) as writer:
        writer.append_many(1, [b"%d" % i for i in range(10)])
    with Queue.open_subscriber(path, None, start="earliest") as reader:
        reader.drain(5)
        at = reader.position
    with (path / "000000000.q").open("r+b") as file:
        file.seek(at + 32)
        file.write(b"X")
    for drain in (lambda r: [m.seq for m in r.drain()], lambda r: list(r.drain_columns().seqs)):
        with Queue.open_subscriber(path, "a", start="earliest") as reader:
            assert drain(reader) == [0, 1, 2, 3, 4]
            assert reader.wait(0), "there is something to tell"
            with pytest.raises(Corrupt) as caught:
                reader.commit()
            reader.seek_seq(caught.value.seq + 1)
            assert drain(reader) == [6, 7, 8, 9]


def test_a_hole_that_is_told_once_is_not_swallowed_by_a_drain(tmp_path):
    path = tmp_path / "q"
    with (
        Queue.open_publisher(path, QueueConfig(segment_size=1 << 14, prepare=False)) as writer,
        Queue.open_subscriber(path, None) as reader,
    ):
        for _ in range(4):
            writer.append_many(1, [bytes(1000)] * 5)
            writer.roll()
        os.unlink(path / "000000001.q")
        for drain in (lambda r: [m.seq for m in r.drain()], lambda r: list(r.drain_columns().seqs)):
            reader.seek_seq(0)
            assert drain(reader) == [0, 1, 2, 3, 4]
            with pytest.raises(Evicted) as caught:
                drain(reader)
            assert (caught.value.from_seq, caught.value.to_seq) == (5, 9)
            assert drain(reader) == list(range(10, 20))


def test_a_declared_hole_is_a_row_of_its_own(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(path, SMALL) as writer:
        writer.append_many(1, [b"x" * 40] * 10)
    with (path / "000000000.q").open("r+b") as file:
        file.seek(128 + 96 * 5 + 40)
        file.write(b"!")
    with (path / "control.meta").open("r+b") as file:  # recovery walks from the start
        file.seek(128)
        file.write(struct.pack("<Q", 128))
    with Queue.open_publisher(path, SMALL) as writer:
        writer.append(1, b"after")
    rows = drained(path)
    assert [row[3] for row in rows] == [1] * 5 + [LOST_TYPE] + [1] * 5
    assert struct.unpack("<QQ", rows[5][4]) == (5, 5)


def test_a_reader_beside_a_batching_writer_sees_whole_records_in_order(tmp_path, spawn):
    child = spawn(
        """
        import sys
        from libchronicle.queue import Queue, QueueConfig
        with Queue.open_publisher(sys.argv[1], QueueConfig(segment_size=1 << 20)) as writer:
            print("open")
            sys.stdin.readline()
            for i in range(200):
                writer.append_many(i, bytes([i]) * 50_000, item_size=50)
            sys.stdin.readline()
        """,
        tmp_path / "q",
    )
    assert child.stdout.readline() == "open\n"
    with Queue.open_subscriber(tmp_path / "q", "a", QueueConfig(spin_us=0)) as reader:
        child.stdin.write("go\n")
        child.stdin.flush()
        seen = 0
        while seen < 200_000:
            assert reader.wait(20)
            columns = reader.drain_columns(1000)
            assert columns.seqs.tolist() == list(range(seen, seen + len(columns)))
            for i in range(0, len(columns), 97):
                kind = (seen + i) // 1000
                assert columns.type_ids[i] == kind
                assert columns.payload[50 * i : 50 * i + 50] == bytes([kind]) * 50
            seen += len(columns)


def test_columns_come_from_a_reader_only(tmp_path):
    with pytest.raises(TypeError):
        Columns()
    Queue.open_publisher(tmp_path / "q", SMALL).close()
    with Queue.open_subscriber(tmp_path / "q", "a") as reader:
        assert len(reader.drain_columns(0)) == 0
        with pytest.raises(InvalidArgument):
            reader.drain_columns(-1)
    with pytest.raises(ChronicleError):
        reader.drain_columns()
