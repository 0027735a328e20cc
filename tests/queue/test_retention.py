"""Which segments go, when, and who is told."""

import time

import pytest

from libchronicle.errors import Evicted, QueueFull, ReaderForgotten
from libchronicle.queue import Queue, QueueConfig, inspect
from tests.queue.damage import put

SIZE = 1 << 16
RECORD = bytes(4000)
PER_SEGMENT = (SIZE - 128 - 32) // 4032


def config(**more):
    return QueueConfig(segment_size=SIZE, **more)


def fill(writer, segments):
    writer.append_many(1, [RECORD] * (segments * PER_SEGMENT))


def settle(writer, condition, seconds=20):
    """The clean thread works in its own time: nudge it until what must come has come."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        writer.heartbeat()
        if condition():
            return True
        time.sleep(0.01)
    return False


def numbers(path, suffix="q"):
    return sorted(int(file.stem) for file in path.glob(f"[0-9]*.{suffix}"))


def test_a_segment_goes_when_every_reader_has_passed_it(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(path, config(durable=("etl",))) as writer:
        slow, fast = Queue.open_subscriber(path, "etl"), Queue.open_subscriber(path, "fast")
        fill(writer, 6)
        fast.drain()
        fast.commit()
        assert not settle(writer, lambda: 0 not in numbers(path), 0.3), "the slow reader holds it"
        slow.drain(2 * PER_SEGMENT + 1)
        slow.commit()
        assert settle(writer, lambda: numbers(path)[0] == 2)
        assert numbers(path, "idx")[0] == 2, "the index goes with its segment"
        slow.drain()
        slow.commit()
        live = inspect(path).head // SIZE
        assert settle(writer, lambda: numbers(path)[0] == live - 1), "one sealed segment is kept"
        assert writer.metrics()["oldest"] == live - 1
        slow.close()
        fast.close()
    with Queue.open_subscriber(path, "new") as fresh:
        assert fresh.next().seq == inspect(path).oldest_seq, (
            "a new reader on a pruned queue starts at the oldest record"
        )


def test_the_mark_of_the_oldest_record_never_comes_to_a_segment_that_cannot_be_opened(tmp_path):
    path = tmp_path / "q"
    with (
        Queue.open_publisher(path, config(durable=("etl",))) as writer,
        Queue.open_subscriber(path, "etl") as reader,
    ):
        fill(writer, 6)
        reader.drain(2 * PER_SEGMENT + 1)
        put(path / "000000002.q", 0, "<8Q", *[0] * 8)
        reader.commit()
        assert settle(writer, lambda: numbers(path)[0] == 1), "segment 2 has no beginning: 1 stays"
        assert (inspect(path).oldest, inspect(path).oldest_seq) == (1, PER_SEGMENT)
        reader.drain(PER_SEGMENT)
        reader.commit()
        assert settle(writer, lambda: numbers(path)[0] == 3)
        assert (inspect(path).oldest, inspect(path).oldest_seq) == (3, 3 * PER_SEGMENT)


def test_eviction_takes_a_segment_that_cannot_be_opened_with_the_one_before_it(tmp_path):
    path = tmp_path / "q"
    budget = 5 * (SIZE + 56)
    with Queue.open_publisher(path, config(budget_bytes=budget, on_full="evict", durable=("etl",))) as writer:
        fill(writer, 3)
        put(path / "000000001.q", 0, "<8Q", *[0] * 8)
        fill(writer, 3)
        assert settle(writer, lambda: inspect(path).oldest >= 2)
        state = inspect(path)
        assert state.oldest_seq == state.oldest * PER_SEGMENT
        assert writer.metrics()["evicted"] == state.oldest


def test_without_a_reader_nothing_goes(tmp_path):
    with Queue.open_publisher(tmp_path / "q", config()) as writer:
        fill(writer, 5)
        assert not settle(writer, lambda: 0 not in numbers(tmp_path / "q"), 0.3)


def test_a_durable_reader_that_never_came_holds_everything(tmp_path):
    path = tmp_path / "q"
    with (
        Queue.open_publisher(path, config(durable=("etl", "archive"))) as writer,
        Queue.open_subscriber(path, "etl") as reader,
    ):
        fill(writer, 5)
        reader.drain()
        reader.commit()
        assert not settle(writer, lambda: 0 not in numbers(path), 0.3)


def test_a_segment_stays_for_its_age(tmp_path):
    path = tmp_path / "q"
    with (
        Queue.open_publisher(path, config(retain_age_s=0.5, retain_segments=0)) as writer,
        Queue.open_subscriber(path, "a") as reader,
    ):
        fill(writer, 3)
        began = time.monotonic()
        reader.drain()
        reader.commit()
        assert settle(writer, lambda: writer.roll() or 0 not in numbers(path))
        assert time.monotonic() - began >= 0.4


def test_an_ephemeral_reader_that_died_is_forgotten_and_told(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(path, config(reader_ttl_s=0.2)) as writer:
        dead = Queue.open_subscriber(path, "dead", config(reader_ttl_s=0.2))
        with Queue.open_subscriber(path, "alive") as alive:
            dead.next()

            def pruned():
                alive.drain()
                alive.commit()
                return 0 not in numbers(path)

            fill(writer, 5)
            assert settle(writer, pruned)
        assert settle(writer, lambda: writer.metrics()["forgotten"] == 1)
        with pytest.raises(ReaderForgotten):
            dead.drain()
        with pytest.raises(ReaderForgotten):
            dead.next()
        dead.close()
        with pytest.raises(Evicted):
            Queue.open_subscriber(path, "dead")
        with Queue.open_subscriber(path, "dead", start="resume_or_oldest") as again:
            assert again.next_seq == inspect(path).oldest_seq


def test_a_reader_in_a_tight_loop_stays_alive_without_waiting(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(path, config(reader_ttl_s=0.3)) as writer:
        with Queue.open_subscriber(path, "a", config(reader_ttl_s=0.3)) as reader:
            until = time.monotonic() + 1.0
            while time.monotonic() < until:
                reader.next()
            assert inspect(path).readers[0].heartbeat_age_s < 0.3
        assert writer.metrics()["forgotten"] == 0


def test_a_reader_that_takes_its_time_over_each_record_stays_alive(tmp_path):
    path = tmp_path / "q"
    ttl = config(reader_ttl_s=0.4)
    with Queue.open_publisher(path, ttl) as writer, Queue.open_subscriber(path, "slow", ttl) as reader:
        fill(writer, 4)
        beats = set()
        for _ in range(8):
            time.sleep(0.1)
            assert reader.next() is not None
            beats.add((path / "readers" / "slow.meta").read_bytes()[40:48])
        assert len(beats) >= 6, "every record read is a sign of life"


def test_durable_names_may_be_strange(tmp_path):
    path = tmp_path / "q"
    with (
        Queue.open_publisher(path, config(durable=("etl/raw",))) as writer,
        Queue.open_subscriber(path, "etl/raw") as reader,
    ):
        assert inspect(path).readers[0].durable
        fill(writer, 4)
        reader.drain()
        reader.commit()
        assert settle(writer, lambda: 0 not in numbers(path))


def test_a_reader_too_far_behind_is_no_longer_waited_for(tmp_path):
    path = tmp_path / "q"
    with (
        Queue.open_publisher(path, config(max_lag_bytes=2 * SIZE, retain_segments=0)) as writer,
        Queue.open_subscriber(path, "slow"),
        Queue.open_subscriber(path, "good") as good,
    ):
        fill(writer, 6)
        good.drain()
        good.commit()
        assert settle(writer, lambda: 0 not in numbers(path))


def test_evict_drops_the_oldest_and_a_durable_reader_is_told_what_it_missed(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(
        path, config(budget_bytes=4 * (SIZE + 1024), on_full="evict", durable=("etl",))
    ) as writer:
        with Queue.open_subscriber(path, "etl") as etl:
            assert etl.next() is None
            fill(writer, 10)
            assert len(numbers(path)) <= 4
            got = []
            holes = []
            while True:
                try:
                    m = etl.next()
                except Evicted as error:
                    holes.append((error.from_seq, error.to_seq))
                    continue
                if m is None:
                    break
                got.append(m.seq)
            assert holes, "eviction is told"
            missed = [seq for first, last in holes for seq in range(first, last + 1)]
            assert sorted(got + missed) == list(range(10 * PER_SEGMENT))
        assert writer.metrics()["evicted"] >= 5


def test_fail_refuses_when_the_budget_is_used_up_and_goes_on_when_there_is_room(tmp_path):
    path = tmp_path / "q"
    with (
        Queue.open_publisher(
            path, config(budget_bytes=3 * (SIZE + 1024), durable=("router",), retain_segments=0)
        ) as writer,
        Queue.open_subscriber(path, "router") as router,
    ):
        with pytest.raises(QueueFull):
            fill(writer, 5)
        appended = writer.next_seq
        with pytest.raises(QueueFull):
            writer.append(1, RECORD)
        assert len(router.drain()) == appended
        router.commit()
        assert writer.append(1, RECORD) == appended
        assert [m.seq for m in router] == [appended]
        assert writer.metrics()["full"] >= 2


def test_block_waits_for_the_reader(tmp_path, spawn):
    path = tmp_path / "q"
    code = """
        import sys, time
        from libchronicle.queue import Queue
        with Queue.open_subscriber(sys.argv[1], "etl") as reader:
            print("open")
            n = 0
            while n < int(sys.argv[2]):
                n += len(reader.drain(5))
                reader.commit()
                time.sleep(0.001)
            print(n)
    """
    budget = config(
        budget_bytes=3 * (SIZE + 1024),
        on_full="block",
        block_timeout_s=60,
        durable=("etl",),
        retain_segments=0,
    )
    with Queue.open_publisher(path, budget) as writer:
        child = spawn(code, path, 10 * PER_SEGMENT)
        assert child.stdout.readline() == "open\n"
        fill(writer, 10)
        assert child.stdout.readline() == f"{10 * PER_SEGMENT}\n"


def test_block_gives_up_when_its_time_is_over(tmp_path):
    budget = config(budget_bytes=3 * (SIZE + 1024), on_full="block", block_timeout_s=0.05, durable=("etl",))
    with Queue.open_publisher(tmp_path / "q", budget) as writer, pytest.raises(QueueFull):
        fill(writer, 10)


def test_a_sealed_segment_never_changes(tmp_path):
    path = tmp_path / "q"
    with Queue.open_publisher(path, config()) as writer:
        fill(writer, 2)
        assert settle(writer, lambda: inspect(path).segments[0].state == "sealed")
        before = (path / "000000000.q").read_bytes()
        facts = inspect(path).segments[0]
        assert (facts.first_seq, facts.frames, facts.last_seq) == (0, PER_SEGMENT, PER_SEGMENT - 1)
        fill(writer, 2)
    Queue.open_publisher(path).close()
    assert (path / "000000000.q").read_bytes() == before


def test_a_segment_rolls_by_time(tmp_path):
    with Queue.open_publisher(tmp_path / "q", config(max_segment_age_s=0.05)) as writer:
        writer.append(1, b"a")
        time.sleep(0.1)
        writer.heartbeat()
        assert writer.metrics()["rolls"] == 1
        writer.heartbeat()
        assert writer.metrics()["rolls"] == 1, "an empty segment does not roll"


def test_the_stored_segment_size_wins(tmp_path):
    Queue.open_publisher(tmp_path / "q", config()).close()
    with Queue.open_publisher(tmp_path / "q", QueueConfig(segment_size=1 << 20)) as writer:
        assert writer.segment_size == SIZE


def test_a_segment_that_goes_after_its_last_record_was_committed_is_no_loss(tmp_path):
    path = tmp_path / "q"
    brief = config(reader_ttl_s=0.05, durable=("etl",), retain_segments=0)
    with Queue.open_publisher(path, brief) as writer, Queue.open_subscriber(path, "etl", brief) as etl:
        writer.append_many(1, [b"old"] * 5)
        with Queue.open_subscriber(path, "guest", brief) as guest:
            assert len(guest.drain()) == 5
            guest.commit()  # stands at the tail, where the roll will put a padding
        time.sleep(0.1)
        writer.roll()
        writer.append(1, b"new")
        etl.drain()
        etl.commit()
        assert settle(writer, lambda: 0 not in numbers(path))
        with Queue.open_subscriber(path, "guest", brief) as guest:
            assert [m.seq for m in guest] == [5]


def test_a_reader_that_opens_where_segments_are_going_is_not_forgotten(tmp_path, spawn):
    """Retention looks who stands where, then removes; a reader may begin in between. A tight budget keeps it busy."""
    path = tmp_path / "q"
    code = """
        import sys, time
        from libchronicle.errors import QueueFull
        from libchronicle.queue import Queue, QueueConfig
        config = QueueConfig(segment_size=1 << 16, budget_bytes=6 << 16, on_full="fail", reader_ttl_s=0.002)
        with Queue.open_publisher(sys.argv[1], config) as writer, Queue.open_subscriber(sys.argv[1], "near") as near:
            records = [bytes(4000)] * 16
            writer.append_many(1, records * 3)
            print("open")
            while True:
                try:
                    writer.append_many(1, records)
                except QueueFull:
                    time.sleep(0.0001)
                near.drain()
                near.commit()
    """
    child = spawn(code, path)
    assert child.stdout.readline() == "open\n"
    until = time.monotonic() + 4
    begun, ages = set(), []
    while time.monotonic() < until:
        with Queue.open_subscriber(path, f"far{len(begun)}", start="earliest") as reader:
            try:
                begun.add(reader.next().seq)
                time.sleep(0.0003)
                assert reader.next() is not None
            except ReaderForgotten as told:
                ages.append(told.age_s)
        time.sleep(0.0023)  # its heartbeat grows old, and what it held may go
    assert len(begun) > 10, "segments go all the while"
    assert all(age >= 0.002 for age in ages), "only a reader whose heartbeat is old is forgotten"
