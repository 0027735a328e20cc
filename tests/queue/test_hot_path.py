"""The hot path makes no system call, and nothing it does is torn."""

import contextlib
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

from libchronicle.errors import QueueMisuse
from libchronicle.queue import Queue, QueueConfig


@contextlib.contextmanager
def pair(path):
    with (
        Queue.open_publisher(path, QueueConfig(segment_size=1 << 16)) as writer,
        Queue.open_subscriber(path, "a") as reader,
    ):
        yield writer, reader


PAIRS = 100_000
PAYLOAD = bytes(64)
PROGRAM = """
    import gc, os, sys
    from libchronicle.queue import Queue, QueueConfig
    with Queue.open_publisher(sys.argv[1], QueueConfig(segment_size=128 << 20)) as writer:
        with Queue.open_subscriber(sys.argv[1], "a") as reader:
            payload = bytes(64)
            def pairs(n):
                for _ in range(n):
                    writer.append(1, payload)
                    reader.next()
                    reader.commit()
            pairs(1000)
            gc.disable()
            os.getppid()  # the trace counts between the two of these
            pairs(int(sys.argv[2]))
            os.getppid()
"""


@pytest.fixture
def memory(tmp_path):
    """A directory in memory: a segment of full size is dear on a disk."""
    if not os.path.isdir("/dev/shm"):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as where:
        yield Path(where)


RETENTION = """
    import os, sys, time
    from libchronicle.queue import Queue, QueueConfig
    SIZE, COUNT = 1 << 14, int(sys.argv[2])
    with Queue.open_publisher(sys.argv[1], QueueConfig(segment_size=SIZE, durable=("etl",))) as writer:
        with Queue.open_subscriber(sys.argv[1], "etl") as reader:
            while writer.metrics()["rolls"] <= COUNT:
                writer.append_many(1, [bytes(4000)] * 100)
            reader.drain()
            os.getppid()  # the trace counts between the two of these
            reader.commit()
            while writer.metrics()["unlinked"] < COUNT:
                writer.append(1, b"")
                time.sleep(0.001)  # slower than segments are made: else it makes its own
            os.getppid()
"""


def traced(log: Path, program: str, *arguments: object) -> list[tuple[bool, str]]:
    """Of each system call: whether the program's main thread made it, and its name."""
    command = ["strace", "-f", "-o", str(log), sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, check=False)
    if "ptrace" in done.stderr and done.returncode:
        pytest.skip(f"may not trace here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    calls = re.findall(r"^(\d+) +(\w+)\(", log.read_text(), re.MULTILINE)
    main = calls[0][0]
    return [(thread == main, call) for thread, call in calls]


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_append_next_and_commit_make_no_system_call(tmp_path, memory):
    calls = [call for main, call in traced(tmp_path / "trace", PROGRAM, memory / "q", PAIRS) if main]
    marks = [i for i, call in enumerate(calls) if call == "getppid"]
    assert calls[marks[-2] + 1 : marks[-1]] == []


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_appending_thread_removes_no_segment_while_a_thousand_go(tmp_path, memory):
    calls = traced(tmp_path / "trace", RETENTION, memory / "q", 1000)
    marks = [i for i, call in enumerate(calls) if call == (True, "getppid")]
    calls = calls[marks[-2] + 1 : marks[-1]]
    assert sum(call == "unlink" for main, call in calls if not main) >= 1000
    own = {call for main, call in calls if main}
    assert own <= {"clock_nanosleep", "futex"}


def test_pages_are_there_before_they_are_written(tmp_path):
    """A page fault of the appending thread is a stall; without `prefault` there is one a page."""

    def faults(prefault: bool) -> tuple[int, int]:
        config = QueueConfig(segment_size=4 << 20, prefault=prefault)
        with Queue.open_publisher(tmp_path / str(prefault), config) as writer:
            writer.append(1, b"")
            before = resource.getrusage(resource.RUSAGE_THREAD)
            for part in range(160):
                for _ in range(1000):
                    writer.append(1, PAYLOAD)
                if part % 10 == 0:
                    time.sleep(0.05)  # a pace at which the next segment can be made
            after = resource.getrusage(resource.RUSAGE_THREAD)
        return after.ru_majflt - before.ru_majflt, after.ru_minflt - before.ru_minflt

    pages = 160_000 * 96 // 4096
    major, minor = faults(prefault=True)
    assert major == 0
    assert minor < pages / 10
    assert faults(prefault=False)[1] > pages / 2


def test_a_reader_in_another_process_never_sees_a_torn_record(tmp_path, spawn):
    code = """
        import sys
        from libchronicle.queue import Queue, QueueConfig
        with Queue.open_publisher(sys.argv[1], QueueConfig(segment_size=1 << 20)) as writer:
            print("open")
            sys.stdin.readline()
            payloads = [bytes([i & 0xFF]) * (i % 300) for i in range(1024)]
            for i in range(int(sys.argv[2])):
                writer.append(i % 1000, payloads[i % 1024])
            sys.stdin.readline()
    """
    count = 300_000
    child = spawn(code, tmp_path / "q", count)
    assert child.stdout.readline() == "open\n"
    with Queue.open_subscriber(tmp_path / "q", "a") as reader:
        child.stdin.write("go\n")
        child.stdin.flush()
        seen = 0
        while seen < count:
            assert reader.wait(20)
            for m in reader:
                i = seen % 1024
                assert m.seq == seen
                assert m.type_id == seen % 1000
                assert bytes(m) == bytes([i & 0xFF]) * (i % 300)
                seen += 1


def test_a_view_kept_beyond_its_reservation_cancels_the_append(tmp_path):
    with Queue.open_publisher(tmp_path / "q", QueueConfig(segment_size=1 << 16)) as writer:
        kept = []
        with pytest.raises(QueueMisuse), writer.reserve(1, 10) as view:
            kept.append(view[2:4])
        assert writer.next_seq == 0
        kept.clear()
        assert writer.append(1, b"x") == 0


@pytest.mark.parametrize("payload", [b"", bytearray(b"abc"), memoryview(b"abcd")[1:3], b"x" * 65_344])
def test_any_buffer_of_any_size_goes_through(tmp_path, payload):
    with pair(tmp_path / "q") as (writer, reader):
        for _ in range(3):
            writer.append(0xFEFF, payload, 7)
        for m in reader:
            assert bytes(m) == bytes(payload)
            assert (m.ts_ns, m.type_id, len(m)) == (7, 0xFEFF, len(payload))


def test_for_each_stops_after_the_record_that_raised(tmp_path):
    with pair(tmp_path / "q") as (writer, reader):
        assert writer.append_many(1, [b"a", b"b", b"c"]) == 2
        seen = []

        def refuse(message):
            seen.append(bytes(message))
            if message.seq == 1:
                raise LookupError

        with pytest.raises(LookupError):
            reader.for_each(refuse)
        assert reader.for_each(lambda m: seen.append(bytes(m))) == 1
        assert seen == [b"a", b"b", b"c"]
