"""Files taken away or put back under live processes: the lock file, the control page, the directory, the whole file system."""

import shutil
import subprocess
import time

import pytest

from libchronicle.errors import ChronicleError, QueueReplaced, WriterAlreadyActive
from libchronicle.queue import DisconnectReason, Queue, QueueConfig, inspect, verify

SMALL = QueueConfig(segment_size=1 << 16)
NOTICED_S = 20  # the writer looks once a second; the rest is for a busy machine

WRITER = """
    import sys, time
    from libchronicle.errors import ChronicleError
    from libchronicle.queue import Queue, QueueConfig
    writer = Queue.open_publisher(sys.argv[1], QueueConfig(segment_size=1 << 16))
    writer.append_many(1, [b"x"] * 10)
    print("open")
    try:
        while True:
            writer.heartbeat()
            writer.append(1, b"x")
            time.sleep(0.01)
    except ChronicleError as error:
        print(type(error).__name__, f"{error.fields.get('queue_id', 0):x}")
"""
READER = """
    import sys, time
    from libchronicle.queue import Queue, QueueConfig
    reader = Queue.open_subscriber(sys.argv[1], "a", QueueConfig(reader_ttl_s=1), "earliest")
    print("open")
    while (why := reader.detect_disconnect(60)) is None:
        reader.wait(0.05)
        reader.drain()
        reader.commit()
    print(why)
"""


@pytest.fixture
def alive(tmp_path, spawn):
    """alive(path): a writer and a reader in processes of their own, both at work."""

    def start(path):
        writer = spawn(WRITER, path)
        assert writer.stdout.readline() == "open\n"
        reader = spawn(READER, path)
        assert reader.stdout.readline() == "open\n"
        return writer, reader

    return start


def test_without_its_lock_file_a_queue_is_as_locked_as_before(tmp_path, alive):
    """The text in writer.lock is for people; the lock is the kernel's."""
    writer, _ = alive(tmp_path / "q")
    (tmp_path / "q" / "writer.lock").unlink()
    with pytest.raises(WriterAlreadyActive) as caught:
        Queue.open_publisher(tmp_path / "q", SMALL)
    assert caught.value.pid == writer.pid
    assert inspect(tmp_path / "q").writer_active
    writer.kill()
    writer.wait()
    with Queue.open_publisher(tmp_path / "q", SMALL) as successor:
        assert successor.epoch == 2
    assert verify(tmp_path / "q") == []


def test_who_loses_the_control_page_stops_and_no_second_writer_begins_meanwhile(tmp_path, alive):
    path = tmp_path / "q"
    writer, reader = alive(path)
    (path / "control.meta").unlink()
    with pytest.raises(WriterAlreadyActive):
        Queue.open_publisher(path, SMALL)
    assert writer.stdout.readline() == "QueueReplaced 0\n"
    assert reader.stdout.readline() == "queue replaced\n"
    assert writer.wait(NOTICED_S) == reader.wait(NOTICED_S) == 0
    with Queue.open_publisher(path, SMALL) as successor:
        successor.append(1, b"y")
    with Queue.open_subscriber(path, None) as again:
        got = [bytes(m) for m in again]
    assert got.count(b"x") >= 10
    assert got[-1] == b"y"


def test_a_queue_that_came_back_empty_is_another_and_everybody_is_told(tmp_path, alive):
    path = tmp_path / "q"
    writer, reader = alive(path)
    with Queue.open_subscriber(path, None) as other:
        token = other.token()
        for file in path.iterdir():
            shutil.rmtree(file) if file.is_dir() else file.unlink()
        with Queue.open_publisher(path, SMALL) as successor:
            assert successor.queue_id != token[0]
            assert successor.append(1, b"y") == 0
            assert reader.stdout.readline() == "queue replaced\n"
            assert writer.stdout.readline() == f"QueueReplaced {successor.queue_id:x}\n"
            assert other.detect_disconnect(60) is DisconnectReason.QUEUE_REPLACED
            with Queue.open_subscriber(path, "b") as late:
                assert [bytes(m) for m in late] == [b"y"]
                with pytest.raises(QueueReplaced) as caught:
                    late.seek_token(token)
                assert (caught.value.queue_id, caught.value.expected) == (successor.queue_id, token[0])
    assert verify(path) == []


def test_a_directory_moved_away_is_left_alone_by_its_writer(tmp_path, alive):
    """Another queue stands under the name; the first one is whole where it is now, up to when its writer noticed."""
    path, aside = tmp_path / "q", tmp_path / "aside"
    writer, _ = alive(path)
    path.rename(aside)
    with Queue.open_publisher(path, SMALL) as successor:
        successor.append(1, b"y")
        assert writer.stdout.readline() == f"QueueReplaced {successor.queue_id:x}\n"
        assert writer.wait(NOTICED_S) == 0
    assert verify(path) == []
    with Queue.open_publisher(aside, SMALL) as again:
        assert again.epoch == 2
    assert verify(aside) == []


def test_a_writer_whose_directory_was_replaced_leaves_the_other_queues_segments_where_they_are(tmp_path):
    """Before it has noticed: its next segment bears a number that the other queue has used."""
    path, other = tmp_path / "q", tmp_path / "other"
    with Queue.open_publisher(other, SMALL) as successor:
        for n in range(400):
            successor.append(1, n.to_bytes(1000, "little"))
        queue_id = successor.queue_id
    with Queue.open_publisher(path, SMALL) as writer:
        writer.append(1, b"x")
        time.sleep(0.3)  # its first look is over: none may come between the two renames
        path.rename(tmp_path / "aside")
        other.rename(path)

        def on():
            for _ in range(4):
                writer.append(1, b"x")
                writer.roll()

        with pytest.raises(QueueReplaced) as caught:
            on()
        assert (caught.value.queue_id, caught.value.expected) == (queue_id, writer.queue_id)
    assert not list(path.glob("*.stale-*"))
    with Queue.open_subscriber(path, None) as reader:
        assert [int.from_bytes(m, "little") for m in reader] == list(range(400))
    assert verify(path) == []


def test_a_tmpfs_unmounted_and_mounted_anew_under_live_processes(tmp_path, alive):
    where = tmp_path / "hot"
    where.mkdir()

    def mount():
        command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", where]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = mount()
    if done.returncode:
        pytest.skip(f"may not mount here: {done.stderr.strip()}")
    try:
        writer, reader = alive(where / "q")
        subprocess.run(["umount", "-l", where], check=True)
        assert mount().returncode == 0
        assert writer.stdout.readline() == "QueueReplaced 0\n"
        assert reader.stdout.readline() == "queue replaced\n"
        with Queue.open_publisher(where / "q", SMALL) as successor:
            assert successor.append(1, b"y") == 0
    finally:
        subprocess.run(["umount", "-l", where], check=False, capture_output=True)


def test_a_segment_removed_under_its_readers_is_named_and_the_rest_is_read(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(path, SMALL) as writer, Queue.open_subscriber(path, "a") as reader:
        writer.append_many(1, [bytes(1000)] * 300)
        reader.next()
        (path / "000000001.q").unlink()
        assert reader.detect_disconnect(60) is None
        seqs, told = [], []
        deadline = time.monotonic() + NOTICED_S
        while reader.next_seq < 300:
            assert time.monotonic() < deadline
            try:
                seqs += [m.seq for m in reader.drain()]
            except ChronicleError as error:
                told.append(error)
        assert len(told) == 1
        assert seqs[-1] == 299
        missing = set(range(1, 300)) - set(seqs)
        assert missing == set(range(min(missing), max(missing) + 1))
        assert f"{min(missing)}" in str(told[0])
