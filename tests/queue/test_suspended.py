"""Suspended processes, reused pids, stale and impossible heartbeats, another boot: who is there, and who only seems to be."""

import os
import signal
import struct
import subprocess
import time

import pytest

from libchronicle.errors import ReaderAlreadyActive, WriterAlreadyActive
from libchronicle.native.binding import monotonic_ns, parse_control
from libchronicle.queue import DisconnectReason, Queue, QueueConfig, WriterStatus, inspect

SMALL = QueueConfig(segment_size=1 << 16)
TTL_S = 0.2

WRITER = """
    import sys, time
    from libchronicle.queue import Queue, QueueConfig
    writer = Queue.open_publisher(sys.argv[1], QueueConfig(segment_size=1 << 16))
    print("open")
    while True:
        writer.append(1, b"%d" % writer.next_seq + bytes(200))
        time.sleep(0.001)
"""
READER = """
    import sys
    from libchronicle.errors import ReaderForgotten
    from libchronicle.queue import Queue, QueueConfig
    config = QueueConfig(reader_ttl_s=float(sys.argv[3]))
    reader = Queue.open_subscriber(sys.argv[1], sys.argv[2], config, "earliest")
    print("open")
    for line in sys.stdin:
        try:
            got = reader.drain()
            reader.commit()
            print(len(got), got[0].seq if got else None)
        except ReaderForgotten as error:
            print("forgotten")
"""


def await_(what, holds, timeout=20.0):
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


def ask(child):
    child.stdin.write("\n")
    child.stdin.flush()
    return child.stdout.readline().strip()


# ---------------------------------------------------------------- SIGSTOP


def test_a_suspended_writer_is_stale_keeps_its_queue_and_goes_on(tmp_path, spawn):
    child = spawn(WRITER, tmp_path / "q")
    assert child.stdout.readline() == "open\n"
    with Queue.open_subscriber(tmp_path / "q", "a", QueueConfig(reader_ttl_s=60), "earliest") as reader:
        await_("it appends", lambda: reader.head_seq > 20)
        child.send_signal(signal.SIGSTOP)
        time.sleep(2 * TTL_S)
        assert reader.writer_status(TTL_S) is WriterStatus.STALE
        assert reader.detect_disconnect(TTL_S) is DisconnectReason.HEARTBEAT_STALE
        with pytest.raises(WriterAlreadyActive) as caught:
            Queue.open_publisher(tmp_path / "q", SMALL)
        assert caught.value.pid == child.pid
        stood = reader.head_seq
        child.send_signal(signal.SIGCONT)
        await_("it goes on", lambda: reader.head_seq > stood + 20)
        assert reader.writer_status(10) is WriterStatus.ALIVE
        got = reader.drain()
        assert [int(bytes(m).rstrip(b"\0")) for m in got] == list(range(len(got)))
        assert {m.epoch for m in got} == {1}


def test_a_suspended_reader_keeps_its_name(tmp_path, spawn):
    with Queue.open_publisher(tmp_path / "q", SMALL) as writer:
        writer.append(1, b"x")
        child = spawn(READER, tmp_path / "q", "a", 60)
        assert child.stdout.readline() == "open\n"
        child.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        with pytest.raises(ReaderAlreadyActive) as caught:
            Queue.open_subscriber(tmp_path / "q", "a")
        assert caught.value.pid == child.pid
        child.send_signal(signal.SIGCONT)
        assert ask(child) == "1 0"


def test_a_durable_reader_that_was_suspended_misses_nothing(tmp_path, spawn):
    config = QueueConfig(segment_size=1 << 16, durable=("a",), retain_segments=0)
    with Queue.open_publisher(tmp_path / "q", config) as writer:
        child = spawn(READER, tmp_path / "q", "a", 0.1)
        assert child.stdout.readline() == "open\n"
        child.send_signal(signal.SIGSTOP)
        for _ in range(10):
            writer.append_many(1, [bytes(1000)] * 60)
            writer.heartbeat()
            time.sleep(0.05)
        child.send_signal(signal.SIGCONT)
        assert ask(child) == "600 0"


def test_an_ephemeral_reader_that_was_suspended_too_long_is_told(tmp_path, spawn):
    config = QueueConfig(segment_size=1 << 16, reader_ttl_s=0.2, retain_segments=0)
    with (
        Queue.open_publisher(tmp_path / "q", config) as writer,
        Queue.open_subscriber(tmp_path / "q", "other", config) as other,
    ):
        child = spawn(READER, tmp_path / "q", "a", 0.2)
        assert child.stdout.readline() == "open\n"
        child.send_signal(signal.SIGSTOP)

        def pruned():
            writer.append_many(1, [bytes(1000)] * 60)
            writer.heartbeat()
            other.drain()
            other.commit()
            return writer.metrics()["unlinked"] > 0  # until then it may be seen to live, and nothing goes

        await_("retention passes it", pruned)
        child.send_signal(signal.SIGCONT)
        assert ask(child) == "forgotten"
        await_("it is counted", lambda: writer.metrics()["forgotten"] == 1)


def test_a_killed_readers_name_is_free_and_resumes_where_it_committed(tmp_path, spawn):
    with Queue.open_publisher(tmp_path / "q", SMALL) as writer:
        writer.append_many(1, [b"x"] * 10)
        child = spawn(READER, tmp_path / "q", "a", 60)
        assert child.stdout.readline() == "open\n"
        assert ask(child) == "10 0"
        child.kill()
        child.wait()
        with Queue.open_subscriber(tmp_path / "q", "a") as reader:
            assert reader.next_seq == 10


