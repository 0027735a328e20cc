"""notify.meta removed, replaced or cut under a living queue.

Nothing is lost, nobody is kept out, and no wake-up waits longer than a sleep lasts.
"""

from __future__ import annotations

import os
import select
import threading
import time

import pytest

from libchronicle.queue import Queue, QueueConfig, wait_any

CONFIG = QueueConfig(segment_size=1 << 16, reader_ttl_s=60, spin_us=0)
SLEEP_S = 1.0  # the longest sleep of a reader, and the time between two looks of a writer
OTHER = 0.25  # of a busy machine's share in what is measured


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def remove(page):
    page.unlink()


def cut(page):
    os.truncate(page, 0)


def swap(page):
    content = page.read_bytes()
    page.unlink()
    page.write_bytes(content)


def swap_for_garbage(page):
    page.unlink()
    page.write_bytes(os.urandom(4096))


def one_page(path):
    """Does the name stand for a page that is whole?"""
    page = path / "notify.meta"
    return page.exists() and page.stat().st_size == 4096 and page.read_bytes()[8:16] == b"CHNOTIFY"


def wakes_a_sleeper(writer, reader, page):
    """One record for a reader that sleeps: was it woken for it? Not while the writer has yet to find the page."""
    asleep = threading.Thread(target=reader.wait, args=(20,))
    asleep.start()
    assert until(lambda: page.read_bytes()[0] & 1), "it asks to be woken"
    wakes = writer.metrics()["wakes"]
    writer.append(1, b"x")
    asleep.join()
    assert [bytes(m) for m in reader] == [b"x"]
    return writer.metrics()["wakes"] == wakes + 1


@pytest.mark.parametrize("fault", [remove, cut, swap, swap_for_garbage])
def test_a_living_writer_restores_the_page(tmp_path, woken, fault):
    path = tmp_path / "q"
    with Queue.open_publisher(path, CONFIG) as writer:
        before = (path / "notify.meta").stat().st_ino
        fault(path / "notify.meta")
        changed = (path / "notify.meta").stat().st_ino if fault in (swap, swap_for_garbage) else before
        assert until(
            lambda: one_page(path) and (fault is swap or (path / "notify.meta").stat().st_ino != changed)
        )
        assert fault is swap or (path / "notify.meta").stat().st_mode & 0o777 == 0o660
        with Queue.open_subscriber(path, "late", CONFIG) as reader:
            assert reader.metrics()["polls"] == 0
            assert until(lambda: wakes_a_sleeper(writer, reader, path / "notify.meta")), "woken, not polled"


@pytest.mark.parametrize("fault", [remove, swap_for_garbage])
def test_a_new_reader_is_let_in_at_once_and_polls_until_the_page_is_back(tmp_path, spawn, fault):
    path = tmp_path / "q"
    child = spawn(
        """
        import sys
        from libchronicle.queue import Queue, QueueConfig
        with Queue.open_publisher(sys.argv[1], QueueConfig(segment_size=1 << 16)) as writer:
            writer.append(1, b"before")
            print("open", flush=True)
            for line in sys.stdin:
                writer.append(1, line.strip().encode())
        """,
        path,
    )
    assert child.stdout.readline() == "open\n"
    child.send_signal(19)  # SIGSTOP: it cannot restore the page
    fault(path / "notify.meta")
    with Queue.open_subscriber(path, "new", CONFIG, "earliest") as reader:
        assert bytes(reader.next()) == b"before"
        assert reader.metrics()["polls"] == 1
        assert reader.wait(0.05) is False
        child.stdin.write("after\n")
        child.stdin.flush()
        child.send_signal(18)
        began = time.monotonic()
        assert reader.wait(20)
        assert time.monotonic() - began < 5
        assert bytes(reader.next()) == b"after"
        assert until(lambda: reader.wait(0.1) or reader.metrics()["polls"] == 0)
        assert one_page(path)


