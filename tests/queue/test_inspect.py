"""inspect and verify: on live and dead queues, from outside."""

import pytest

from libchronicle.errors import CorruptControl, NotReady
from libchronicle.queue import Queue, QueueConfig, inspect, verify

SMALL = QueueConfig(segment_size=1 << 16, durable=("etl",))


def test_inspect_tells_head_readers_segments_and_locks(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(path, SMALL) as writer:
        writer.append_many(1, [bytes(1000)] * 200)
        writer.flush()
        with Queue.open_subscriber(path, "etl") as reader:
            reader.drain(50)
            reader.commit()
            info = inspect(path)
            assert (info.next_seq, info.epoch, info.writer_active, info.writer_closed) == (
                200,
                1,
                True,
                False,
            )
            assert info.synced == info.head
            (page,) = info.readers
            assert (page.name, page.active, page.durable, page.state) == ("etl", True, True, "ok")
            assert (page.seq, page.lag_records) == (50, 150)
            assert reader.lag() == (page.lag_bytes, page.lag_records)
            live = info.head // (1 << 16)
            states = [s.state for s in info.segments]
            assert states[:live] == ["sealed"] * live
            assert states[live] == "live"
            assert sum(s.frames or 0 for s in info.segments) < 200
    info = inspect(path)
    assert (info.writer_active, info.writer_closed, info.readers[0].active) == (False, True, False)
    assert verify(path) == []


def test_verify_names_every_bad_segment(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(path, SMALL) as writer:
        writer.append_many(1, [bytes(1000)] * 200)
    for number in (0, 2):
        with (path / f"{number:09d}.q").open("r+b") as handle:
            handle.seek(20_000)
            handle.write(b"\x01")
    assert [(f.segment, f.reason) for f in verify(path)] == [(0, "checksum"), (2, "checksum")]


def test_what_is_no_queue_is_said_to_be_none(tmp_path):
    with pytest.raises(NotReady):
        inspect(tmp_path)
    Queue.open_publisher(tmp_path / "q", SMALL).close()
    page = bytearray((tmp_path / "q" / "control.meta").read_bytes())
    page[20] ^= 1
    (tmp_path / "q" / "control.meta").write_bytes(page)
    with pytest.raises(CorruptControl):
        inspect(tmp_path / "q")
    with pytest.raises(CorruptControl):
        Queue.open_subscriber(tmp_path / "q", "a")
