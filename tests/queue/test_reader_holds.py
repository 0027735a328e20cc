"""What a reader's page says is kept for it, wherever its cursor stands; and only who was taken for dead is forgotten."""

import struct
import threading

import pytest

from libchronicle.errors import Broken, Corrupt, Evicted
from libchronicle.queue import LOST_TYPE, Queue, QueueConfig, inspect
from tests.queue.damage import cut, put

SIZE = 1 << 16
RECORD = bytes(4000)
PER_SEGMENT = (SIZE - 128 - 32) // 4032
CONFIG = QueueConfig(segment_size=SIZE, retain_segments=0)
CONTROL_OLDEST = 264


def fill(path, segments):
    with Queue.open_publisher(path, CONFIG) as writer:
        writer.append_many(1, [RECORD] * (segments * PER_SEGMENT))


def numbers(path):
    return sorted(int(file.stem) for file in path.glob("[0-9]*.q"))


def read_all(reader):
    while True:
        try:
            reader.drain()
            reader.commit()
        except (Broken, Corrupt, Evicted):
            continue
        return


def clean_until(writer, fast, condition):
    """The clean thread works in its own time. The test's time limit ends this."""
    while not condition():
        read_all(fast)
        writer.heartbeat()


@pytest.mark.parametrize("act", ["heartbeat", "seek", "next"])
def test_a_reader_that_committed_at_the_end_of_a_segment_lives_on_when_it_goes(tmp_path, act):
    path = tmp_path / "q"
    fill(path, 3)
    with (
        Queue.open_publisher(path, CONFIG) as writer,
        Queue.open_subscriber(path, "a") as reader,
        Queue.open_subscriber(path, "fast") as fast,
    ):
        assert len(reader.drain(2 * PER_SEGMENT)) == 2 * PER_SEGMENT
        reader.commit()
        clean_until(writer, fast, lambda: numbers(path)[0] == 2)
        for _ in range(2):
            reader.heartbeat()
        if act == "seek":
            reader.seek_seq(2 * PER_SEGMENT + 3)
        assert reader.next().seq == 2 * PER_SEGMENT + (3 if act == "seek" else 0)


def test_a_reader_that_went_back_is_told_what_went_meanwhile_and_is_not_forgotten(tmp_path):
    path = tmp_path / "q"
    fill(path, 5)
    with (
        Queue.open_publisher(path, CONFIG) as writer,
        Queue.open_subscriber(path, "a") as reader,
        Queue.open_subscriber(path, "fast") as fast,
    ):
        reader.drain(3 * PER_SEGMENT + 1)
        reader.commit()
        reader.seek_seq(1)
        clean_until(writer, fast, lambda: numbers(path)[0] == 3)
        reader.commit()  # in a segment that has gone
        reader.heartbeat()
        assert [reader.next().seq for _ in range(PER_SEGMENT - 1)] == [*range(1, PER_SEGMENT)]
        with pytest.raises(Evicted) as told:
            reader.next()
        assert (told.value.from_seq, told.value.to_seq) == (PER_SEGMENT, 3 * PER_SEGMENT - 1)
        assert reader.next().seq == 3 * PER_SEGMENT
        reader.commit()
        reader.heartbeat()


def damage_record(path):
    put(path / "000000002.q", 128 + 8 * 4032, "<16s", b"\xff" * 16)


def cut_oldest(path):
    cut(path / "000000000.q", 0)


def remove(path):
    (path / "000000002.q").unlink()


@pytest.mark.parametrize(
    ("damage", "start", "hole", "error"),
    [
        (damage_record, {"seq": 2 * PER_SEGMENT + 8}, (2 * PER_SEGMENT + 8, 2 * PER_SEGMENT + 8), Corrupt),
        (cut_oldest, {}, (0, PER_SEGMENT - 1), Broken),
        (remove, {"seq": 2 * PER_SEGMENT + 8}, (2 * PER_SEGMENT, 3 * PER_SEGMENT - 1), None),
    ],
)
def test_a_reader_that_opens_into_a_hole_holds_what_follows_it(tmp_path, damage, start, hole, error):
    path = tmp_path / "q"
    fill(path, 8)
    damage(path)
    with Queue.open_publisher(path, CONFIG) as writer, Queue.open_subscriber(path, "fast") as fast:
        reader = Queue.open_subscriber(path, "a", **start)
        stands = hole[0] // PER_SEGMENT
        read_all(fast)
        opens = stands - (damage is remove)  # `oldest` comes to no segment that cannot be opened
        clean_until(writer, fast, lambda: numbers(path)[0] >= opens)
        for _ in range(3):  # the clean thread looks again at each roll, and would go on
            writer.append_many(1, [RECORD] * PER_SEGMENT)
            read_all(fast)
            writer.heartbeat()
            writer.flush()
        there = set(range(stands, 8)) - {0, 2} if damage is not damage_record else set(range(stands, 8))
        assert there <= set(numbers(path))
        reader.heartbeat()
        reader.close()
        reader = Queue.open_subscriber(path, "a")  # as after a crash: it has not read anything yet
        if error is not None:
            with pytest.raises(error):
                reader.next()
        lost = reader.next()
        assert (lost.type_id, struct.unpack("<QQ", bytes(lost))) == (LOST_TYPE, hole)
        assert reader.next().seq == hole[1] + 1
        reader.close()


