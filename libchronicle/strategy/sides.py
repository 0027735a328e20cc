"""The two sides of a rerun: what was recorded, what came again, and the first place where they part."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from libchronicle.replay.difference import Difference, Frame, first_difference
from libchronicle.replay.recorded import Recorded

__all__ = ["Changes", "Requests"]


class Requests:
    """The records of orders_out, read as they are needed, against the requests that are sent again."""

    def __init__(self, recorded: Iterator[Recorded]) -> None:
        self._recorded = recorded
        self._due: deque[Recorded] = deque()  # read, and not held against anything yet
        self.held = 0

    def sent_ns(self, sent: int) -> int | None:
        """When request number `sent` (from 0) was appended to orders_out; None where there is none."""
        recorded = self._ahead(sent - self.held)
        return None if recorded is None else recorded.ts_ns

    def _ahead(self, count: int) -> Recorded | None:
        while len(self._due) <= count:
            following = next(self._recorded, None)
            if following is None:
                return None
            self._due.append(following)
        return self._due[count]

    def hold(self, sent: list[Frame], during: str, at_ns: int) -> Difference | None:
        """All that was sent so far; the first that differs."""
        while self.held < len(sent):
            due = self._ahead(0)
            recorded = None if due is None else (due.type_id, due.payload)
            found = first_difference(self._name(), during, at_ns, recorded, sent[self.held])
            if found is not None:
                return found
            self._due.popleft()
            self.held += 1
        return None

    def missing(self) -> Difference | None:
        """The first request that was recorded and did not come again."""
        left = self._ahead(0)
        if left is None:
            return None
        during = "by the end of the session"
        return first_difference(self._name(), during, left.ts_ns, (left.type_id, left.payload), None)

    def left(self) -> int:
        """How many were recorded and did not come again."""
        return len(self._due) + sum(1 for _ in self._recorded)

    def _name(self) -> str:
        return f"request {self.held + 1} of the session"


class Changes:
    """Records of the session journal against those that a rerun's recorder keeps in `again`.

    The journal is ahead where a record of the data brings a change about: it is written before the Dispatch that names the
    record. The rerun is ahead where one event brings about several.
    """

    def __init__(self, again: list[Frame]) -> None:
        self._again = again
        self._awaited: deque[Frame] = deque()
        self.held = 0

    def has_come(self, recorded: Frame) -> bool:
        return bool(self._again) and self._again[0] == recorded

    def await_(self, recorded: Frame) -> None:
        """It must come with the next records that are dispatched."""
        self._awaited.append(recorded)

    def hold(self, recorded: Frame | None, during: str, at_ns: int) -> Difference | None:
        """A record of the journal against the next one of ours."""
        again = self._again.pop(0) if self._again else None
        found = first_difference("a record of the session journal", during, at_ns, recorded, again)
        self.held += found is None
        return found

    def hold_all(self, during: str, at_ns: int) -> Difference | None:
        """All that was awaited against all that came."""
        found = None
        while found is None and (self._awaited or self._again):
            found = self.hold(self._awaited.popleft() if self._awaited else None, during, at_ns)
        return found
