"""In a forked child every method of a handle says Forked; only closing works."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable

import pytest

from libchronicle.errors import Forked
from libchronicle.queue import Publisher, Queue, QueueConfig, Subscriber, wait_any

SMALL = QueueConfig(segment_size=1 << 16)
HARMLESS = {"close", "closed", "path", "name", "config"}
"""What neither touches the queue nor tells anything of it."""

ARGUMENTS: dict[str, tuple[object, ...]] = {
    "append": (1, b"child"),
    "append_many": (1, [b"child"]),
    "for_each": (print,),
    "seek_seq": (0,),
    "seek_time": (0,),
    "seek_token": ((1, 1, 0),),
}


def in_a_child(action: Callable[[], None]) -> None:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            action()
            code = 0
        finally:
            if code:
                traceback.print_exc()
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0


def says_forked(call: Callable[[], object], what: str) -> None:
    with pytest.raises(Forked) as caught:
        pytest.fail(f"{what} returned {call()!r}")
    assert caught.value.pid == os.getppid(), what


def use(handle: object, name: str) -> object:
    member = getattr(handle, name)
    if not callable(member):
        return member
    if name == "reserve":
        with handle.reserve(1, 10):  # type: ignore[attr-defined]
            return "a reservation"
    return member(*ARGUMENTS.get(name, ()))


@pytest.fixture
def pair(tmp_path):
    with (
        Queue.open_publisher(tmp_path / "q", SMALL) as writer,
        Queue.open_subscriber(tmp_path / "q", "a") as reader,
    ):
        yield writer, reader


def test_every_method_and_property_of_a_forked_handle_says_so(pair):
    writer, reader = pair
    writer.append(1, b"parent")

    def child() -> None:
        for handle in (writer, reader):
            for name in (n for n in dir(type(handle)) if not n.startswith("_") and n not in HARMLESS):
                says_forked(
                    lambda handle=handle, name=name: use(handle, name), f"{type(handle).__name__}.{name}"
                )
        says_forked(lambda: next(iter(reader)), "iteration")
        says_forked(lambda: wait_any([reader], 0), "wait_any")
        says_forked(lambda: writer.append_many(1, bytes(8), item_size=8), "append_many of a buffer")
        says_forked(lambda: writer.append_many(1, []), "append_many of nothing")
        says_forked(lambda: reader.drain(0), "drain of nothing")
        says_forked(lambda: reader.wait(0), "wait(0)")
        assert not reader.closed
        reader.close()
        writer.close()
        assert reader.closed

    in_a_child(child)
    assert writer.append(1, b"still mine") == 1
    assert [bytes(m) for m in reader] == [b"parent", b"still mine"]
    reader.commit()


def test_the_audit_sees_every_public_name():
    """A new method must not slip by: what is harmless is listed here by hand."""
    names = {n for kind in (Publisher, Subscriber) for n in dir(kind) if not n.startswith("_")}
    assert names >= HARMLESS
    assert {"flush", "wait", "writer_status", "metrics", "drain_columns", "heartbeat"} <= names - HARMLESS


def test_a_reservation_of_the_parent_cannot_be_kept_in_a_child(pair):
    writer, reader = pair
    reservation = writer.reserve(1, 5)
    view = reservation.__enter__()

    def child() -> None:
        view[:] = b"child"
        says_forked(lambda: reservation.__exit__(None, None, None), "reservation")

    in_a_child(child)
    view[:] = b"mine!"
    reservation.__exit__(None, None, None)
    assert [bytes(m) for m in reader] == [b"mine!"]


def test_a_message_read_before_the_fork_is_good_in_the_child(pair):
    writer, reader = pair
    writer.append(1, b"kept")
    message = reader.next()

    def child() -> None:
        assert (bytes(message), message.seq) == (b"kept", 0)

    in_a_child(child)
