import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from libchronicle.bus.fanin import MAX_SOURCES, FanIn
from libchronicle.errors import ChannelFull, Closed, Corrupt, InvalidName, NotReady
from libchronicle.queue import Publisher, Queue, QueueConfig, Subscriber

SMALL = QueueConfig(segment_size=4096, durable=("router",))
OpenPair = Callable[[str], tuple[Publisher, Subscriber]]


@pytest.fixture
def open_pair(tmp_path: Path) -> Iterator[OpenPair]:
    opened: list[Publisher | Subscriber] = []

    def pair(name: str) -> tuple[Publisher, Subscriber]:
        publisher = Queue.open_publisher(tmp_path / name, SMALL)
        subscriber = Queue.open_subscriber(tmp_path / name, "router", SMALL)
        opened.extend((subscriber, publisher))
        return publisher, subscriber

    yield pair
    for handle in opened:
        handle.close()


def read_all(fanin: FanIn) -> list[tuple[int, str, int]]:
    got = []
    while (message := fanin.next()) is not None:
        got.append((message.ts_ns, fanin.source, message.seq))
    return got


def append(publisher: Publisher, ts_ns: int, size: int = 40) -> int:
    return publisher.append(1, ts_ns.to_bytes(8, "little").ljust(size, b"."), ts_ns)


@pytest.mark.parametrize("seed", range(5))
def test_a_backlog_comes_out_sorted_by_time_and_source_over_many_segments(
    open_pair: OpenPair, seed: int
) -> None:
    rng = random.Random(seed)
    fanin, expected = FanIn(), []
    for name in ("b", "a", "d", "c"):
        publisher, subscriber = open_pair(name)
        ts = 0
        for _ in range(rng.randrange(400)):
            ts += rng.randrange(4)
            expected.append((ts, name, append(publisher, ts, rng.randrange(8, 200))))
        fanin.add(subscriber, name)
    assert read_all(fanin) == sorted(expected)


@pytest.mark.parametrize("seed", range(5))
def test_live_order_within_a_source_is_its_own_and_nothing_is_lost_or_doubled(
    open_pair: OpenPair, seed: int
) -> None:
    rng = random.Random(seed)
    fanin = FanIn()
    pairs = {name: open_pair(name) for name in ("x", "y", "z")}
    for name, (_, subscriber) in pairs.items():
        fanin.add(subscriber, name)
    got: list[tuple[int, str, int]] = []
    for step in range(2000):
        append(pairs[rng.choice("xyz")][0], step)
        for _ in range(rng.randrange(3)):
            message = fanin.next()
            if message is not None:
                got.append((message.ts_ns, fanin.source, message.seq))
        if rng.random() < 0.02:
            fanin.commit()
    got += read_all(fanin)
    assert len(got) == 2000
    for name in pairs:
        assert [seq for _, source, seq in got if source == name] == list(range(pairs[name][0].next_seq))


def test_ties_in_time_go_by_name_whatever_the_order_of_adding(open_pair: OpenPair) -> None:
    fanin = FanIn()
    for name in ("c", "a", "b"):
        publisher, subscriber = open_pair(name)
        append(publisher, 7)
        fanin.add(subscriber, name)
    assert fanin.names == ("a", "b", "c")
    assert [source for _, source, _ in read_all(fanin)] == ["a", "b", "c"]


# ---------------------------------------------------------------- commit


def reopened(tmp_path: Path, old: list[Subscriber]) -> FanIn:
    """As after a crash: every subscriber opened again, none of them had a chance to say anything."""
    fanin = FanIn()
    for subscriber in old:
        subscriber.close()
    old[:] = [Queue.open_subscriber(tmp_path / name, "router", SMALL) for name in "abc"]
    for name, subscriber in zip("abc", old, strict=True):
        fanin.add(subscriber, name)
    return fanin


