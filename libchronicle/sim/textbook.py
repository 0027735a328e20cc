"""A book of the venue's own texts: what the player answers REST `depth` from.

The venue's answer must show the very digits of the recording, and nobody trades against this book, so prices and
quantities stay text; they are compared as numbers only when a snapshot is asked for. (Consumers keep their books
with `libchronicle.book`; that the two agree is what the recording tests show.)
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

TextLevel = tuple[str, str]


class DepthEvent(msgspec.Struct):
    """The fields of `depthUpdate` that concern a book."""

    first: int = msgspec.field(name="U")
    last: int = msgspec.field(name="u")
    bids: list[TextLevel] = msgspec.field(name="b")
    asks: list[TextLevel] = msgspec.field(name="a")
    previous: int = msgspec.field(name="pu", default=-1)
    event_ms: int = msgspec.field(name="E", default=0)


class SnapshotEvent(msgspec.Struct):
    """The body of REST `depth`; USD-M adds the two times."""

    last_update_id: int = msgspec.field(name="lastUpdateId")
    bids: list[TextLevel]
    asks: list[TextLevel]
    event_ms: int = msgspec.field(name="E", default=0)


class TextBook:
    """Absolute levels by price text. Not valid before its first snapshot."""

    def __init__(self) -> None:
        self.bids: dict[str, str] = {}
        self.asks: dict[str, str] = {}
        self.last_update_id = -1
        self.event_ms = 0
        self._early: list[DepthEvent] = []

    @property
    def valid(self) -> bool:
        return self.last_update_id >= 0

    def load(self, snapshot: SnapshotEvent) -> None:
        """Takes a snapshot, then the diffs that came before it but reach beyond it."""
        self.bids = dict(snapshot.bids)
        self.asks = dict(snapshot.asks)
        self.last_update_id = snapshot.last_update_id
        self.event_ms = max(self.event_ms, snapshot.event_ms)
        early, self._early = self._early, []
        for event in early:
            self.apply(event)

    def apply(self, event: DepthEvent) -> None:
        """Applies a diff; one that the snapshot already holds is dropped, one before any snapshot waits for it."""
        self.event_ms = max(self.event_ms, event.event_ms)
        if not self.valid:
            self._early.append(event)
            return
        if event.last <= self.last_update_id:
            return
        _set_levels(self.bids, event.bids)
        _set_levels(self.asks, event.asks)
        self.last_update_id = event.last

    def top(self, limit: int) -> tuple[list[TextLevel], list[TextLevel]]:
        """Bids and asks, best first."""
        bids = sorted(self.bids.items(), key=_price, reverse=True)
        asks = sorted(self.asks.items(), key=_price)
        return bids[:limit], asks[:limit]

    def difference(self, target: SnapshotEvent) -> tuple[list[TextLevel], list[TextLevel]]:
        """The levels that turn this book into `target` (quantity 0 removes)."""
        return _difference(self.bids, target.bids), _difference(self.asks, target.asks)


def _price(level: TextLevel) -> Decimal:
    return Decimal(level[0])


def _is_zero(qty: str) -> bool:
    return not qty.strip("0.")


def _set_levels(side: dict[str, str], levels: Iterable[TextLevel]) -> None:
    for price, qty in levels:
        if _is_zero(qty):
            side.pop(price, None)
        else:
            side[price] = qty


def _difference(side: dict[str, str], target: Iterable[TextLevel]) -> list[TextLevel]:
    wanted = dict(target)
    changed = [(price, qty) for price, qty in wanted.items() if side.get(price) != qty]
    removed = [(price, _zero_like(qty)) for price, qty in side.items() if price not in wanted]
    return removed + changed


def _zero_like(qty: str) -> str:
    _, dot, fraction = qty.partition(".")
    return "0" + dot + "0" * len(fraction)
