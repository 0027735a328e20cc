"""A segment cut short under its reader: told as Broken, never handed out as zeros; what lies before the cut stays."""

from __future__ import annotations

import os
import struct
import time

import pytest

from libchronicle.errors import Broken, Corrupt
from libchronicle.queue import LOST_TYPE, Queue, QueueConfig

SIZE = 1 << 18
CONFIG = QueueConfig(segment_size=SIZE)
COUNT = 100
RECORD = 1000
FRAME = 1056  # 32 of header, 1000, padding


def payload(i):
    return bytes([i + 1]) * RECORD


@pytest.fixture
def filled(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(path, CONFIG) as writer:
        writer.append_many(1, [payload(i) for i in range(COUNT)])
    return path


def segment(path):
    return path / "000000000.q"


def poll(call, got):
    """Until it raises: records are counted that do not come, and that must be told."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        message = call()
        if message:
            got.append(bytes(message))


def append_slowly(writer):
    for _ in range(1000):
        writer.append(1, b"y")
        time.sleep(0.01)


def read_messages(path, count):
    reader = Queue.open_subscriber(path, "a", QueueConfig(prefault=False), "earliest")
    return reader, reader.drain(count)


ACCESSES = [
    bytes,
    memoryview,
    lambda m: m.payload,
    lambda m: m.seq,
    lambda m: m.ts_ns,
    lambda m: m.type_id,
    repr,
]


@pytest.mark.parametrize("access", ACCESSES)
def test_a_message_whose_bytes_are_gone_raises_instead_of_showing_zeros(filled, access):
    reader, messages = read_messages(filled, COUNT)
    with reader:
        os.truncate(segment(filled), 0)
        for message in messages:
            with pytest.raises(Broken) as caught:
                access(message)
            assert caught.value.path == str(segment(filled))
            assert len(message) == RECORD, "of what is kept beside the file"


def test_messages_before_the_cut_stay_what_they_were(filled):
    reader, messages = read_messages(filled, COUNT)
    with reader:
        os.truncate(segment(filled), 65536)
        whole = (65536 - 128) // FRAME
        for i, message in enumerate(messages):
            if i < whole:
                assert (bytes(message), message.seq) == (payload(i), i)
                message.check()
            elif i > whole:
                with pytest.raises(Broken):
                    bytes(message)
        with pytest.raises(Broken):
            bytes(messages[whole])  # its header stands, its payload was cut


def test_a_record_cut_in_the_middle_of_a_page_is_told_apart_by_its_checksum(filled):
    """The kernel fills the last page with zeros without a fault; nothing but the checksum shows that."""
    reader, messages = read_messages(filled, COUNT)
    with reader:
        cut = 128 + 10 * FRAME + 500
        os.truncate(segment(filled), cut)
        messages[9].check()
        with pytest.raises(Broken):
            messages[10].check()
        with pytest.raises(Broken):
            bytes(messages[-1])
        with pytest.raises(Broken):
            bytes(messages[10])  # from the first fault on every access checks


@pytest.mark.parametrize("grown", [False, True])
@pytest.mark.parametrize("cut", [0, 100, 4096, 128 + 50 * FRAME + 40, 128 + 50 * FRAME, 60_000])
def test_next_never_returns_a_record_that_was_not_written(filled, cut, grown):
    """Also when the file was made long again, which leaves no fault to see: told with the next heartbeat, in 100 ms."""
    reader, messages = read_messages(filled, 20)
    del messages
    with reader:
        os.truncate(segment(filled), cut)
        if grown:
            os.truncate(segment(filled), SIZE)
        got = []
        with pytest.raises((Broken, Corrupt)) as caught:
            poll(reader.next, got)
        assert got == [payload(20 + i) for i in range(len(got))]
        assert grown or isinstance(caught.value, Broken)
        for call in (
            reader.next,
            reader.drain,
            reader.drain_columns,
            lambda: reader.wait(1) and reader.next(),
        ):
            with pytest.raises((Broken, Corrupt)):
                poll(call, [])


def test_a_view_held_across_the_cut_shows_zeros_and_the_next_message_access_tells(filled):
    """What is documented: a memoryview cannot raise."""
    reader, messages = read_messages(filled, 1)
    with reader:
        view = memoryview(messages[0])
        assert bytes(view) == payload(0)
        os.truncate(segment(filled), 0)
        assert bytes(view) == bytes(RECORD)
        with pytest.raises(Broken):
            bytes(messages[0])


def test_columns_are_copies_and_outlive_the_file(filled):
    with Queue.open_subscriber(filled, "a", start="earliest") as reader:
        columns = reader.drain_columns()
        os.truncate(segment(filled), 0)
        assert bytes(columns.payload) == b"".join(payload(i) for i in range(COUNT))


def test_a_reader_leaves_a_broken_segment_by_seeking(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(path, CONFIG) as writer:
        for _ in range(3):
            writer.append_many(1, [payload(i) for i in range(COUNT)])
            writer.roll()
        with Queue.open_subscriber(path, "a", start="earliest") as reader:
            reader.drain(5)
            os.truncate(segment(path), 0)
            with pytest.raises(Broken):
                reader.drain()
            reader.seek_seq(COUNT)
            assert [m.seq for m in reader.drain()] == list(range(COUNT, 3 * COUNT))
            reader.seek_seq(0)
            lost = reader.next()
            assert (lost.type_id, struct.unpack("<QQ", bytes(lost))) == (LOST_TYPE, (0, COUNT - 1))
            assert reader.next().seq == COUNT, "the first that is there"


def test_a_writer_notices_a_cut_inside_the_page_it_writes(tmp_path):
    """No store faults there, but none reaches the disk either: the writer's own look each second finds it."""
    path = tmp_path / "q"
    with Queue.open_publisher(path, CONFIG) as writer:
        writer.append(1, b"x")
        os.truncate(segment(path), 4000)
        with pytest.raises(Broken):
            append_slowly(writer)


def test_an_append_that_reached_nobody_returns_no_seq(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(path, QueueConfig(segment_size=SIZE, prefault=False)) as writer:
        writer.append_many(1, [bytes(2000)] * 3)
        head = writer.metrics()["head"]
        os.truncate(segment(path), 4096)
        with pytest.raises(Broken):
            writer.append(1, bytes(5000))
        with pytest.raises(Broken):
            writer.append(1, b"")
        with pytest.raises(Broken):
            writer.append_many(1, [b"a"] * 10)
        with pytest.raises(Broken):
            writer.append_many(1, bytes(80), item_size=8)
        assert writer.metrics()["head"] == head
