"""In memory a writer in a hurry uses removed segments again; nobody ever sees bytes change under a segment he has."""

import fcntl
import mmap
import os
import shutil
import signal
import struct
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from libchronicle.errors import Evicted, HostError
from libchronicle.native.binding import parse_control, platform_facts
from libchronicle.queue import Queue, QueueConfig, check, verify

SIZE = 1 << 20
RECORD = 1000
NUMBER_AT = 32  # in a segment's header
PER_SEGMENT = (SIZE - 128 - 32) // (RECORD + 32)
CONFIG = QueueConfig(segment_size=SIZE, retain_segments=0)


@pytest.fixture
def memory():
    """A directory whose file system has no medium."""
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("no /dev/shm")
    with tempfile.TemporaryFile(dir="/dev/shm") as scratch:
        if platform_facts(scratch.fileno())["shared_words"]:
            pytest.skip("a host that does not tell who has a file open")
    path = Path(tempfile.mkdtemp(dir="/dev/shm", prefix="chronicle-test-"))
    yield path
    shutil.rmtree(path)


class Pair:
    """A writer and the reader that lets it remove segments, both as fast as can be.

    Every record bears its seq, which the reader checks.
    """

    def __init__(self, path, config=CONFIG, behind=0):
        self.path = path
        self.behind = behind
        self.writer = Queue.open_publisher(path, config)
        self.reader = Queue.open_subscriber(path, "fast", config)
        self.seen = self.reader.next_seq

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.reader.close()
        self.writer.close()

    def segment(self):
        """One more segment's worth of records, written and read."""
        self.write()
        if self.writer.next_seq - self.seen > self.behind * PER_SEGMENT:
            self.read()

    def write(self, count=1):
        first = self.writer.next_seq
        self.writer.append_many(1, [record(seq) for seq in range(first, first + count * PER_SEGMENT)])

    def read(self, most=10 * PER_SEGMENT):
        for message in self.reader.drain(most):
            assert message.seq == self.seen
            assert bytes(message) == record(self.seen)
            self.seen += 1
        self.reader.commit()

    def read_all(self):
        while self.seen < self.writer.next_seq:
            self.read(PER_SEGMENT // 4)

    def until(self, condition):
        """Goes on until then; the test's time limit ends one that never comes."""
        while not condition():
            self.segment()

    def reused(self, times=1):
        """Goes on until so many segments stand on pages that another had before. tmpfs gives no inode number twice."""
        had = {}
        again = set()

        def look():
            for file in self.path.glob("[0-9]*.q"):
                try:
                    inode = file.stat().st_ino
                except FileNotFoundError:
                    continue
                if had.setdefault(inode, file.name) != file.name:
                    again.add(file.name)
            return len(again) >= times

        self.until(look)


def record(seq):
    return struct.pack("<Q", seq) * (RECORD // 8)


def synced(path):
    facts = parse_control((path / "control.meta").read_bytes())
    assert facts is not None
    return facts["synced"]


def segments(path):
    return sorted(path.glob("[0-9]*.q"))


def number_in(fd):
    return struct.unpack_from("<I", os.pread(fd, 64, 0), NUMBER_AT)[0]


def open_one_about_to_go(pair):
    """(descriptor, path) of the oldest segment, which the writer and the reader have left; opened as docs/formats says."""
    while True:
        pair.segment()
        file = segments(pair.path)[0]
        try:
            fd = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
        except (FileNotFoundError, BlockingIOError):
            continue
        if number_in(fd) == int(file.stem) and int(file.stem) < pair.seen // PER_SEGMENT - 1:
            return fd, file
        os.close(fd)


def gone(file):
    return not file.exists()


def hidden(path):
    return list(path.glob("*.tmp-*"))


def test_removed_segments_are_used_again_and_every_record_is_read(memory):
    with Pair(memory / "q") as pair:
        pair.reused(20)
        assert verify(pair.path) == []
    assert verify(pair.path) == []


@pytest.mark.parametrize("how", ["open", "map"])
def test_whoever_has_a_segment_open_keeps_its_bytes(memory, how):
    with Pair(memory / "q") as pair:
        pair.reused()
        fd, file = open_one_about_to_go(pair)
        before = os.pread(fd, SIZE, 0)
        if how == "map":
            held = mmap.mmap(fd, SIZE, prot=mmap.PROT_READ)
            os.close(fd)
        pair.until(lambda: gone(file))
        pair.reused(10)
        if how == "map":
            after = held[:]
            held.close()
        else:
            after = os.pread(fd, SIZE, 0)
            os.close(fd)
        frames = 128  # header and seal: it may be sealed while it is there
        assert after[frames:] == before[frames:]


def test_another_process_that_maps_a_segment_keeps_its_bytes(memory, spawn):
    code = """
        import hashlib, mmap, sys
        with open(f"/proc/{sys.argv[1]}/fd/{sys.argv[2]}", "rb") as file:
            held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        print(hashlib.sha256(held[128:]).hexdigest())
        input()
        print(hashlib.sha256(held[128:]).hexdigest())
    """
    with Pair(memory / "q") as pair:
        pair.reused()
        fd, file = open_one_about_to_go(pair)
        holder = spawn(code, os.getpid(), fd)
        before = holder.stdout.readline()
        os.close(fd)
        pair.until(lambda: gone(file))
        pair.reused(10)
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert len(before) == 65
        assert holder.stdout.readline() == before


def test_a_second_name_keeps_a_segments_bytes(memory):
    with Pair(memory / "q") as pair:
        pair.reused()
        file = pair.path / f"{pair.writer.metrics()['head'] // SIZE:09d}.q"  # the live one
        os.link(file, memory / "kept")
        pair.segment()
        before = (memory / "kept").read_bytes()
        pair.until(lambda: gone(file))
        pair.reused(10)
        assert (memory / "kept").read_bytes()[128:] == before[128:]


def test_a_message_that_is_held_stays_what_it_was(memory):
    with Pair(memory / "q") as pair, Queue.open_subscriber(pair.path, None) as other:
        pair.reused()
        held = []
        for _ in range(20):
            pair.segment()
            other.seek_seq(pair.seen - 5)
            held.append(other.next())
        other.close()
        pair.reused(10)
        for message in held:
            assert bytes(message) == record(message.seq)


def test_an_age_rule_keeps_segments_and_none_is_used_again(memory):
    config = QueueConfig(segment_size=SIZE, retain_segments=0, retain_age_s=0.2)
    inodes = {}
    with Pair(memory / "q", config) as pair:
        pair.until(lambda: segments(pair.path)[0].name != "000000000.q")
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            pair.segment()
            for file in segments(pair.path):
                try:
                    assert inodes.setdefault(file.stat().st_ino, file.name) == file.name
                except FileNotFoundError:
                    continue


def test_when_the_hurry_is_over_all_is_sealed_and_nothing_is_kept_in_stock(memory):
    with Pair(memory / "q") as pair:
        pair.reused(3)
        while hidden(pair.path) or any(s.state == "left" for s in check(pair.path).segments):
            time.sleep(0.05)
        on_disk = sum(file.stat().st_blocks * 512 for file in pair.path.glob("[0-9]*"))
        assert abs(pair.writer.metrics()["bytes"] - on_disk) < SIZE // 2
        pair.reused(3)  # and begins again
    assert hidden(pair.path) == []
    assert all(s.state != "left" for s in check(pair.path).segments)


WRITER = """
    import sys
    sys.path.insert(0, sys.argv[2])
    from pathlib import Path
    from tests.queue.test_used_again import Pair
    with Pair(Path(sys.argv[1])) as pair:
        pair.reused(3)
        print("hurries")
        while True:
            pair.segment()
"""


@pytest.mark.parametrize("n", range(8))
def test_a_writer_killed_in_its_hurry_leaves_a_sound_queue(memory, project_root, spawn, n):
    path = memory / "q"
    writer = spawn(WRITER, path, project_root)
    assert writer.stdout.readline() == "hurries\n"
    time.sleep(0.01 * n)
    writer.kill()
    writer.wait()
    assert verify(path) == []
    with Pair(path) as pair:
        first, seen = pair.reader.next_seq, pair.seen
        assert hidden(path) == []
        for _ in range(3):
            pair.segment()
        assert pair.seen > seen >= first
    assert verify(path) == []
    assert hidden(path) == []


def test_a_forked_child_neither_keeps_nor_removes_what_is_in_stock(memory):
    with Pair(memory / "q") as pair:
        pair.reused(3)
        for _ in range(5):
            pid = os.fork()
            if pid == 0:
                pair.writer.close()
                pair.reader.close()
                os._exit(0)
            pair.segment()
            assert os.waitpid(pid, 0)[1] == 0
        pair.reused(10)
        assert verify(pair.path) == []


WATCHER = """
    import os, sys, threading
    done = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), done.set()), daemon=True).start()
    most, looks, before = 0, 0, {}
    while not done.is_set():
        now = {}
        for entry in os.scandir(sys.argv[1]):
            if entry.name[0].isdigit():
                try:
                    found = entry.stat()
                except FileNotFoundError:
                    continue
                now[found.st_ino] = found.st_blocks * 512
        most = max(most, sum(size for inode, size in now.items() if inode in before))
        before, looks = now, looks + 1
        if looks == 1:
            print("looks")
    print(most, looks)
"""


@pytest.mark.parametrize("behind", [0, 4])
def test_the_budget_counts_what_is_in_stock_and_what_is_on_its_way_there(memory, spawn, behind):
    """`behind`: so many segments are read and committed at once, and so many removed.

    A file counts that was there in two looks, so that what is seen is never more than what was there at a time between.
    """
    size = 16 << 20
    config = QueueConfig(
        segment_size=size, retain_segments=0, budget_bytes=8 * (size + 8192), on_full="block"
    )
    path = memory / "q"
    payloads = [bytes(1 << 20)] * 15
    with (
        Queue.open_publisher(path, config) as writer,
        Queue.open_subscriber(path, "fast", config) as reader,
    ):
        watcher = spawn(WATCHER, path)
        assert watcher.stdout.readline() == "looks\n"
        had, again, rounds = {}, 0, 0
        while again < 20:
            writer.append_many(1, payloads)
            rounds += 1
            if rounds % (behind + 1) == 0:
                while reader.drain(4):
                    pass
                reader.commit()
            for entry in os.scandir(path):
                if entry.name.endswith(".q") and had.setdefault(entry.inode(), entry.name) != entry.name:
                    had[entry.inode()] = entry.name
                    again += 1
        watcher.stdin.write("\n")
        watcher.stdin.flush()
        most, looks = map(int, watcher.stdout.readline().split())
    assert looks > 5
    assert most <= config.budget_bytes


def test_the_mark_of_what_is_safe_goes_over_what_was_removed(memory):
    with Pair(memory / "q") as pair:
        pair.reused(20)
        while synced(pair.path) // SIZE < pair.seen // PER_SEGMENT - 1:
            time.sleep(0.05)


def test_rolling_often_is_no_hurry(memory):
    """A segment with little in it, however soon it is left: it is sealed at once."""
    path = memory / "q"
    with Queue.open_publisher(path, QueueConfig(segment_size=8 << 20)) as writer:
        while not any(s.state == "sealed" for s in check(path).segments):
            writer.append(1, record(0))
            time.sleep(0.05)  # 8 MiB in that time would be a hurry
            writer.append(1, record(1))
            writer.roll()
        assert writer.metrics()["rolls"] < 20  # of which a hurry would leave 32 unsealed


def test_somebodys_lease_on_a_segment_is_told_and_hides_no_record(memory):
    """Such as a file server's. It is no sign of a removal."""
    path = memory / "q"
    with Pair(path) as pair:
        pair.write(4)
        pair.writer.flush()
        fd = os.open(path / "000000001.q", os.O_RDWR)
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)  # which nobody minds
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        with pytest.raises(HostError, match="temporarily unavailable"):
            pair.read_all()
        with pytest.raises(HostError, match="holds a lease"):
            verify(path)
        os.close(fd)
        pair.read()
        assert pair.seen == pair.writer.next_seq
        assert verify(path) == []


def test_verify_takes_a_living_writers_stock_for_no_leftover(memory):
    with Pair(memory / "q") as pair:
        pair.reused()
        found = []
        for _ in range(20):
            pair.segment()
            found += [f for f in check(pair.path).findings if f.part == "file"]
        assert found == []
        stray = pair.path / "000000001.q.tmp-999999999-ab"
        stray.write_bytes(b"")
        assert [Path(f.path).name for f in check(pair.path).findings if f.part == "file"] == [stray.name]


def test_readers_that_come_and_go_are_never_given_another_segment(memory):
    """Opening by name races with the removal: such a reader begins at a record that is there, or is told what went."""
    done = threading.Event()

    def come_and_go(start):
        looked = 0
        while not done.is_set():
            with Queue.open_subscriber(memory / "q", None, start=start) as reader:
                try:
                    for message in reader.drain(50):
                        assert bytes(message) == record(message.seq)
                        looked += 1
                except Evicted:
                    continue
        return looked

    with Pair(memory / "q") as pair, ThreadPoolExecutor() as pool:
        visitors = [pool.submit(come_and_go, start) for start in ("earliest", "latest", "earliest")]
        try:
            pair.reused(60)
        finally:
            done.set()
        assert visitors[0].result() > 0
        for visitor in visitors:
            visitor.result()
