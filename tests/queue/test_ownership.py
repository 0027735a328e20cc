"""One writer, one owner per reader name; forks; fencing; replaced files."""

import os
import shutil
import struct

import pytest

from libchronicle.errors import (
    Closed,
    Fenced,
    Forked,
    NotReady,
    QueueReplaced,
    ReaderAlreadyActive,
    WriterAlreadyActive,
)
from libchronicle.queue import Queue, QueueConfig

SMALL = QueueConfig(segment_size=1 << 16)
HOLD = """
    import sys
    from libchronicle.queue import Queue, QueueConfig
    writer = Queue.open_publisher(sys.argv[1], QueueConfig(segment_size=1 << 16))
    print("open")
    sys.stdin.readline()
"""


def test_a_second_writer_is_refused_and_told_who_holds_it(tmp_path, spawn):
    child = spawn(HOLD, tmp_path / "q")
    assert child.stdout.readline() == "open\n"
    with pytest.raises(WriterAlreadyActive) as caught:
        Queue.open_publisher(tmp_path / "q", SMALL)
    assert caught.value.pid == child.pid
    child.kill()
    child.wait()
    with Queue.open_publisher(tmp_path / "q", SMALL) as writer:
        assert writer.epoch == 2


def test_a_second_writer_in_the_same_process_is_refused(tmp_path):
    with Queue.open_publisher(tmp_path / "q", SMALL), pytest.raises(WriterAlreadyActive):
        Queue.open_publisher(tmp_path / "q", SMALL)


def test_of_two_writers_started_at_once_one_wins(tmp_path, spawn):
    code = """
        import sys
        from libchronicle.errors import WriterAlreadyActive
        from libchronicle.queue import Queue, QueueConfig
        sys.stdin.readline()
        try:
            writer = Queue.open_publisher(sys.argv[1], QueueConfig(segment_size=1 << 16))
        except WriterAlreadyActive:
            print("refused")
        else:
            print("won")
        sys.stdin.readline()
    """
    children = [spawn(code, tmp_path / "q") for _ in range(4)]
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    assert sorted(child.stdout.readline() for child in children) == ["refused\n"] * 3 + ["won\n"]


def test_a_reader_name_has_one_owner(tmp_path):
    with Queue.open_publisher(tmp_path / "q", SMALL), Queue.open_subscriber(tmp_path / "q", "a"):
        with pytest.raises(ReaderAlreadyActive) as caught:
            Queue.open_subscriber(tmp_path / "q", "a")
        assert caught.value.pid == os.getpid()
        Queue.open_subscriber(tmp_path / "q", "b").close()


def test_a_writer_stops_when_another_epoch_stands_in_the_control_page(tmp_path):
    with Queue.open_publisher(tmp_path / "q", SMALL) as writer:
        writer.append(1, b"")
        with (tmp_path / "q" / "control.meta").open("r+b") as handle:
            handle.seek(88)
            handle.write(struct.pack("<I", 7))
        with pytest.raises(Fenced) as caught:
            writer.append(1, b"")
        assert (caught.value.epoch, caught.value.own_epoch) == (7, 1)


def test_a_forked_child_can_only_close(tmp_path):
    with (
        Queue.open_publisher(tmp_path / "q", SMALL) as writer,
        Queue.open_subscriber(tmp_path / "q", "a") as reader,
    ):
        writer.append(1, b"parent")
        reader.fileno()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                for call in (
                    lambda: writer.append(1, b"child"),
                    writer.heartbeat,
                    writer.roll,
                    reader.next,
                    reader.commit,
                ):
                    with pytest.raises(Forked):
                        call()
                reader.close()
                writer.close()
                with Queue.open_publisher(tmp_path / "own", SMALL) as own:
                    own.append_many(1, [bytes(1000)] * 500)
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(pid, 0)[1] == 0
        assert writer.append(1, b"still mine") == 1
        assert [bytes(m) for m in reader] == [b"parent", b"still mine"]


def test_a_forked_child_does_not_hold_the_lock(tmp_path):
    writer = Queue.open_publisher(tmp_path / "q", SMALL)
    go, done = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(go[0], 1)
        os._exit(0)
    try:
        writer.close()
        Queue.open_publisher(tmp_path / "q", SMALL).close()
    finally:
        os.write(go[1], b"x")
        os.waitpid(pid, 0)
        for fd in (*go, *done):
            os.close(fd)


def test_a_position_of_a_queue_that_was_replaced_is_refused(tmp_path):
    path = tmp_path / "q"
    for _ in range(2):
        with Queue.open_publisher(path, SMALL) as writer:
            writer.append(1, b"")
            page = path / "readers" / "a.meta"
            if not page.exists():
                with Queue.open_subscriber(path, "a") as reader:
                    reader.next()
                    reader.commit()
        kept = page.read_bytes()
        shutil.rmtree(path)
    Queue.open_publisher(path, SMALL).close()
    page.write_bytes(kept)
    with pytest.raises(QueueReplaced):
        Queue.open_subscriber(path, "a")


def test_a_closed_handle_says_so(tmp_path):
    writer = Queue.open_publisher(tmp_path / "q", SMALL)
    reader = Queue.open_subscriber(tmp_path / "q", "a")
    for handle in (writer, reader):
        handle.close()
        handle.close()
    for call in (
        lambda: writer.append(1, b""),
        writer.roll,
        writer.flush,
        reader.next,
        reader.commit,
        lambda: reader.wait(0),
        reader.token,
    ):
        with pytest.raises(Closed):
            call()


def test_there_is_no_queue_in_a_directory_half_made(tmp_path):
    (tmp_path / "q").mkdir()
    with pytest.raises(NotReady):
        Queue.open_subscriber(tmp_path / "q", "a")
    with Queue.open_publisher(tmp_path / "q", SMALL):
        Queue.open_subscriber(tmp_path / "q", "a").close()
