"""A full disk at every step is QueueFull or NoSpace, never SIGBUS; readers go on, and with space so does the writer.

Covers DESIGN's fault "full disk".
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from libchronicle.counters import CounterFile, ErrorLog
from libchronicle.errors import NoSpace

WRITER = """
    import sys, time
    from libchronicle.errors import NoSpace, QueueFull
    from libchronicle.queue import Queue, QueueConfig
    config = QueueConfig(segment_size=1 << 16, durable=("a", "b"))
    refused, until = 0, time.monotonic() + float(sys.argv[2])
    while True:
        try:
            writer = Queue.open_publisher(sys.argv[1], config)
            break
        except NoSpace:
            refused += 1
    while time.monotonic() < until:
        seq = writer.next_seq
        try:
            assert writer.append(1, seq.to_bytes(8, "little") * (1 + seq % 200)) == seq
        except (NoSpace, QueueFull):
            refused += 1
            time.sleep(0.001)
    print(writer.next_seq, refused)
"""
READER = """
    import sys
    from libchronicle.errors import NoSpace
    from libchronicle.queue import Queue
    reader, seen = None, 0
    while reader is None:
        try:
            reader = Queue.try_open_subscriber(sys.argv[1], sys.argv[2])
        except NoSpace:
            pass
    while True:
        reader.wait(0.5)
        for message in reader:
            assert message.seq == seen and bytes(message) == seen.to_bytes(8, "little") * (1 + seen % 200)
            seen += 1
        reader.commit()
        if reader.detect_disconnect(5.0) is not None and not reader.wait(0):
            break
    print(seen)
"""


@pytest.fixture
def small_disk(memory_dir):
    """mount(size) -> the directory of a file system that holds so much."""
    mounted = []

    def mount(size):
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(memory_dir)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"may not mount a tmpfs here: {done.stderr.strip()}")
        mounted.append(memory_dir)
        return memory_dir

    yield mount
    for path in mounted:
        subprocess.run(["umount", "-l", path], check=True)


@pytest.fixture
def start(small_disk):
    """start(code, *args): a Python process, ended with the test, before its disk is."""
    children = []

    def run(code, *args):
        command = [sys.executable, "-c", textwrap.dedent(code), *map(str, args)]
        children.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return children[-1]

    yield run
    for child in children:
        child.kill()
        child.communicate()


def fill(path, leave):
    """A ballast that takes all but `leave` bytes."""
    with open(path / "ballast", "wb") as file:
        free = os.statvfs(path).f_bavail * os.statvfs(path).f_frsize
        if free > leave:
            with contextlib.suppress(OSError):  # another took it first: full is full
                os.posix_fallocate(file.fileno(), 0, free - leave)


def test_every_call_that_takes_space_may_fail(run_proof, memory_dir, scale, seed, report):
    total = {}
    for script in range(scale(2, 40)):
        figures = run_proof("disk_proof", "calls", memory_dir, seed + script, 60, scale(17, 1))
        figures.pop("seed")
        for key, value in figures.items():
            total[key] = total.get(key, 0) + value
    report(seed=seed, **total)
    assert total["told"] > scale(2, 1000)


def test_a_file_system_that_is_full_before_every_operation(run_proof, small_disk, scale, seed, report):
    disk = small_disk("4m")
    total = {}
    for script in range(scale(4, 200)):
        pages = (3, 8, 20, 60)[script % 4]
        figures = run_proof("disk_proof", "mount", disk, seed + script, 250, pages)
        figures.pop("seed")
        for key, value in figures.items():
            total[key] = total.get(key, 0) + value
    report(seed=seed, **total)
    assert total["told"] > 0


def test_a_writer_and_two_readers_on_a_disk_that_is_full_now_and_then(small_disk, start, scale, seed, report):
    disk = small_disk("2m")
    rng = random.Random(seed)
    seconds = scale(2, 30)
    fill(disk, 8192)
    writer = start(WRITER, disk / "q", seconds)
    readers = [start(READER, disk / "q", name) for name in "ab"]
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        fill(disk, rng.choice((0, 4096, 65536, 1 << 20)))
        time.sleep(rng.uniform(0, 0.02))
    fill(disk, 1 << 20)
    written, refused = map(int, writer.communicate(timeout=100)[0].split())
    seen = [int(reader.communicate(timeout=100)[0]) for reader in readers]
    report(seed=seed, records=written, refused=refused)
    assert [writer.returncode, *(reader.returncode for reader in readers)] == [0, 0, 0], (
        f"SIGBUS is {-signal.SIGBUS}"
    )
    assert seen == [written, written]
    assert refused > 0


def test_counters_and_error_log_are_refused_on_a_full_disk(small_disk):
    disk = small_disk("64k")
    fill(disk, 0)
    with pytest.raises(NoSpace):
        CounterFile.create(disk / "a.counters", "a")
    with pytest.raises(NoSpace):
        ErrorLog(disk / "a.errors")
    fill(disk, 1 << 20)
    assert sorted(path.name for path in disk.iterdir() if path.suffix != ".errors") == ["ballast"]