@pytest.mark.parametrize("fault", [remove, cut])
def test_who_slept_through_it_is_woken_all_the_same(tmp_path, spawn, fault):
    """Sleepers from before, wait_any and fileno() alike; every record arrives, and none later than a sleep lasts."""
    path = tmp_path / "q"
    child = spawn(
        """
        import sys, time
        from libchronicle.queue import Queue, QueueConfig
        with Queue.open_publisher(sys.argv[1], QueueConfig(segment_size=1 << 16)) as writer:
            print("open", flush=True)
            sys.stdin.readline()
            for i in range(50):
                time.sleep(0.05)
                writer.append(1, time.monotonic_ns().to_bytes(8, "little"))
            sys.stdin.readline()
        """,
        path,
    )
    assert child.stdout.readline() == "open\n"
    late: dict[str, list[float]] = {}

    def follow(name, wait):
        with Queue.open_subscriber(path, name, CONFIG, "earliest") as reader:
            look = wait(reader)
            ready.wait()
            ages = []
            while len(ages) < 50 and look():
                now = time.monotonic_ns()
                ages += [(now - int.from_bytes(bytes(m), "little")) / 1e9 for m in reader]
            late[name] = ages

    def by_fileno(reader):
        poll = select.poll()
        poll.register(reader.fileno(), select.POLLIN)
        return lambda: poll.poll(20_000)

    ways = {
        "wait": lambda r: lambda: r.wait(20),
        "any": lambda r: lambda: wait_any([r], 20),
        "fileno": by_fileno,
    }
    ready = threading.Barrier(len(ways) + 1)
    threads = [threading.Thread(target=follow, args=item) for item in ways.items()]
    for thread in threads:
        thread.start()
    ready.wait()
    time.sleep(0.1)
    child.stdin.write("go\n")
    child.stdin.flush()
    time.sleep(0.3)
    fault(path / "notify.meta")
    for thread in threads:
        thread.join(60)
    assert {name: len(ages) for name, ages in late.items()} == dict.fromkeys(ways, 50)
    worst = {name: max(ages) for name, ages in late.items()}
    print("latest", worst)
    assert all(age < 2 * SLEEP_S for age in worst.values()), worst
    tail = {name: sorted(ages[40:])[5] for name, ages in late.items()}
    assert all(age < OTHER for age in tail.values()), (
        f"after the page is back they are woken, not polled at the bound: {tail}"
    )


def test_the_whole_reads_without_a_page_when_every_other_process_is_dead(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(path, CONFIG) as writer:
        writer.append_many(1, [b"a", b"b"])
    (path / "notify.meta").unlink()
    with Queue.open_subscriber(path, "r", CONFIG) as reader:
        assert [bytes(m) for m in reader.drain()] == [b"a", b"b"]
        assert reader.metrics()["polls"] == 1
        with Queue.open_publisher(path, CONFIG) as writer:
            writer.append(1, b"c")
            assert reader.wait(20)
            assert bytes(reader.next()) == b"c"
            reader.wait(0.3)
            assert reader.metrics()["polls"] == 0


def test_a_reader_finds_the_page_of_the_next_writer(tmp_path, woken):
    """Nobody marks the old page when its writer is gone: the reader looks for itself."""
    path = tmp_path / "q"
    Queue.open_publisher(path, CONFIG).close()
    with Queue.open_subscriber(path, "r", CONFIG) as reader:
        reader.wait(0.01)
        (path / "notify.meta").unlink()
        with Queue.open_publisher(path, CONFIG) as writer:
            assert reader.wait(2.5 * SLEEP_S) is False
            threading.Timer(0.3, writer.append, (1, b"x")).start()
            assert reader.wait(20)
            assert writer.metrics()["wakes"] == 1


def test_a_page_cut_short_while_nobody_runs_does_not_keep_a_writer_out(tmp_path):
    path = tmp_path / "q"
    Queue.open_publisher(path, CONFIG).close()
    os.truncate(path / "notify.meta", 100)
    with Queue.open_publisher(path, CONFIG) as writer:
        assert one_page(path)
        assert writer.append(1, b"x") == 0


def test_a_queue_that_was_replaced_keeps_its_own_page(tmp_path):
    path, aside = tmp_path / "q", tmp_path / "aside"
    with Queue.open_publisher(path, CONFIG):
        path.rename(aside)
        with Queue.open_publisher(path, CONFIG):
            page = path / "notify.meta"
            inode = page.stat().st_ino
            page.unlink()
            assert until(lambda: one_page(path))
            assert page.stat().st_ino != inode
            kept = page.stat().st_ino
            time.sleep(1.5 * SLEEP_S)
            assert page.stat().st_ino == kept, "the writer that lost its directory must not put its page here"
