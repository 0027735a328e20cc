"""The plain life of a queue: append, read, commit, come back."""

import contextlib

import pytest

from libchronicle.errors import NotReady, PayloadTooLarge, ReservedType, TimestampOrder
from libchronicle.queue import Queue, QueueConfig

SMALL = QueueConfig(segment_size=1 << 16)


def test_a_reader_gets_what_was_appended_in_order(tmp_path):
    with (
        Queue.open_publisher(tmp_path / "q", SMALL) as writer,
        Queue.open_subscriber(tmp_path / "q", "a") as reader,
    ):
        for i in range(5000):
            assert writer.append(7, str(i).encode()) == i
        got = [(m.seq, m.type_id, bytes(m)) for m in reader]
    assert got == [(i, 7, str(i).encode()) for i in range(5000)]
    assert reader.closed


def test_a_reader_resumes_where_it_committed(tmp_path):
    with Queue.open_publisher(tmp_path / "q", SMALL) as writer:
        writer.append_many(1, [b"%d" % i for i in range(100)])
        with Queue.open_subscriber(tmp_path / "q", "a") as reader:
            assert len(reader.drain(40)) == 40
            reader.commit()
            reader.drain(10)
        with Queue.open_subscriber(tmp_path / "q", "a") as reader:
            first = reader.next()
            assert first is not None
            assert bytes(first) == b"40"


def test_a_view_outlives_the_roll_and_the_reader(tmp_path):
    with Queue.open_publisher(tmp_path / "q", SMALL) as writer:
        writer.append(1, b"first")
        reader = Queue.open_subscriber(tmp_path / "q", "a")
        message = reader.next()
        view = memoryview(message)
        writer.append_many(1, [bytes(1000)] * 1000)
        reader.drain()
        reader.close()
    assert bytes(view) == b"first"
    assert view.readonly


def test_an_exception_inside_reserve_leaves_no_trace(tmp_path):
    with (
        Queue.open_publisher(tmp_path / "q", SMALL) as writer,
        Queue.open_subscriber(tmp_path / "q", "a") as reader,
    ):
        with contextlib.suppress(LookupError), writer.reserve(1, 100) as view:
            view[:] = b"x" * 100
            raise LookupError
        assert reader.next() is None
        with writer.reserve(1, 3) as view:
            view[:] = b"abc"
        assert bytes(reader.next()) == b"abc"


def test_misuse_is_refused_and_leaves_no_trace(tmp_path):
    with (
        Queue.open_publisher(tmp_path / "q", SMALL) as writer,
        Queue.open_subscriber(tmp_path / "q", "a") as reader,
    ):
        with pytest.raises(PayloadTooLarge):
            writer.append(1, bytes(1 << 16))
        with pytest.raises(ReservedType):
            writer.append(0xFF00, b"")
        writer.append(1, b"", 1000)
        with pytest.raises(TimestampOrder):
            writer.append(1, b"", 999)
        assert writer.append(1, b"x" * ((1 << 16) - 192), 1000) == 1
        assert [m.seq for m in reader] == [0, 1]


def test_there_is_no_queue_before_its_writer(tmp_path):
    assert Queue.try_open_subscriber(tmp_path / "q", "a") is None
    with pytest.raises(NotReady):
        Queue.open_subscriber(tmp_path / "q", "a")
