"""Waiting: time-outs, wake-ups across processes, several queues, descriptors for event loops, and no lost wake-up."""

import asyncio
import contextlib
import select
import threading
import time

import pytest
import uvloop

from libchronicle.queue import Queue, QueueConfig, wait_any

SMALL = QueueConfig(segment_size=1 << 16)

WRITER = """
    import sys, time
    from libchronicle.queue import Queue, QueueConfig
    path, count, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    with Queue.open_publisher(path, QueueConfig(segment_size=1 << 16)) as writer:
        print("open")
        sys.stdin.readline()
        for i in range(count):
            writer.append(1, b"%d" % i + bytes(500))
            if pause:
                time.sleep(pause)
        sys.stdin.readline()
"""


def test_wait_returns_false_when_its_time_is_up(tmp_path):
    with Queue.open_publisher(tmp_path / "q", SMALL), Queue.open_subscriber(tmp_path / "q", "a") as reader:
        began = time.monotonic()
        assert reader.wait(0.05) is False
        assert time.monotonic() - began >= 0.05
        assert reader.wait(0) is False


@pytest.mark.parametrize("mode", ["hybrid", "spin", "sleep"])
@pytest.mark.parametrize("name", ["named", None])
def test_every_wait_mode_crosses_rolls_without_loss(tmp_path, spawn, mode, name):
    child = spawn(WRITER, tmp_path / "q", 2000, 0.0001)
    assert child.stdout.readline() == "open\n"
    config = QueueConfig(wait=mode, reader_ttl_s=5)
    with Queue.open_subscriber(tmp_path / "q", name, config, "earliest") as reader:
        child.stdin.write("go\n")
        child.stdin.flush()
        got = []
        while len(got) < 2000:
            assert reader.wait(20), f"stalled after {len(got)}"
            got += [int(bytes(m).rstrip(b"\0")) for m in reader]
        assert got == list(range(2000))
        assert reader.metrics()["crossings"] >= 10


