"""What a paper order may take from the displayed book, and the memory of what was taken.

Our fills do not reach the real book, so a level goes on displaying what we have taken. Rules:

- A level offers displayed - taken, never less than nothing.
- A level that shows less than when we took from it was traded or cancelled at the front, where our
  quantity stood: `taken` shrinks by as much. A level that shows more got new quantity behind: that is on
  offer. A level that is gone is forgotten.
- So the same displayed quantity is never taken twice, by whichever of our orders, and no fill is better
  than the book allows.
"""

from __future__ import annotations

from typing import Protocol

from libchronicle.protocol import Side

__all__ = ["BookView", "Taken"]

Level = tuple[int, int]  # price, quantity
_FIRST_DEPTH = 8
_MOST_LEVELS = 256  # remembered per side before those that are no longer displayed are looked for


class BookView(Protocol):
    """What paper needs of a book; `libchronicle.book.L2Book` has it."""

    @property
    def valid(self) -> bool: ...
    @property
    def best_bid(self) -> Level | None: ...
    @property
    def best_ask(self) -> Level | None: ...
    def bids(self, n: int, /) -> list[Level]: ...
    def asks(self, n: int, /) -> list[Level]: ...
    def qty_at(self, side: Side, price: int, /) -> int: ...


class Taken:
    """Quantities taken from the displayed levels of one instrument."""

    __slots__ = ("_asks", "_bids")

    def __init__(self) -> None:
        self._bids: dict[int, Level] = {}  # price -> (displayed when last looked at, taken of it)
        self._asks: dict[int, Level] = {}

    def offers(self, book: BookView, side: int, limit: int | None, want: int) -> list[Level]:
        """Levels of `side` that an opposite order may take, best first, up to `want`; `limit` None = at
        any price."""
        found: list[Level] = []
        depth, seen = _FIRST_DEPTH, 0
        while True:
            levels = book.asks(depth) if side == Side.SELL else book.bids(depth)
            for price, displayed in levels[seen:]:
                if limit is not None and (price > limit if side == Side.SELL else price < limit):
                    return found
                qty = min(want, self._available(side, price, displayed))
                if qty > 0:
                    found.append((price, qty))
                    want -= qty
                if want == 0:
                    return found
            if len(levels) < depth:
                return found
            depth, seen = depth * 4, len(levels)

    def take(self, side: int, price: int, qty: int) -> None:
        """Remember that `qty` of what `offers` has just shown at `price` is ours now."""
        levels = self._asks if side == Side.SELL else self._bids
        displayed, taken = levels.get(price, (0, 0))
        levels[price] = (displayed, taken + qty)

    def forget_gone(self, book: BookView) -> None:
        """Drop the memory of levels that the market has moved past."""
        for side, levels, best, sign in (
            (Side.BUY, self._bids, book.best_bid, -1),
            (Side.SELL, self._asks, book.best_ask, 1),
        ):
            if levels:
                gone = [price for price in levels if best is None or sign * price < sign * best[0]]
                if len(levels) > _MOST_LEVELS:
                    gone += [
                        p
                        for p in levels
                        if sign * p >= sign * (best or (p, 0))[0] and not book.qty_at(side, p)
                    ]
                for price in set(gone):
                    del levels[price]

    def clear(self) -> None:
        """The book itself starts anew."""
        self._bids.clear()
        self._asks.clear()

    def _available(self, side: int, price: int, displayed: int) -> int:
        levels = self._asks if side == Side.SELL else self._bids
        before, taken = levels.get(price, (displayed, 0))
        taken = max(0, taken - max(0, before - displayed))
        levels[price] = (displayed, taken)
        return displayed - taken if displayed > taken else 0
