"""Session journals as they were written: which sessions there are, and the records of one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from libchronicle.errors import UnknownSession
from libchronicle.native.binding import Message
from libchronicle.protocol import SessionStart, SessionStop
from libchronicle.storage.archive import Archive

__all__ = ["RecordedSession", "find_session", "journal_records", "recorded_sessions"]

_EARLIER_NS: Final = 1_000_000_000
"""A session's first record is written after the time it names; by clocks that never differ by more."""


class RecordedSession(msgspec.Struct, frozen=True):
    """One life of a strategy host or of the router. `stop` is None while it runs, and where it was killed."""

    name: str
    start: SessionStart
    stop: SessionStop | None = None

    @property
    def id(self) -> int:
        return self.start.session_id


def recorded_sessions(archive: Archive, name: str) -> list[RecordedSession]:
    """The sessions of a strategy or of the router, oldest first."""
    found: list[RecordedSession] = []
    for message in archive.read("_sessions", name, "session", types=[SessionStart, SessionStop]):
        if message.type_id == SessionStart.TEMPLATE_ID:
            start = SessionStart.decode(message)
            if not (found and found[-1].id == start.session_id):  # the router repeats it at each checkpoint
                found.append(RecordedSession(name, start))
        elif message.type_id == SessionStop.TEMPLATE_ID and found and found[-1].stop is None:
            found[-1] = msgspec.structs.replace(found[-1], stop=SessionStop.decode(message))
    return found


def find_session(archive: Archive, name: str, session_id: int | None = None) -> RecordedSession:
    """The session of that id; without one, the last. Raises UnknownSession."""
    known = recorded_sessions(archive, name)
    chosen = [one for one in known if session_id is None or one.id == session_id]
    if not chosen:
        raise UnknownSession(name=name, known=", ".join(str(one.id) for one in known) or "none")
    return chosen[-1]


def journal_records(archive: Archive, session: RecordedSession) -> Iterator[Message]:
    """Every record of the session's journal, its SessionStart first."""
    inside = False
    since_ns = session.start.realtime_ns - _EARLIER_NS
    for message in archive.read("_sessions", session.name, "session", since_ns):
        if message.type_id == SessionStart.TEMPLATE_ID:
            belongs = SessionStart.decode(message).session_id == session.id
            if inside and not belongs:
                return
            inside = belongs
        if inside:
            yield message
