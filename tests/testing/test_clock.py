from libchronicle.testing import ManualClock, MemoryBus


def test_a_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(now_ns=100)
    assert (clock.now_ns(), clock.monotonic_s()) == (100, 0.0)
    assert clock.advance(seconds=1.5, ns=7) == 1_500_000_107
    clock.set(5)
    assert clock.now_ns() == 5


def test_a_memory_bus_stamps_with_the_clock_it_is_given_and_never_goes_back() -> None:
    clock = ManualClock(now_ns=1000)
    bus = MemoryBus(clock)
    with bus.open_publisher("q") as writer, bus.open_subscriber("q", None) as reader:
        writer.append(1, b"")
        clock.set(900)
        writer.append(1, b"")
        clock.set(1100)
        writer.append(1, b"")
        assert [(message.ts_ns, message.flags) for message in reader] == [(1000, 0), (1000, 1), (1100, 0)]
