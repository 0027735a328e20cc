"""The hot path makes no system call, and nothing it does is torn."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
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


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_append_next_and_commit_make_no_system_call(tmp_path, memory):
    log = tmp_path / "trace"
    command = [
        "strace",
        "-o",
        str(log),
        sys.executable,
        "-c",
        textwrap.dedent(PROGRAM),
        str(memory / "q"),
        str(PAIRS),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "ptrace" in done.stderr and done.returncode:
        pytest.skip(f"may not trace here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    calls = [m.group(1) for m in map(re.compile(r"(\w+)\(").match, log.read_text().splitlines()) if m]
    marks = [i for i, call in enumerate(calls) if call == "getppid"]
    assert calls[marks[-2] + 1 : marks[-1]] == []


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
