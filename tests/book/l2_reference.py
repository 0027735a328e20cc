"""A book as plainly as can be written: two dicts. The judge of the native one."""

from __future__ import annotations

from libchronicle.protocol import BookDelta, BookFlags, BookReset, BookSnapshot, Gap, SbeMessage

MASK = 2**64 - 1


def mix64(x: int) -> int:
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) & MASK
    return x ^ x >> 31


class ReferenceBook:
    def __init__(self) -> None:
        self.sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.valid = False
        self.last_update_id = 0

    def apply(self, message: SbeMessage) -> None:
        if isinstance(message, BookReset | Gap):
            self.valid = False
            if isinstance(message, BookReset):
                self.__init__()
        elif isinstance(message, BookSnapshot) and not message.flags & BookFlags.STALE:
            self.__init__()
            self._set(message, change=False)
            self.valid = True
        elif isinstance(message, BookDelta) and self.valid and not message.flags & BookFlags.STALE:
            if message.last_update_id and message.last_update_id <= self.last_update_id:
                return
            self._set(message, change=bool(message.flags & BookFlags.QUANTITY_IS_CHANGE))

    def _set(self, message: BookSnapshot | BookDelta, change: bool) -> None:
        self.last_update_id = message.last_update_id
        for side, levels in zip(self.sides, (message.bids, message.asks), strict=True):
            for price, qty in levels:
                total = qty + side.get(price, 0) if change else qty
                if total < 0 or total >= 2**63:
                    self.valid = False
                    raise OverflowError
                if total:
                    side[price] = total
                else:
                    side.pop(price, None)

    @property
    def bids(self) -> list[tuple[int, int]]:
        return sorted(self.sides[0].items(), reverse=True)

    @property
    def asks(self) -> list[tuple[int, int]]:
        return sorted(self.sides[1].items())

    def hash(self) -> int:
        total = 0
        for number, side in enumerate(self.sides, start=1):
            for price, qty in side.items():
                total += mix64((mix64((price + number) & MASK) + qty) & MASK)
        return total & MASK
