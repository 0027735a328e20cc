"""Is the writer there? The four ways it can be gone, each induced."""

import shutil
import time

from libchronicle.queue import DisconnectReason, Queue, QueueConfig, WriterStatus

SMALL = QueueConfig(segment_size=1 << 16)
HOLD = """
    import sys, time
    from libchronicle.queue import Queue, QueueConfig
    writer = Queue.open_publisher(sys.argv[1], QueueConfig(segment_size=1 << 16))
    writer.append(1, b"x")
    print("open")
    while True:
        time.sleep(0.02)
        writer.heartbeat()
"""


def test_a_quiet_writer_is_alive_and_a_killed_one_is_not(tmp_path, spawn):
    child = spawn(HOLD, tmp_path / "q")
    child.stdout.readline()
    with Queue.open_subscriber(tmp_path / "q", "a") as reader:
        time.sleep(0.5)
        assert reader.writer_status(0.4) is WriterStatus.ALIVE
        assert reader.detect_disconnect(0.4) is None
        child.kill()
        child.wait()
        assert reader.detect_disconnect(0.4) is DisconnectReason.LOCK_LOST
        assert reader.writer_status(0.4) is WriterStatus.LOST
        assert reader.next() is not None, "the whole reads with every other process dead"


def test_a_hung_writer_is_stale(tmp_path):
    with (
        Queue.open_publisher(tmp_path / "q", SMALL) as writer,
        Queue.open_subscriber(tmp_path / "q", "a") as reader,
    ):
        time.sleep(0.15)
        assert reader.detect_disconnect(0.1) is DisconnectReason.HEARTBEAT_STALE
        assert reader.writer_status(0.1) is WriterStatus.STALE
        writer.heartbeat()
        assert reader.writer_status(0.1) is WriterStatus.ALIVE


def test_appending_is_a_heartbeat(tmp_path):
    with (
        Queue.open_publisher(tmp_path / "q", SMALL) as writer,
        Queue.open_subscriber(tmp_path / "q", "a") as reader,
    ):
        for _ in range(30):
            time.sleep(0.01)
            writer.append(1, b"")
        assert reader.writer_status(0.25) is WriterStatus.ALIVE


def test_a_writer_that_left_in_order_is_closed(tmp_path):
    Queue.open_publisher(tmp_path / "q", SMALL).close()
    with Queue.open_subscriber(tmp_path / "q", "a") as reader:
        assert reader.writer_status(1) is WriterStatus.CLOSED
        assert reader.detect_disconnect(1) is DisconnectReason.LOCK_LOST


def test_a_missing_segment_and_a_replaced_queue_are_named(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(path, SMALL), Queue.open_subscriber(path, "a") as reader:
        (path / "000000000.q").unlink()
        assert reader.detect_disconnect(1) is DisconnectReason.SEGMENT_MISSING
        shutil.rmtree(path)
        assert reader.detect_disconnect(1) is DisconnectReason.QUEUE_REPLACED
        with Queue.open_publisher(path, SMALL):
            assert reader.detect_disconnect(1) is DisconnectReason.QUEUE_REPLACED
