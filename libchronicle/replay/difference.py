"""What a rerun of a session did otherwise than its record says: the first such message, with both sides."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from libchronicle.errors import ChronicleError
from libchronicle.protocol import TEMPLATES, decode

__all__ = ["Difference", "Verdict", "first_difference"]

Frame = tuple[int, bytes]  # type id, payload


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One message: as it was recorded and as it came again; None where there is none on that side."""

    what: str  # which message, e.g. "request 17 of orders_out"
    during: str  # what was being handled when it came
    at_ns: int
    recorded: dict[str, Any] | None
    again: dict[str, Any] | None
    fields: tuple[str, ...] = ()  # those that differ

    def lines(self) -> list[str]:
        """For people."""
        moment = datetime.fromtimestamp(self.at_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        found = [f"{self.what}, at {moment}.{self.at_ns % 10**9:09d}Z, {self.during}"]
        if self.recorded is None or self.again is None:
            found.append(f"  recorded: {_line(self.recorded)}")
            found.append(f"  again:    {_line(self.again)}")
            return found
        for name in self.fields:
            found.append(f"  {name}: recorded {self.recorded.get(name)!r}, again {self.again.get(name)!r}")
        found.append(f"  recorded: {_line(self.recorded)}")
        return found


class Verdict(msgspec.Struct, kw_only=True):
    """What a rerun of one session found."""

    name: str
    session: int
    started_ns: int
    records: int = 0  # dispatched again
    compared: int = 0  # messages held against the record
    unchecked: int = 0  # messages that the journal, cut short by a kill, does not reach
    finished: bool = False  # the journal ends with a SessionStop
    notes: list[str] = []
    difference: Difference | None = None

    @property
    def same(self) -> bool:
        return self.difference is None


def first_difference(
    what: str, during: str, at_ns: int, recorded: Frame | None, again: Frame | None
) -> Difference | None:
    """None where both are the same, byte for byte."""
    if recorded == again:
        return None
    one, other = _facts(recorded), _facts(again)
    fields: tuple[str, ...] = ()
    if one is not None and other is not None:
        fields = tuple(
            name for name in dict.fromkeys((*one, *other)) if one.get(name, _NONE) != other.get(name, _NONE)
        )
    return Difference(what=what, during=during, at_ns=at_ns, recorded=one, again=other, fields=fields)


_NONE = object()


def _facts(frame: Frame | None) -> dict[str, Any] | None:
    if frame is None:
        return None
    type_id, payload = frame
    kind = TEMPLATES.get(type_id)
    facts: dict[str, Any] = {"message": kind.__name__ if kind is not None else f"type {type_id}"}
    try:
        message = decode(type_id, payload)
    except ChronicleError:
        message = None
    if message is None:
        return facts | {"payload": payload.hex()}
    return facts | {name: _plain(value) for name, value in msgspec.structs.asdict(message).items()}


def _plain(value: Any) -> Any:
    """As it reads best: enums by name."""
    if isinstance(value, bytes):
        return value.hex()
    name = getattr(value, "name", None)
    return name if isinstance(name, str) else value


def _line(facts: dict[str, Any] | None) -> str:
    if facts is None:
        return "nothing"
    rest = " ".join(f"{name}={value}" for name, value in facts.items() if name != "message" and value)
    return f"{facts['message']} {rest}"