RETENTION_THAT_HESITATES = """
    import mmap, struct, sys
    with open(sys.argv[1] + "/control.meta", "r+b") as file:
        control = mmap.mmap(file.fileno(), 4096)
    oldest, per_segment = int(sys.argv[2]), int(sys.argv[3])
    print("open")
    while True:
        for number in (0, 3):
            struct.pack_into("<Q", control, oldest + 8, number * per_segment)
            struct.pack_into("<Q", control, oldest, number)
"""


def test_a_reader_that_resumes_while_retention_takes_its_mark_back_has_its_place_or_is_told(tmp_path, spawn):
    path = tmp_path / "q"
    fill(path, 6)
    with Queue.open_subscriber(path, "a") as reader:
        reader.drain(PER_SEGMENT + 5)
        reader.commit()
    (saved,) = (path / "readers").glob("a.meta")
    page = saved.read_bytes()
    child = spawn(RETENTION_THAT_HESITATES, path, CONTROL_OLDEST, PER_SEGMENT)
    assert child.stdout.readline() == "open\n"
    seen, told = set(), set()
    for _ in range(800):
        saved.write_bytes(page)
        try:
            with Queue.open_subscriber(path, "a") as reader:
                seen.add(reader.next_seq)
        except Evicted as error:
            told.add((error.from_seq, error.to_seq))
    assert seen == {PER_SEGMENT + 5}
    assert told <= {(PER_SEGMENT + 5, 3 * PER_SEGMENT - 1)}


@pytest.mark.parametrize("oldest", [2, 1 << 60])
@pytest.mark.parametrize(
    ("start", "first"),
    [
        ({"start": "resume"}, 0),
        ({"start": "resume_or_oldest"}, 0),
        ({"start": "earliest"}, 0),
        ({"start": "latest"}, None),
        ({"seq": 20}, 20),
        ({"time_ns": 1}, 0),
    ],
)
def test_a_damaged_mark_of_the_oldest_segment_costs_no_reader_its_place(tmp_path, oldest, start, first):
    path = tmp_path / "q"
    fill(path, 6)
    with Queue.open_subscriber(path, "old") as reader:
        reader.drain(5)
        reader.commit()
        put(path / "control.meta", CONTROL_OLDEST, "<Q", oldest)
        reader.heartbeat()
        assert reader.next().seq == 5
        with Queue.open_subscriber(path, "new", **start) as new:
            message = new.next()
            assert (message and message.seq) == first
            new.heartbeat()
            new.seek_seq(3)
            assert new.next().seq == 3
    with Queue.open_subscriber(path, "old") as reader:
        assert reader.next().seq == 5


# Opening a segment takes 50 ms.
SLOW_OPEN = """
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <fcntl.h>
    #include <stdarg.h>
    #include <stdlib.h>
    #include <string.h>
    #include <unistd.h>
    static int slow(const char *name, const char *path, int flags, int mode)
    {
        int (*next)(const char *, int, ...) = dlsym(RTLD_NEXT, name);
        int fd = next(path, flags, mode);
        size_t length = strlen(path);
        if (length > 2 && strcmp(path + length - 2, ".q") == 0)
            usleep(50000);
        return fd;
    }
    #define GIVE(name) int name(const char *path, int flags, ...) { \\
        va_list a; va_start(a, flags); int mode = va_arg(a, int); va_end(a); return slow(#name, path, flags, mode); }
    GIVE(open)
    GIVE(open64)
"""