@pytest.mark.parametrize("seed", range(8))
def test_after_any_commit_a_restart_resumes_exactly_behind_it(
    open_pair: OpenPair, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    everything, subscribers, fanin = [], [], FanIn()
    for name in ("a", "b", "c"):
        publisher, subscriber = open_pair(name)
        subscribers.append(subscriber)
        fanin.add(subscriber, name)
        ts = 0
        for _ in range(200):
            ts += rng.randrange(5)
            everything.append((ts, name, append(publisher, ts, rng.randrange(8, 300))))
    everything.sort()
    done = 0
    while done < len(everything):
        for _ in range(rng.randrange(60)):
            if (message := fanin.next()) is None:
                break
            assert (message.ts_ns, fanin.source, message.seq) == everything[done]
            done += 1
        fanin.commit()
        for _ in range(rng.randrange(4)):
            fanin.next()
        fanin = reopened(tmp_path, subscribers)
    assert fanin.next() is None
    for subscriber in subscribers:
        subscriber.close()


CONSUMER = """
import sys
from pathlib import Path
from libchronicle.bus.fanin import FanIn
from libchronicle.queue import Queue
fanin = FanIn()
for name in "ab":
    fanin.add(Queue.open_subscriber(Path(sys.argv[1]) / name, "router"), name)
out = open(sys.argv[2], "a", buffering=1)
while True:
    message = fanin.next()
    if message is None:
        print("done", flush=True)
        fanin.wait(60)
        continue
    out.write(f"{message.ts_ns} {fanin.source} {message.seq}\\n")
    if message.seq % 7 == 0:
        fanin.commit()
"""


def test_a_consumer_killed_again_and_again_skips_nothing(open_pair: OpenPair, tmp_path: Path) -> None:
    rng = random.Random(20240808)
    publishers = {name: open_pair(name) for name in "ab"}
    for _, subscriber in publishers.values():
        subscriber.close()
    count = 1500
    for ts in range(count):
        append(publishers["ab"[ts % 2]][0], ts)
    log = tmp_path / "log"
    for _ in range(12):
        with subprocess.Popen(
            [sys.executable, "-c", CONSUMER, str(tmp_path), str(log)], stdout=subprocess.PIPE
        ) as child:
            target = rng.randrange(1, 400) + (len(log.read_text().splitlines()) if log.exists() else 0)
            while child.poll() is None and (
                not log.exists() or len(log.read_text().splitlines()) < min(target, count)
            ):
                pass
            child.kill()
    with subprocess.Popen(
        [sys.executable, "-c", CONSUMER, str(tmp_path), str(log)], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"done\n"
        child.kill()
    lines = [line.split() for line in log.read_text().splitlines() if len(line.split()) == 3]
    seen: dict[str, list[int]] = {"a": [], "b": []}
    for _, source, seq in lines:
        seen[source].append(int(seq))
    for name in "ab":
        assert set(seen[name]) == set(range(count // 2)), "at least once"
        high = -1
        for seq in seen[name]:
            assert seq <= high + 1, "a record was skipped and came later"
            high = max(high, seq)


# ---------------------------------------------------------------- watermark


def test_with_a_watermark_a_late_source_is_waited_for_but_not_for_ever(open_pair: OpenPair) -> None:
    fanin = FanIn(watermark_s=1e-6)  # 1000 ns
    (fast, one), (slow, two) = open_pair("fast"), open_pair("slow")
    fanin.add(one, "fast")
    fanin.add(two, "slow")
    append(fast, 5000)
    assert fanin.next(now_ns=5500) is None, "the other source may still bring something earlier"
    append(slow, 4900)
    assert [fanin.next(now_ns=5600).ts_ns for _ in range(1)] == [4900]  # type: ignore[union-attr]
    assert fanin.next(now_ns=5999) is None
    message = fanin.next(now_ns=6000)
    assert message is not None
    assert message.ts_ns == 5000, "the delay is bounded"


@pytest.mark.parametrize("seed", range(5))
def test_with_a_watermark_the_order_does_not_depend_on_who_was_late(open_pair: OpenPair, seed: int) -> None:
    rng = random.Random(seed)
    fanin, delay_ns = FanIn(watermark_s=1e-6), 1000
    publishers = {name: open_pair(name) for name in "abc"}
    for name, (_, subscriber) in publishers.items():
        fanin.add(subscriber, name)
    records = sorted({(rng.randrange(100_000), rng.choice("abc")) for _ in range(600)})
    seen_at = dict.fromkeys("abc", 0)
    arrivals = []
    for ts, name in records:  # each source is up to the delay late, and keeps its own order
        seen_at[name] = max(seen_at[name], ts + rng.randrange(delay_ns))
        arrivals.append((seen_at[name], ts, name))
    got = []
    for now, ts, name in sorted(arrivals):
        while (message := fanin.next(now_ns=now - 1)) is not None:
            got.append((message.ts_ns, fanin.source))
        append(publishers[name][0], ts)
    while (message := fanin.next(now_ns=1_000_000)) is not None:
        got.append((message.ts_ns, fanin.source))
    assert got == records


def test_a_wait_ends_when_the_watermark_lets_go(open_pair: OpenPair) -> None:
    fanin = FanIn(watermark_s=0.05)
    (fast, one), (_, two) = open_pair("fast"), open_pair("slow")
    fanin.add(one, "fast")
    fanin.add(two, "slow")
    fast.append(1, b"x")
    while (message := fanin.next()) is None:
        assert fanin.wait(30)
    assert bytes(message) == b"x"


# ---------------------------------------------------------------- sources come and go


def test_a_source_added_at_runtime_delivers_from_its_resume_point(
    open_pair: OpenPair, tmp_path: Path
) -> None:
    publisher, subscriber = open_pair("a")
    for ts in range(10):
        append(publisher, ts)
    subscriber.drain(4)
    subscriber.commit()
    subscriber.close()
    fanin = FanIn()
    other, already = open_pair("b")
    fanin.add(already, "b")
    append(other, 100)
    assert read_all(fanin) == [(100, "b", 0)]
    resumed = Queue.open_subscriber(tmp_path / "a", "router", SMALL)
    fanin.add(resumed, "a")
    assert read_all(fanin) == [(ts, "a", ts) for ts in range(4, 10)]
    assert fanin.remove("a") is resumed
    resumed.close()


def test_a_removed_source_stands_behind_its_last_delivered_record(open_pair: OpenPair) -> None:
    fanin = FanIn()
    (one, first), (two, second) = open_pair("a"), open_pair("b")
    fanin.add(first, "a")
    slot = fanin.add(second, "b")
    append(one, 1)
    append(two, 2)
    append(one, 3)
    assert fanin.next() is not None  # b's record is held, not delivered
    assert fanin.remove("b") is second
    assert second.next_seq == 0
    assert read_all(fanin) == [(3, "a", 1)]
    assert fanin.add(second, "b") == slot, "a slot is used again"
    assert read_all(fanin) == [(2, "b", 0)]


def test_names_are_unique_and_the_number_of_sources_is_bounded(open_pair: OpenPair) -> None:
    fanin = FanIn()
    _, subscriber = open_pair("a")
    for n in range(MAX_SOURCES):
        fanin.add(subscriber, f"{n:03}")
    with pytest.raises(ChannelFull):
        fanin.add(subscriber, "one more")
    fanin.remove("000")
    with pytest.raises(InvalidName, match="one of that name"):
        fanin.add(subscriber, "001")
    with pytest.raises(InvalidName, match="none of that name"):
        fanin.remove("000")


def test_a_closed_source_is_an_error_and_not_a_crash(open_pair: OpenPair) -> None:
    fanin = FanIn()
    _, subscriber = open_pair("a")
    fanin.add(subscriber, "a")
    subscriber.close()
    for act in (
        fanin.next,
        fanin.commit,
        fanin.heartbeat,
        lambda: fanin.wait(0),
        lambda: fanin.add(subscriber, "b"),
    ):
        with pytest.raises(Closed):
            act()
    fanin.remove("a")
    assert fanin.next() is None
    with pytest.raises(NotReady):
        fanin.wait(0)


def test_an_error_names_its_source_and_the_others_go_on_without_it(
    open_pair: OpenPair, tmp_path: Path
) -> None:
    fanin = FanIn()
    (good, one), (bad, two) = open_pair("good"), open_pair("bad")
    fanin.add(one, "good")
    fanin.add(two, "bad")
    append(bad, 1)
    append(good, 2)
    segment = tmp_path / "bad" / "000000000.q"
    content = bytearray(segment.read_bytes())
    content[128 + 40] ^= 1
    segment.write_bytes(content)
    with pytest.raises(Corrupt):
        fanin.next()
    assert fanin.failed == "bad"
    fanin.remove("bad")
    assert read_all(fanin) == [(2, "good", 0)]


# ---------------------------------------------------------------- zero copy, waiting, liveness


def test_messages_are_views_into_the_mapping_and_outlive_the_next_ones(open_pair: OpenPair) -> None:
    fanin, messages = FanIn(), []
    publisher, subscriber = open_pair("a")
    fanin.add(subscriber, "a")
    for ts in range(200):
        append(publisher, ts, 100)
        message = fanin.next()
        assert message is not None
        messages.append(message)
    assert [int.from_bytes(memoryview(message)[:8], "little") for message in messages] == list(range(200))
    assert memoryview(messages[0]).readonly


def test_a_wait_wakes_on_any_source(open_pair: OpenPair) -> None:
    fanin = FanIn()
    pairs = [open_pair(name) for name in "abc"]
    for name, (_, subscriber) in zip("abc", pairs, strict=True):
        fanin.add(subscriber, name)
    assert not fanin.wait(0.01)
    for name, (publisher, _) in zip("abc", pairs, strict=True):
        timer = threading.Timer(0.05, publisher.append, (1, b"x"))
        timer.start()
        assert fanin.wait(30)
        timer.join()
        assert fanin.next() is not None
        assert fanin.source == name


def test_sources_that_are_held_for_long_keep_their_heartbeat(tmp_path: Path) -> None:
    config = QueueConfig(segment_size=65536, reader_ttl_s=0.2)
    fanin, handles = FanIn(), []
    for name in ("busy", "held"):
        publisher = Queue.open_publisher(tmp_path / name, config)
        handles += [publisher, Queue.open_subscriber(tmp_path / name, "reader", config)]
        fanin.add(handles[-1], name)
    busy, held = handles[0], handles[2]
    held.append(1, b"later", 1 << 62)
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        for _ in range(200):
            busy.append(1, b"x")
            assert fanin.next() is not None
            assert fanin.source == "busy"
    for _ in range(3):
        held.roll()  # retention looks at its readers here: one forgotten would be told at its next read
    busy.close()
    message = fanin.next()
    assert message is not None
    assert bytes(message) == b"later"
    for handle in handles:
        handle.close()
