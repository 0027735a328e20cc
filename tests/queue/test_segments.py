"""Segment files: prepared ahead, reused, never truncated, sealed even when the writer died; disk errors counted."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from libchronicle.errors import NoPermission, QueueReplaced
from libchronicle.queue import Queue, QueueConfig, inspect

SIZE = 1 << 16
SMALL = QueueConfig(segment_size=SIZE)


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_the_next_segment_is_prepared_before_it_is_needed_and_reused_after_a_restart(tmp_path):
    path = tmp_path / "q"
    spare = path / "000000001.q"
    with Queue.open_publisher(path, SMALL) as writer:
        writer.append(1, bytes(50_000))
        assert until(spare.exists)
        assert inspect(path).segments[1].state == "prepared"
    inode = spare.stat().st_ino
    with Queue.open_publisher(path, SMALL) as writer:
        writer.append(1, bytes(50_000))
        assert inspect(path).head >= SIZE
    assert spare.stat().st_ino == inode


def test_a_segment_of_another_queue_is_moved_aside_not_used_nor_destroyed(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(tmp_path / "other", SMALL) as other:
        other.append(1, bytes(50_000))
        other.append(1, b"foreign" + bytes(50_000))
    Queue.open_publisher(path, SMALL).close()
    foreign = (tmp_path / "other" / "000000001.q").read_bytes()
    (path / "000000001.q").write_bytes(foreign)
    with Queue.open_publisher(path, SMALL) as writer, Queue.open_subscriber(path, "a") as reader:
        writer.append_many(1, [b"own" + bytes(30_000)] * 3)
        assert [bytes(m)[:3] for m in reader] == [b"own"] * 3
    (aside,) = path.glob("000000001.q.stale-*")
    assert aside.read_bytes() == foreign


def test_what_a_killed_writer_left_unsealed_is_sealed_and_synced_by_the_next(tmp_path, spawn):
    path = tmp_path / "q"
    code = """
        import os, sys
        from libchronicle.queue import Queue, QueueConfig
        writer = Queue.open_publisher(sys.argv[1], QueueConfig(segment_size=1 << 16))
        writer.append_many(1, [bytes(1000)] * 500)
        os.kill(os.getpid(), 9)
    """
    spawn(code, path).wait()
    with Queue.open_publisher(path, SMALL):
        live = inspect(path).head // SIZE
        assert live >= 7

        def done():
            info = inspect(path)
            return [s.state for s in info.segments[:live]] == ["sealed"] * live and info.synced >= live * SIZE

        assert until(done)


def test_one_left_unsealed_below_sealed_ones_is_sealed_by_the_next_writer(tmp_path):
    """A writer faster than its clean thread leaves segments for later, seals others meanwhile, and is killed."""
    path = tmp_path / "q"
    config = QueueConfig(segment_size=SIZE, sync=False)
    with Queue.open_publisher(path, config) as writer:
        writer.append_many(1, [bytes(1000)] * 500)
    with (path / "000000002.q").open("r+b") as file:
        file.seek(64)
        file.write(bytes(64))

    def states():
        return [s.state for s in inspect(path).segments[:7]]

    assert states() == [*["sealed"] * 2, "left", *["sealed"] * 4]
    with Queue.open_publisher(path, config):
        assert until(lambda: states() == ["sealed"] * 7)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_disk_that_cannot_sync_is_counted_and_stops_nobody(tmp_path, woken):
    code = """
        import sys, time
        from libchronicle.errors import HostError
        from libchronicle.queue import Queue, QueueConfig
        writer = Queue.open_publisher(sys.argv[1], QueueConfig(segment_size=1 << 16))
        writer.append_many(1, [bytes(1000)] * 500)
        try:
            writer.flush()
        except HostError:
            pass
        else:
            raise SystemExit("flush did not tell")
        assert writer.metrics()["sync_errors"] > 0
        assert writer.metrics()["synced"] < writer.metrics()["head"]
        assert writer.append(1, b"on") == 500
        print("fine")
    """
    # The first calls make the pages of the queue; from the tenth on the disk fails.
    inject = [
        "strace",
        "-f",
        "-o",
        os.devnull,
        "-e",
        "trace=fdatasync",
        "-e",
        "inject=fdatasync:error=EIO:when=10+",
    ]
    command = [*inject, sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "q")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "ptrace" in done.stderr:
        pytest.skip(f"may not trace here: {done.stderr.strip()}")
    assert (done.stdout, done.returncode) == ("fine\n", 0), done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")
def test_memlock_without_the_right_is_a_clear_error(tmp_path):
    code = """
        import os, resource, sys
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        from libchronicle.errors import ChronicleError
        from libchronicle.queue import Queue, QueueConfig
        try:
            Queue.open_publisher(sys.argv[1], QueueConfig(segment_size=1 << 16, memlock=True))
        except ChronicleError as error:
            print(type(error).__name__, "memlock" in str(error))
    """
    where = tmp_path / "open"
    where.mkdir(mode=0o777)
    where.chmod(0o777)
    for parent in where.parents:
        if not parent.stat().st_mode & 1:
            parent.chmod(parent.stat().st_mode | 1)
    command = [sys.executable, "-c", textwrap.dedent(code), str(where / "q")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == f"{NoPermission.__name__} True\n", done.stderr


def test_a_writer_stopped_in_the_middle_of_a_roll_delays_nobody_who_reads(tmp_path, spawn):
    path = tmp_path / "q"
    code = """
        import sys
        from libchronicle.queue import Queue, QueueConfig
        writer = Queue.open_publisher(sys.argv[1], QueueConfig(segment_size=1 << 16))
        print("open")
        while True:
            writer.append(1, bytes(900))
    """
    child = spawn(code, path)
    assert child.stdout.readline() == "open\n"
    with Queue.open_subscriber(path, "a") as reader:
        seen = 0
        for _ in range(20):
            time.sleep(0.01)
            child.send_signal(signal.SIGSTOP)
            got = reader.drain()
            assert [m.seq for m in got] == list(range(seen, seen + len(got)))
            seen += len(got)
            del got
            child.send_signal(signal.SIGCONT)


def test_a_token_is_good_for_its_queue_only(tmp_path):
    with (
        Queue.open_publisher(tmp_path / "q", SMALL) as writer,
        Queue.open_subscriber(tmp_path / "q", "a") as reader,
    ):
        writer.append_many(1, [b"x"] * 10)
        reader.drain(4)
        token = reader.token()
        assert token == (writer.queue_id, writer.epoch, 4)
        reader.drain()
        reader.seek_token(token)
        assert reader.next().seq == 4
        with pytest.raises(QueueReplaced):
            reader.seek_token((token[0] + 1, *token[1:]))