def test_a_reader_whose_open_is_slow_begins_where_retention_has_come_to(tmp_path, under, spawn):
    path = tmp_path / "q"
    writer = """
        import sys, time
        from libchronicle.queue import Queue, QueueConfig
        config = QueueConfig(segment_size=1 << 16, retain_segments=0)
        with Queue.open_publisher(sys.argv[1], config) as writer, Queue.open_subscriber(sys.argv[1], "fast") as fast:
            writer.append_many(1, [bytes(4000)] * 16)
            print("open")
            while True:
                writer.append_many(1, [bytes(4000)] * 16)
                fast.drain()
                fast.commit()
                writer.heartbeat()
                time.sleep(0.02)
    """
    reader = """
        import sys
        from libchronicle.queue import Queue
        for i, start in enumerate([{"seq": 5}, {"time_ns": 1}, {"start": "earliest"}, {"start": "resume"}] * 2):
            with Queue.open_subscriber(sys.argv[1], f"x{i}", **start) as reader:
                reader.heartbeat()
                first = reader.next().seq
                assert reader.next().seq == first + 1
    """
    child = spawn(writer, path)
    assert child.stdout.readline() == "open\n"
    done = under(SLOW_OPEN, reader, path)
    assert done.returncode == 0, done.stderr
    assert inspect(path).oldest_seq > 0, "retention was at work"


SLOW_LOOK = """
    #define _GNU_SOURCE
    #include <dirent.h>
    #include <dlfcn.h>
    #include <unistd.h>
    int closedir(DIR *d)
    {
        int (*real)(DIR *) = dlsym(RTLD_NEXT, "closedir");
        int rc = real(d);
        usleep(20000);
        return rc;
    }
"""


def test_a_mark_that_retention_takes_back_makes_nobody_dead(tmp_path, under, spawn):
    """The writer looks who stands where, marks, looks again and finds who has come meanwhile. Each look takes long here."""
    path = tmp_path / "q"
    reader = spawn(
        """
        import sys, time
        from libchronicle.queue import Queue, QueueConfig
        config, opened = QueueConfig(reader_ttl_s=0.004), 0  # its own: beats each millisecond
        while (far := Queue.try_open_subscriber(sys.argv[1], "first", config, "earliest")) is None:
            time.sleep(0.005)
        print("open", flush=True)
        until = time.monotonic() + 6
        while time.monotonic() < until:
            far.close()
            time.sleep(0.08)  # what it held may go
            opened += 1
            far = Queue.open_subscriber(sys.argv[1], f"x{opened}", config, "earliest")
            for _ in range(30):
                assert far.next() is not None
                time.sleep(0.001)
        print(opened, flush=True)
        """,
        path,
    )
    writer = """
        import sys, time
        from libchronicle.queue import Queue, QueueConfig
        config = QueueConfig(segment_size=1 << 16, retain_segments=0, reader_ttl_s=0.05)
        with Queue.open_publisher(sys.argv[1], config) as writer, Queue.open_subscriber(sys.argv[1], "near") as near:
            until = time.monotonic() + 8
            while time.monotonic() < until:
                writer.append_many(1, [bytes(400)] * 160)
                near.drain()
                near.commit()
                writer.heartbeat()
                time.sleep(0.02)
            print(writer.metrics()["unlinked"])
    """
    done = under(SLOW_LOOK, writer, path)
    assert reader.stdout.readline() == "open\n"
    told = reader.stdout.readline()
    assert told, "a reader that lived was taken for dead"
    assert int(told) > 20
    assert int(done.stdout) > 20, "retention was at work"


SLOW_PROC = """
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <fcntl.h>
    #include <stdarg.h>
    #include <string.h>
    #include <unistd.h>
    int open(const char *path, int flags, ...)
    {
        static int (*real)(const char *, int, ...);
        va_list more;
        va_start(more, flags);
        int mode = va_arg(more, int);
        va_end(more);
        if (!real)
            real = dlsym(RTLD_NEXT, "open");
        if (strstr(path, "boot_id"))
            usleep(3000);
        return real(path, flags, mode);
    }
"""
REOPENS = """
    import sys
    from libchronicle.queue import Queue
    for _ in range(200):
        Queue.open_subscriber(sys.argv[1], "a").close()
"""


def test_a_reader_that_opens_again_is_not_taken_for_dead_while_it_does(tmp_path, under):
    path, done = tmp_path / "q", threading.Event()

    def roll() -> None:
        with (
            Queue.open_publisher(path, CONFIG) as writer,
            Queue.open_subscriber(path, "fast", start="earliest") as fast,
        ):
            while not done.wait(0.002):
                writer.append_many(1, [RECORD] * PER_SEGMENT)
                read_all(fast)

    fill(path, 1)
    with Queue.open_subscriber(path, "a", start="earliest") as reader:
        reader.commit()
    rolling = threading.Thread(target=roll)
    rolling.start()
    try:
        reopened = under(SLOW_PROC, REOPENS, path)
    finally:
        done.set()
        rolling.join()
    assert reopened.returncode == 0, reopened.stderr
    assert numbers(path)[0] == 0
