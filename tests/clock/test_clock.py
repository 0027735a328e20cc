"""The TSC clock agrees with the system's, and does not run backwards."""

import time

from libchronicle.clock import Clock, SystemClock, TscClock, monotonic_ns, now_ns, tsc_usable
from libchronicle.queue import Queue, QueueConfig


def test_the_tsc_clock_agrees_with_the_system_clock():
    apart = []
    for _ in range(2000):
        before, now, after = time.time_ns(), now_ns(), time.time_ns()
        apart.append(max(before - now, now - after))
    assert sorted(apart)[len(apart) // 2] < 20_000


def test_it_stays_right_over_its_recalibrations():
    until = time.monotonic() + 1.2
    while time.monotonic() < until:
        before, now, after = time.time_ns(), now_ns(), time.time_ns()
        assert before - 1_000_000 < now < after + 1_000_000


def test_monotonic_is_the_clock_heartbeats_use():
    before = time.monotonic_ns()
    assert before <= monotonic_ns() <= time.monotonic_ns()


def test_both_clocks_keep_the_contract():
    for clock in (SystemClock(), TscClock()):
        contract: Clock = clock
        assert abs(contract.now_ns() - time.time_ns()) < 1_000_000_000
    assert isinstance(tsc_usable(), bool)


def test_timestamps_of_a_writer_never_decrease_on_either_clock(tmp_path):
    for clock in ("tsc", "system"):
        config = QueueConfig(segment_size=1 << 20, clock=clock)
        path = tmp_path / clock
        with Queue.open_publisher(path, config) as writer, Queue.open_subscriber(path, None) as reader:
            before = time.time_ns()
            for _ in range(5000):
                writer.append(1, b"")
            times = [m.ts_ns for m in reader]
            assert times == sorted(times)
            assert before - 1_000_000 < times[0]
            assert times[-1] < time.time_ns() + 1_000_000


def test_a_clock_that_stands_before_the_last_timestamp_is_clamped_and_flagged(tmp_path):
    with Queue.open_publisher(tmp_path / "q", QueueConfig(segment_size=1 << 16)) as writer:
        ahead = time.time_ns() + 3_600_000_000_000
        writer.append(1, b"", ahead)
        writer.append(1, b"")
        with Queue.open_subscriber(tmp_path / "q", None) as reader:
            first, second = reader.drain()
    assert (first.flags & 1, second.flags & 1) == (0, 1)
    assert second.ts_ns == ahead
