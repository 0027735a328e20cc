"""When a row is written."""

from __future__ import annotations

from typing import Final

import msgspec

from libchronicle.errors import InvalidArgument
from libchronicle.protocol import (
    BestBidAsk,
    BookDelta,
    BookReset,
    BookSnapshot,
    Gap,
    OrderAdd,
    OrderDelete,
    OrderExecute,
    OrderModify,
    Trade,
)

__all__ = ["AnyOf", "EachRecord", "OnEvent", "TimeBar", "Trigger", "trigger_named"]

EVENTS: Final[dict[str, tuple[int, ...]]] = {
    "book": (
        BookSnapshot.TEMPLATE_ID,
        BookDelta.TEMPLATE_ID,
        BookReset.TEMPLATE_ID,
        OrderAdd.TEMPLATE_ID,
        OrderModify.TEMPLATE_ID,
        OrderDelete.TEMPLATE_ID,
        OrderExecute.TEMPLATE_ID,
    ),
    "snapshot": (BookSnapshot.TEMPLATE_ID,),
    "delta": (BookDelta.TEMPLATE_ID,),
    "order": (
        OrderAdd.TEMPLATE_ID,
        OrderModify.TEMPLATE_ID,
        OrderDelete.TEMPLATE_ID,
        OrderExecute.TEMPLATE_ID,
    ),
    "trade": (Trade.TEMPLATE_ID,),
    "quote": (BestBidAsk.TEMPLATE_ID,),
    "gap": (Gap.TEMPLATE_ID,),
}


class TimeBar(msgspec.Struct, frozen=True):
    """At every multiple of `interval_ns` since the Unix epoch, from the first record to the last: the state at the end of the
    bar, also of one in which nothing came. A bar that the data end in is not written, and none over UTC dates of which
    there is no record: there they end and begin anew."""

    interval_ns: int

    def __post_init__(self) -> None:
        if self.interval_ns <= 0:
            raise InvalidArgument(
                where="TimeBar", field="interval_ns", value=self.interval_ns, allowed="above 0"
            )


class OnEvent(msgspec.Struct, frozen=True):
    """After each record of these kinds: book, snapshot, delta, order, trade, quote, gap."""

    kinds: tuple[str, ...]

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in EVENTS:
                raise InvalidArgument(where="OnEvent", field="kind", value=kind, allowed=", ".join(EVENTS))


class EachRecord(msgspec.Struct, frozen=True):
    """After every record of the market: of the book, trades and quotes, gaps too."""


class AnyOf(msgspec.Struct, frozen=True):
    """When any of these says so: one row after a record, however many of them do, and the rows of time bars."""

    triggers: tuple[TimeBar | OnEvent | EachRecord, ...]


Trigger = TimeBar | OnEvent | EachRecord | AnyOf

_UNITS: Final = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


def trigger_named(text: str) -> Trigger:
    """`bar:1s`, `bar:100ms`, `trade`, `book` …, `any`; several with commas. Raises InvalidArgument."""
    made = [_one(part.strip()) for part in text.split(",")]
    return made[0] if len(made) == 1 else AnyOf(tuple(made))


def _one(text: str) -> TimeBar | OnEvent | EachRecord:
    if text == "any":
        return EachRecord()
    if not text.startswith("bar:"):
        return OnEvent((text,))
    number = text[4:].rstrip("msh")
    unit = text[4 + len(number) :]
    if not number.isdigit() or unit not in _UNITS:
        raise InvalidArgument(
            where="trigger", field="bar", value=text, allowed="bar:100ms, bar:1s, bar:5m, bar:1h"
        )
    return TimeBar(int(number) * _UNITS[unit])


def flatten(trigger: Trigger) -> tuple[set[int], list[int], bool]:
    """(template ids, bar intervals in ns, every record)."""
    types: set[int] = set()
    bars: list[int] = []
    every = False
    for one in trigger.triggers if isinstance(trigger, AnyOf) else (trigger,):
        if isinstance(one, TimeBar):
            bars.append(one.interval_ns)
        elif isinstance(one, OnEvent):
            types.update(number for kind in one.kinds for number in EVENTS[kind])
        else:
            every = True
    return types, bars, every
