"""A recorded session again: what a strategy host or a router was given, in the order in which it was given.

Its journal names its sources (queue, first seq) and then, run by run, which of their records were dispatched and what time
the strategy was told. So the order here is the journal's, not that of the records' times. Records of the journal itself
(timers, states, parameters, kill word) come between, where they happened.

    time of a record   what the session was told: `nowNs` of its Dispatch; never decreasing
    records of a run   from the archive and the queues, by queue id and seq; what neither has any more is a LOST record
    muted runs         come too: they fed the books before the strategy was started
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Final

from libchronicle.bus.names import decode_name
from libchronicle.errors import InvalidArgument, UnknownSession
from libchronicle.native.binding import Message
from libchronicle.protocol import (
    Dispatch,
    KillChange,
    Parameter,
    SessionSource,
    SessionStart,
    SessionStop,
    StateChange,
    TimerFired,
)
from libchronicle.replay.source import RecordSource
from libchronicle.storage.archive import Archive
from libchronicle.storage.catalog import Stream

__all__ = ["session_source", "sessions"]

_LOST: Final = 0xFFFE
_DAY_NS: Final = 86_400_000_000_000
_TIMED: Final = {k.TEMPLATE_ID: k for k in (KillChange, Parameter, SessionStop, StateChange, TimerFired)}

Timed = tuple[int, bytes, int]  # type id, payload, time


def sessions(archive: Archive, name: str) -> list[SessionStart]:
    """The sessions of a strategy or of the router, oldest first."""
    journal = archive.read("_sessions", name, "session")
    return [SessionStart.decode(m) for m in journal if m.type_id == SessionStart.TEMPLATE_ID]


def session_source(archive: Archive, name: str, session_id: int | None = None) -> RecordSource:
    """A source for Replay that follows one session; without an id, the last. Raises UnknownSession."""
    known = sessions(archive, name)
    chosen = [one for one in known if session_id is None or one.session_id == session_id]
    if not chosen:
        raise UnknownSession(name=name, known=", ".join(str(one.session_id) for one in known) or "none")
    return RecordSource(_follow(archive, name, chosen[-1]), f"session {name}")


def _follow(archive: Archive, name: str, start: SessionStart) -> Iterator[Timed]:
    runs: dict[int, _Run] = {}
    now_ns = start.realtime_ns
    inside = False
    for message in archive.read("_sessions", name, "session"):
        kind = message.type_id
        if kind == SessionStart.TEMPLATE_ID:
            inside = SessionStart.decode(message).session_id == start.session_id
        if not inside:
            continue
        if kind == Dispatch.TEMPLATE_ID:
            run = Dispatch.decode(message)
            now_ns = max(now_ns, run.now_ns)
            if run.source not in runs:
                raise InvalidArgument(
                    where=f"session {name}",
                    field="source",
                    value=run.source,
                    allowed="one that the journal named before",
                )
            for type_id, payload in runs[run.source].take(run.first_seq, run.last_seq):
                yield type_id, payload, now_ns
            continue
        if kind == SessionSource.TEMPLATE_ID:
            told = SessionSource.decode(message)
            runs[told.source] = _Run(archive, told, start.realtime_ns - _DAY_NS)
        elif kind in _TIMED:
            now_ns = max(now_ns, _time_of(message, kind))
        yield kind, bytes(message), now_ns


def _time_of(message: Message, kind: int) -> int:
    record: Any = _TIMED[kind].decode(message)
    found: int = record.now_ns
    return found


class _Run:
    """Records of one source by seq, forward only. It is read from a day before the session on."""

    def __init__(self, archive: Archive, source: SessionSource, since_ns: int) -> None:
        stream = _stream(source.path)
        self._reading = archive.read(stream.venue, stream.symbol, stream.stream, since_ns, damage="skip")
        self._messages = self._of_queue(source.queue_id)
        self._ahead: Message | None = None

    def _of_queue(self, queue_id: int) -> Iterator[Message]:
        for merge in self._reading.merges():
            for chain in merge.chains:
                if chain.queue_id == queue_id:
                    yield from (message for message in chain if message.type_id != _LOST)

    def take(self, first: int, last: int) -> Iterator[tuple[int, bytes]]:
        due = first
        while due <= last:
            message = self._ahead if self._ahead is not None else next(self._messages, None)
            self._ahead = None
            upto = last if message is None else min(last, message.seq - 1)
            if message is not None and message.seq < due:
                continue
            if upto >= due:
                yield _LOST, due.to_bytes(8, "little") + upto.to_bytes(8, "little")
                due = upto + 1
            if message is not None and message.seq <= last:
                yield message.type_id, bytes(message)
                due = message.seq + 1
            else:
                self._ahead = message


def _stream(path: str) -> Stream:
    """What the archive calls a queue of the bus. Raises InvalidArgument for one that is not archived."""
    parts = PurePosixPath(path).parts
    if parts[-3:-1] == ("market_data", "queue"):
        return Stream("_raw", decode_name(parts[-1]), "raw")
    if parts[-4:-2] == ("orders", "queue") and parts[-1] in ("orders_in", "orders_out"):
        return Stream("_orders", decode_name(parts[-2]), parts[-1])
    if parts[-5:-3] == ("market_data", "clean"):
        return Stream(decode_name(parts[-3]), decode_name(parts[-2]), parts[-1])
    allowed = "market_data/queue/…, market_data/clean/…, orders/queue/…/orders_in or orders_out"
    raise InvalidArgument(where="session_source", field="path", value=path, allowed=allowed)
