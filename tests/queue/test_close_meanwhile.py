"""Closing a handle, or keeping a view, at the wrong moment: an exception, never a crash, never another record's bytes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from libchronicle.errors import Closed, InvalidArgument, QueueMisuse
from libchronicle.queue import Message, Publisher, Queue, QueueConfig, Reservation, verify, wait_any

SOON_S = 0.1
LONG_S = 20.0


@pytest.fixture
def from_a_signal_handler() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Runs a function in this thread's signal handler in a moment."""

    def arrange(action: Callable[[], None]) -> None:
        signal.signal(signal.SIGALRM, lambda *_: action())
        signal.setitimer(signal.ITIMER_REAL, SOON_S)

    before = signal.getsignal(signal.SIGALRM)
    yield arrange
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def in_another_thread(action: Callable[[], None]) -> None:
    threading.Timer(SOON_S, action).start()


def full_queue(path: object) -> Publisher:
    """A writer that waits for room that never comes."""
    config = QueueConfig(
        segment_size=16384, budget_bytes=32768, on_full="block", block_timeout_s=LONG_S, durable=("slow",)
    )
    return Queue.open_publisher(path, config)


def fill(writer: Publisher) -> None:
    while True:
        writer.append(1, bytes(1000))


def test_a_signal_handler_may_close_the_reader_that_waits(tmp_path, from_a_signal_handler):
    with Queue.open_publisher(tmp_path / "q"), Queue.open_subscriber(tmp_path / "q", "a") as reader:
        from_a_signal_handler(reader.close)
        with pytest.raises(Closed):
            reader.wait(LONG_S)


def test_another_thread_may_close_the_reader_that_waits(tmp_path):
    with Queue.open_publisher(tmp_path / "q"), Queue.open_subscriber(tmp_path / "q", "a") as reader:
        in_another_thread(reader.close)
        with pytest.raises(Closed):
            reader.wait(LONG_S)
        Queue.open_subscriber(tmp_path / "q", "a").close()  # the name is free again


def test_a_reader_closed_during_wait_any_is_told(tmp_path, from_a_signal_handler):
    with Queue.open_publisher(tmp_path / "q"), Queue.open_subscriber(tmp_path / "q", "b") as other:
        for arrange in (from_a_signal_handler, in_another_thread):
            reader = Queue.open_subscriber(tmp_path / "q", "a")
            arrange(reader.close)
            with pytest.raises(Closed):
                wait_any([other, reader], LONG_S)


def test_a_writer_that_waits_for_room_may_be_closed(tmp_path, from_a_signal_handler):
    for name, arrange in (("q1", from_a_signal_handler), ("q2", in_another_thread)):
        writer = full_queue(tmp_path / name)
        Queue.open_subscriber(tmp_path / name, "slow").close()
        arrange(writer.close)
        with pytest.raises(Closed):
            fill(writer)
        Queue.open_publisher(tmp_path / name).close()  # the lock is free again


def test_closing_inside_a_reservation_says_that_nothing_was_appended(tmp_path):
    writer = Queue.open_publisher(tmp_path / "q")
    with pytest.raises(Closed), writer.reserve(7, 100) as view:  # noqa: PT012  (the end of the block raises)
        writer.close()
        view[:] = bytes(100)
    with Queue.open_publisher(tmp_path / "q") as again:
        assert again.next_seq == 0


def test_a_view_kept_beyond_its_reservation_alters_no_later_record(tmp_path):
    with Queue.open_publisher(tmp_path / "q") as writer:
        with pytest.raises(QueueMisuse), writer.reserve(7, 10) as view:
            kept = view[:]
        with pytest.raises(QueueMisuse):
            writer.append(7, b"not while it could be overwritten")
        kept[:] = b"X" * 10
        kept.release()
        assert writer.append(7, b"now") == 0
    with Queue.open_subscriber(tmp_path / "q", None, start="earliest") as reader:
        assert [bytes(message) for message in reader] == [b"now"]
    assert verify(tmp_path / "q") == []


def test_a_view_kept_beyond_the_writer_stays_readable(tmp_path):
    writer = Queue.open_publisher(tmp_path / "q")
    with pytest.raises(QueueMisuse), writer.reserve(7, 10) as view:
        kept = view[:]
    writer.close()
    kept[:] = b"X" * 10
    assert bytes(kept) == b"X" * 10
    kept.release()
    with Queue.open_publisher(tmp_path / "q") as again:
        assert again.append(7, b"first") == 0
    assert verify(tmp_path / "q") == []


def test_objects_that_never_came_from_a_queue_are_harmless(tmp_path):
    with pytest.raises(TypeError):
        Message()
    nothing = Message.__new__(Message)
    assert (bytes(nothing), nothing.seq) == (b"", 0)
    with pytest.raises(TypeError):
        Reservation(None, 1, 5, -1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        wait_any([None], 0.1)  # type: ignore[list-item]
    with Queue.open_publisher(tmp_path / "q") as writer:
        reservation = writer.reserve(1, 5)
        with pytest.raises(QueueMisuse):
            reservation.__exit__(None, None, None)


def test_a_timeout_is_a_number_of_any_size(tmp_path):
    with Queue.open_publisher(tmp_path / "q") as writer, Queue.open_subscriber(tmp_path / "q", "a") as reader:
        assert not reader.wait(-5)
        with pytest.raises(InvalidArgument, match="timeout is nan"):
            reader.wait(float("nan"))
        writer.append(1, b"x")
        assert reader.wait(float("inf"))
        assert wait_any([reader], 1e300) == [reader]