def test_no_wake_up_is_lost_between_many_sleepers_and_a_writer(tmp_path, spawn):
    child = spawn(WRITER, tmp_path / "q", 3000, 0.0)
    assert child.stdout.readline() == "open\n"
    counts = [0, 0, 0]

    def read(index: int) -> None:
        config = QueueConfig(spin_us=0, reader_ttl_s=60)
        with Queue.open_subscriber(tmp_path / "q", f"r{index}", config, "earliest") as reader:
            ready.wait()
            while counts[index] < 3000 and reader.wait(10):
                counts[index] += len(reader.drain(7))

    ready = threading.Barrier(4)
    threads = [threading.Thread(target=read, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    ready.wait()
    child.stdin.write("go\n")
    child.stdin.flush()
    for thread in threads:
        thread.join(60)
    assert counts == [3000, 3000, 3000]


def test_ping_pong_between_parked_processes_never_stalls(tmp_path, spawn):
    """Each side parks at once, so every round trip needs both wake-ups. A lost one would cost a slice of 1 s each."""
    echo = """
        import sys
        from libchronicle.queue import Queue, QueueConfig
        config = QueueConfig(segment_size=1 << 16, spin_us=0, reader_ttl_s=60)
        with Queue.open_publisher(sys.argv[2], config) as out, Queue.open_subscriber(sys.argv[1], "echo", config) as inn:
            print("open")
            while True:
                inn.wait()
                for m in inn:
                    out.append(1, m)
    """
    config = QueueConfig(segment_size=1 << 16, spin_us=0, reader_ttl_s=60)
    with Queue.open_publisher(tmp_path / "there", config) as writer:
        child = spawn(echo, tmp_path / "there", tmp_path / "back")
        assert child.stdout.readline() == "open\n"
        slow = 0
        with Queue.open_subscriber(tmp_path / "back", "main", config) as reader:
            for i in range(3000):
                began = time.monotonic()
                writer.append(1, b"%d" % i)
                assert reader.wait(30)
                assert bytes(reader.next()) == b"%d" % i
                slow += time.monotonic() - began > 0.9
        assert slow == 0


def test_wait_any_names_the_readers_that_are_ready(tmp_path):
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(Queue.open_publisher(tmp_path / f"q{i}", SMALL)) for i in range(4)]
        readers = [stack.enter_context(Queue.open_subscriber(tmp_path / f"q{i}", "a")) for i in range(4)]
        assert wait_any(readers, 0.01) == []
        threading.Timer(0.05, writers[2].append, (1, b"x")).start()
        assert wait_any(readers, 10) == [readers[2]]
        writers[0].append(1, b"y")
        assert wait_any(readers, 10) == [readers[0], readers[2]]


def test_fileno_polls_readable_when_a_record_comes(tmp_path):
    with (
        Queue.open_publisher(tmp_path / "q", SMALL) as writer,
        Queue.open_subscriber(tmp_path / "q", "a") as reader,
    ):
        poll = select.poll()
        poll.register(reader.fileno(), select.POLLIN)
        assert poll.poll(0), "the first look is the reader's"
        assert reader.next() is None
        assert poll.poll(20) == []
        for i in range(200):
            writer.append(1, bytes(900))
            assert poll.poll(10_000)
            assert [m.seq for m in reader] == [i]


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_fileno_drives_an_event_loop(tmp_path, new_loop, spawn):
    child = spawn(WRITER, tmp_path / "q", 1000, 0.0001)
    assert child.stdout.readline() == "open\n"
    got = []

    async def main() -> None:
        done = asyncio.get_running_loop().create_future()
        with Queue.open_subscriber(tmp_path / "q", "a") as reader:

            def on_readable() -> None:
                got.extend(m.seq for m in reader)
                if len(got) == 1000 and not done.done():
                    done.set_result(None)

            asyncio.get_running_loop().add_reader(reader.fileno(), on_readable)
            child.stdin.write("go\n")
            child.stdin.flush()
            await asyncio.wait_for(done, 60)
            asyncio.get_running_loop().remove_reader(reader.fileno())

    with contextlib.closing(new_loop()) as loop:
        loop.run_until_complete(main())
    assert got == list(range(1000))


def test_a_killed_sleeper_leaves_no_lasting_wakes(tmp_path, spawn):
    sleeper = """
        import sys
        from libchronicle.queue import Queue
        reader = Queue.open_subscriber(sys.argv[1], "sleeper")
        print("open")
        reader.wait()
    """
    with Queue.open_publisher(tmp_path / "q", SMALL) as writer:
        child = spawn(sleeper, tmp_path / "q")
        assert child.stdout.readline() == "open\n"
        time.sleep(0.2)
        child.kill()
        child.wait()
        for _ in range(100):
            writer.append(1, b"")
        assert writer.metrics()["wakes"] <= 1


def test_nobody_is_woken_while_nobody_sleeps(tmp_path):
    with (
        Queue.open_publisher(tmp_path / "q", SMALL) as writer,
        Queue.open_subscriber(tmp_path / "q", "a") as reader,
    ):
        for _ in range(10_000):
            writer.append(1, bytes(64))
            assert reader.next() is not None
        assert writer.metrics()["wakes"] == 0


def test_a_writer_that_opens_again_wakes_those_who_sleep(tmp_path, spawn):
    Queue.open_publisher(tmp_path / "q", SMALL).close()
    with Queue.open_subscriber(tmp_path / "q", "a") as reader:
        child = spawn(WRITER, tmp_path / "q", 1, 0)
        child.stdin.write("go\n")
        child.stdin.flush()
        assert reader.wait(20)
        assert reader.next().epoch == 2


def test_wait_any_takes_more_readers_than_one_system_call_can(tmp_path):
    config = QueueConfig(segment_size=1 << 12, prefault=False, prepare=False)
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(Queue.open_publisher(tmp_path / f"q{i}", config)) for i in range(150)]
        readers = [stack.enter_context(Queue.open_subscriber(tmp_path / f"q{i}", "a")) for i in range(150)]
        assert wait_any(readers, 0.01) == []
        for at in (0, 127, 128, 149):
            threading.Timer(0.05, writers[at].append, (1, b"x")).start()
            assert wait_any(readers, 20) == [readers[at]]
            assert readers[at].next() is not None
        anonymous = stack.enter_context(Queue.open_subscriber(tmp_path / "q3", None, start="latest"))
        threading.Timer(0.05, writers[3].append, (1, b"x")).start()
        assert wait_any([anonymous, readers[4]], 20) == [anonymous]
