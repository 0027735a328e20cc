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
from typing import Any, Final

from libchronicle.errors import InvalidArgument
from libchronicle.native.binding import LOST_TYPE, Message
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
from libchronicle.replay.journal import RecordedSession, find_session, journal_records, recorded_sessions
from libchronicle.replay.recorded import DAY_NS, RecordedQueue
from libchronicle.replay.source import RecordSource
from libchronicle.storage.archive import Archive

__all__ = ["session_source", "sessions"]

_TIMED: Final = {k.TEMPLATE_ID: k for k in (KillChange, Parameter, SessionStop, StateChange, TimerFired)}

Timed = tuple[int, bytes, int]  # type id, payload, time


def sessions(archive: Archive, name: str) -> list[SessionStart]:
    """The sessions of a strategy or of the router, oldest first."""
    return [one.start for one in recorded_sessions(archive, name)]


def session_source(archive: Archive, name: str, session_id: int | None = None) -> RecordSource:
    """A source for Replay that follows one session; without an id, the last. Raises UnknownSession."""
    session = find_session(archive, name, session_id)
    return RecordSource(_follow(archive, session), f"session {name}")


def _follow(archive: Archive, session: RecordedSession) -> Iterator[Timed]:
    runs: dict[int, RecordedQueue] = {}
    now_ns = session.start.realtime_ns
    try:
        for message in journal_records(archive, session):
            kind = message.type_id
            if kind == Dispatch.TEMPLATE_ID:
                run = Dispatch.decode(message)
                now_ns = max(now_ns, run.now_ns)
                if run.source not in runs:
                    raise InvalidArgument(
                        where=f"session {session.name}",
                        field="source",
                        value=run.source,
                        allowed="one that the journal named before",
                    )
                for type_id, payload in _whole(runs[run.source], run.first_seq, run.last_seq):
                    yield type_id, payload, now_ns
                continue
            if kind == SessionSource.TEMPLATE_ID:
                told = SessionSource.decode(message)
                former = runs.pop(told.source, None)
                if former is not None:
                    former.close()
                runs[told.source] = RecordedQueue(
                    archive, told.path, told.queue_id, session.start.realtime_ns - DAY_NS
                )
            elif kind in _TIMED:
                now_ns = max(now_ns, _time_of(message, kind))
            yield kind, bytes(message), now_ns
    finally:
        for queue in runs.values():
            queue.close()


def _time_of(message: Message, kind: int) -> int:
    record: Any = _TIMED[kind].decode(message)
    found: int = record.now_ns
    return found


def _whole(queue: RecordedQueue, first: int, last: int) -> Iterator[tuple[int, bytes]]:
    """Records `first` to `last`; a LOST record in place of those that are nowhere any more."""
    due = first
    for record in queue.take(first, last):
        if record.seq > due:
            yield LOST_TYPE, due.to_bytes(8, "little") + (record.seq - 1).to_bytes(8, "little")
        yield record.type_id, record.payload
        due = record.seq + 1
    if due <= last:
        yield LOST_TYPE, due.to_bytes(8, "little") + last.to_bytes(8, "little")