# ---------------------------------------------------------------- pids


def test_a_pid_that_lives_again_as_something_else_holds_nothing(tmp_path):
    """The lock is the proof; what stands in writer.lock and in the pages is for people."""
    path = tmp_path / "q"
    with Queue.open_publisher(path, SMALL) as writer, Queue.open_subscriber(path, "a") as reader:
        writer.append(1, b"x")
        reader.commit()
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        (path / "writer.lock").write_text(f"pid={stranger.pid} start_time=1 boot_id=00 epoch=1\n")
        patch(path / "control.meta", 208, struct.pack("<IIQ", stranger.pid, 0, 1))
        patch(path / "readers" / "a.meta", 12, struct.pack("<IQ", stranger.pid, 1))
        with Queue.open_publisher(path, SMALL) as writer, Queue.open_subscriber(path, "a") as reader:
            assert writer.epoch == 2
            assert inspect(path).writer_pid == os.getpid()
            assert [bytes(m) for m in reader] == [b"x"]
    finally:
        stranger.kill()
        stranger.wait()


def patch(file, offset, data):
    with file.open("r+b") as handle:
        handle.seek(offset)
        handle.write(data)


def test_the_layout_is_what_the_patches_of_this_file_assume(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(path, SMALL), Queue.open_subscriber(path, "a"):
        control = (path / "control.meta").read_bytes()
        reader = (path / "readers" / "a.meta").read_bytes()
    assert struct.unpack_from("<I", control, 208)[0] == os.getpid()
    assert struct.unpack_from("<I", reader, 12)[0] == os.getpid()
    assert 0 <= monotonic_ns() - struct.unpack_from("<q", control, 192)[0] < 60e9
    assert 0 <= monotonic_ns() - struct.unpack_from("<q", reader, 40)[0] < 60e9


# ---------------------------------------------------------------- heartbeats

IMPOSSIBLE = [
    pytest.param(monotonic_ns() + 3600 * 10**9, id="in an hour"),
    *(2**63 - 1, -(2**63), -1, 0),
]


@pytest.mark.parametrize("beat", IMPOSSIBLE)
def test_a_heartbeat_that_cannot_be_does_not_make_a_writer_alive(tmp_path, beat):
    path = tmp_path / "q"
    with Queue.open_publisher(path, SMALL) as writer, Queue.open_subscriber(path, "a") as reader:
        patch(path / "control.meta", 192, struct.pack("<q", beat))
        assert reader.writer_status(1) is WriterStatus.STALE
        assert inspect(path).heartbeat_age_s is None
        writer.heartbeat()
        assert reader.writer_status(1) is WriterStatus.ALIVE


@pytest.mark.parametrize("beat", IMPOSSIBLE)
def test_a_heartbeat_that_cannot_be_does_not_hold_back_retention(tmp_path, beat):
    path = tmp_path / "q"
    config = QueueConfig(segment_size=1 << 16, retain_segments=0)
    with Queue.open_publisher(path, config) as writer:
        Queue.open_subscriber(path, "gone").close()
        patch(path / "readers" / "gone.meta", 40, struct.pack("<q", beat))
        with Queue.open_subscriber(path, "here", config) as reader:

            def pruned():
                writer.append_many(1, [bytes(1000)] * 60)
                writer.heartbeat()
                reader.drain()
                reader.commit()
                return writer.metrics()["oldest"] > 1

            await_("retention goes on", pruned, 10)


def test_a_reader_of_another_boot_is_not_waited_for_but_a_durable_one_is(tmp_path, monkeypatch):
    path = tmp_path / "q"
    config = QueueConfig(segment_size=1 << 16, durable=("etl",), retain_segments=0)
    monkeypatch.setenv("CHRONICLE_BOOT_ID", "before")
    with Queue.open_publisher(path, config) as writer:
        writer.append(1, b"x")
        for name in ("etl", "guest"):
            Queue.open_subscriber(path, name).close()
    assert inspect(path).heartbeat_age_s is not None
    monkeypatch.setenv("CHRONICLE_BOOT_ID", "after")
    assert {r.name: r.heartbeat_age_s for r in inspect(path).readers} == {"etl": None, "guest": None}
    assert inspect(path).heartbeat_age_s is None

    with Queue.open_publisher(path, config) as writer:
        for _ in range(4):
            writer.append_many(1, [bytes(1000)] * 60)
            writer.heartbeat()
            time.sleep(0.1)
        assert writer.metrics()["oldest"] == 0, "etl has read nothing yet"
        with Queue.open_subscriber(path, "etl") as etl:
            assert len(etl.drain()) == 241

            def pruned():
                etl.drain()
                etl.commit()
                writer.append(1, b"x")
                writer.heartbeat()
                return writer.metrics()["oldest"] > 1

            await_("the guest of the other boot is passed over", pruned, 10)


def test_the_boot_is_told_by_the_host(monkeypatch):
    from libchronicle.native.binding import boot_id

    monkeypatch.delenv("CHRONICLE_BOOT_ID", raising=False)
    assert len(boot_id()) == 16
    assert boot_id() == boot_id()
    assert parse_control(bytes(4096)) is None
