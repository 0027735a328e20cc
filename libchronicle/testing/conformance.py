"""What every bus must do, as checks to run against it: `for check in QUEUE_CHECKS: check(bus, path)`.

A bus opens publishers and subscribers as `libchronicle.queue.Queue` does. `path` names a queue that is not there yet. A
check raises AssertionError; it leaves its queue behind.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final, Protocol

from libchronicle.errors import (
    ChronicleError,
    Closed,
    NotReady,
    ReaderAlreadyActive,
    TimestampOrder,
    WriterAlreadyActive,
)

__all__ = ["QUEUE_CHECKS", "Bus"]

Path = str | os.PathLike[str]


class Bus(Protocol):
    """Queue, MemoryBus, or yours."""

    def open_publisher(self, path: Path) -> Any: ...
    def open_subscriber(self, path: Path, name: str | None, **start: Any) -> Any: ...


def records_come_out_as_they_went_in(bus: Bus, path: Path) -> None:
    with bus.open_publisher(path) as writer, bus.open_subscriber(path, "r") as reader:
        sent = [(n % 5 + 1, bytes([n]) * n, 1000 + n) for n in range(50)]
        assert [writer.append(kind, payload, ts) for kind, payload, ts in sent] == list(range(50))
        got = reader.drain()
        assert [(m.type_id, bytes(m), m.ts_ns) for m in got] == sent
        assert [(m.seq, m.epoch, len(m)) for m in got] == [(n, writer.epoch, n) for n in range(50)]
        assert bytes(memoryview(got[7])) == got[7].payload == sent[7][1]
        assert reader.next() is None
        assert reader.lag()[1] == 0


def every_reader_has_its_own_place(bus: Bus, path: Path) -> None:
    with bus.open_publisher(path) as writer:
        for n in range(6):
            writer.append(1, b"%d" % n)
        with bus.open_subscriber(path, "fast") as fast, bus.open_subscriber(path, "slow") as slow:
            assert len(fast.drain()) == 6
            assert bytes(slow.next()) == b"0"
            assert (fast.lag()[1], slow.lag()[1]) == (0, 5)


def a_reader_resumes_where_it_committed(bus: Bus, path: Path) -> None:
    with bus.open_publisher(path) as writer:
        for n in range(6):
            writer.append(1, b"%d" % n)
    for expected in (0, 2, 4):
        with bus.open_subscriber(path, "r") as reader:
            assert reader.next().seq == expected
            reader.next()
            reader.commit()
            reader.next()  # read, not committed: comes again
    with bus.open_subscriber(path, None) as anonymous:
        assert anonymous.next().seq == 0


def a_reader_starts_where_it_is_told(bus: Bus, path: Path) -> None:
    with bus.open_publisher(path) as writer:
        for n in range(5):
            writer.append(1, b"%d" % n)
        for start, first in (({"start": "earliest"}, 0), ({"seq": 3}, 3)):
            with bus.open_subscriber(path, None, **start) as reader:
                assert reader.next().seq == first
        with bus.open_subscriber(path, None, start="latest") as reader:
            assert reader.next() is None
            writer.append(1, b"new")
            assert reader.next().seq == 5
            reader.seek_seq(2)
            assert reader.next().seq == 2


def sequences_and_epochs_go_on_over_restarts(bus: Bus, path: Path) -> None:
    for n in range(3):
        with bus.open_publisher(path) as writer:
            assert writer.append(1, b"") == n
    with bus.open_subscriber(path, None, start="earliest") as reader:
        assert [(m.seq, m.epoch) for m in reader.drain()] == [(0, 1), (1, 2), (2, 3)]


def time_never_decreases(bus: Bus, path: Path) -> None:
    with bus.open_publisher(path) as writer:
        writer.append(1, b"", 1 << 62)
        writer.append(1, b"")  # its own clock is behind: clamped
        assert writer.last_ts_ns == 1 << 62
        _refuses(TimestampOrder, lambda: writer.append(1, b"", 5))
        assert writer.next_seq == 2, "what was refused left no trace"


def one_writer_and_one_reader_of_a_name(bus: Bus, path: Path) -> None:
    _refuses(NotReady, lambda: bus.open_subscriber(path, "r"))
    with bus.open_publisher(path) as writer:
        _refuses(WriterAlreadyActive, lambda: bus.open_publisher(path))
        with bus.open_subscriber(path, "r"):
            _refuses(ReaderAlreadyActive, lambda: bus.open_subscriber(path, "r"))
        bus.open_subscriber(path, "r").close()
        writer.close()
        writer.close()
        _refuses(Closed, lambda: writer.append(1, b""))
        bus.open_publisher(path).close()


QUEUE_CHECKS: Final[tuple[Callable[[Bus, Path], None], ...]] = (
    records_come_out_as_they_went_in,
    every_reader_has_its_own_place,
    a_reader_resumes_where_it_committed,
    a_reader_starts_where_it_is_told,
    sequences_and_epochs_go_on_over_restarts,
    time_never_decreases,
    one_writer_and_one_reader_of_a_name,
)


def _refuses(error: type[ChronicleError], act: Callable[[], object]) -> None:
    try:
        act()
    except error:
        return
    raise AssertionError(f"not refused with {error.__name__}")
