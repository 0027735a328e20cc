"""A full disk is an error, never SIGBUS; a file shortened by a stranger is Broken, never a dead process."""

import itertools
import os
import subprocess

import pytest

from libchronicle.errors import Broken, NoSpace
from libchronicle.queue import Queue, QueueConfig

CONFIG = QueueConfig(segment_size=1 << 18)


@pytest.fixture
def small_disk(tmp_path):
    where = tmp_path / "disk"
    where.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", where], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"may not mount a tmpfs here: {done.stderr.strip()}")
    yield where
    subprocess.run(["umount", "-l", where], check=True)


def test_a_full_disk_is_no_space_and_readers_go_on(small_disk):
    with (
        Queue.open_publisher(small_disk / "q", CONFIG) as writer,
        Queue.open_subscriber(small_disk / "q", "a") as reader,
    ):
        with pytest.raises(NoSpace):
            writer.append_many(1, itertools.repeat(bytes(10_000)))
        appended = writer.next_seq
        assert appended > 50
        assert len(reader.drain()) == appended
        with pytest.raises(NoSpace):
            writer.append(1, bytes(10_000))
        (small_disk / "q" / "000000000.q").unlink()
        assert writer.append(1, bytes(10_000)) == appended
        assert reader.next().seq == appended


def test_a_full_disk_costs_the_oldest_segment_under_evict(small_disk):
    config = QueueConfig(segment_size=1 << 18, on_full="evict")
    with Queue.open_publisher(small_disk / "q", config) as writer:
        for _ in range(1000):
            writer.append(1, bytes(10_000))
        assert writer.metrics()["evicted"] > 10


def test_a_queue_cannot_begin_on_a_full_disk(small_disk):
    (small_disk / "ballast").write_bytes(bytes(900 << 10))
    with pytest.raises(NoSpace):
        Queue.open_publisher(small_disk / "q", CONFIG)
    (small_disk / "ballast").unlink()
    with Queue.open_publisher(small_disk / "q", CONFIG) as writer:
        assert writer.append(1, b"") == 0


def test_space_reserved_for_others_is_left_alone(small_disk):
    config = QueueConfig(segment_size=1 << 18, on_full="evict", reserve_bytes=400 << 10)
    with Queue.open_publisher(small_disk / "q", config) as writer:
        for _ in range(500):
            writer.append(1, bytes(10_000))
        free = os.statvfs(small_disk)
        assert free.f_bavail * free.f_frsize >= 400 << 10


def test_a_segment_shortened_by_a_stranger_is_broken_for_reader_and_writer(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(path, CONFIG) as writer, Queue.open_subscriber(path, "a") as reader:
        writer.append_many(1, [bytes(1000)] * 50)
        reader.next()
        os.truncate(path / "000000000.q", 0)
        with pytest.raises(Broken) as caught:
            reader.drain()
        assert "000000000.q" in str(caught.value)
        with pytest.raises(Broken):
            writer.append_many(1, [bytes(1000)] * 200)
