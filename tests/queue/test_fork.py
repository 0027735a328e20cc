"""A child forked with open handles harms nothing of its parent's, however it goes on and however it ends."""

import os
import subprocess
import sys
import threading

import pytest

from libchronicle.errors import Forked, WriterAlreadyActive
from libchronicle.queue import Queue, QueueConfig, verify

SMALL = QueueConfig(segment_size=1 << 16)


def child(work):
    """Run `work` in a forked child, which then ends without cleaning up; its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_child_that_writes_into_its_parents_reservation_writes_nowhere(tmp_path):
    with Queue.open_publisher(tmp_path / "q", SMALL) as writer:
        writer.append(1, b"before")
        reservation = writer.reserve(1, 6)

        def spoil():
            view[:] = b"child!"
            with pytest.raises(Forked):
                reservation.__exit__(None, None, None)

        with reservation as view:
            view[:] = b"parent"
            assert child(spoil) == 0
        writer.append(1, b"after")
        with Queue.open_subscriber(tmp_path / "q", None) as reader:
            assert [bytes(m) for m in reader] == [b"before", b"parent", b"after"]
    assert verify(tmp_path / "q") == []


def test_a_child_that_drops_or_closes_its_copies_leaves_the_locks_where_they_are(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(path, SMALL) as writer, Queue.open_subscriber(path, "a") as reader:
        reader.fileno()

        def drop():
            reader.close()
            writer.close()

        assert child(drop) == 0
        assert child(lambda: None) == 0
        with pytest.raises(WriterAlreadyActive):
            Queue.open_publisher(path, SMALL)
        code = "import sys; from libchronicle.queue import Queue; Queue.open_subscriber(sys.argv[1], 'a')"
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
        assert "ReaderAlreadyActive" in done.stderr
        assert writer.append(1, b"x") == 0
        assert reader.wait(10)
        assert bytes(reader.next()) == b"x"


def test_a_program_started_from_the_writers_process_holds_no_lock(tmp_path):
    writer = Queue.open_publisher(tmp_path / "q", SMALL)
    sleeper = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        writer.close()
        Queue.open_publisher(tmp_path / "q", SMALL).close()
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_fork_while_other_threads_wait_and_roll_stalls_neither_side(tmp_path):
    path = tmp_path / "q"
    with (
        Queue.open_publisher(path, SMALL) as writer,
        Queue.open_subscriber(path, "a", QueueConfig(spin_us=0, reader_ttl_s=60)) as reader,
    ):
        count = 0

        def read():
            nonlocal count
            while count < 3000:
                assert reader.wait(30)
                count += len(reader.drain())

        thread = threading.Thread(target=read)
        thread.start()

        def own_queue():
            own_path = tmp_path / f"own-{os.getpid()}"
            with (
                Queue.open_publisher(own_path, SMALL) as own,
                Queue.open_subscriber(own_path, "x") as mine,
            ):
                own.append_many(1, [bytes(1000)] * 200)
                assert len(mine.drain()) == 200

        for _ in range(10):
            writer.append_many(1, [bytes(1000)] * 300)
            assert child(own_queue) == 0
        thread.join(60)
        assert count == 3000


def test_messages_held_across_a_fork_stay_readable_on_both_sides(tmp_path):
    with Queue.open_publisher(tmp_path / "q", SMALL) as writer:
        writer.append_many(1, [b"%d" % i for i in range(100)])
        with Queue.open_subscriber(tmp_path / "q", "a") as reader:
            held = reader.drain()

            def check():
                assert [int(bytes(m)) for m in held] == list(range(100))
                reader.close()
                assert [int(bytes(m)) for m in held] == list(range(100))

            assert child(check) == 0
            assert [int(bytes(m)) for m in held] == list(range(100))
