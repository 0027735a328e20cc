"""How far back a clean queue must be read to know the book at its end: to its last whole snapshot.

Of levels that is mostly in the live segment, since each with deltas has one. One of orders is many records: it may lie in
several segments, and segments may have none (target.pyx).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from libchronicle.errors import BadSegment
from libchronicle.storage.lookback import last_snapshot
from libchronicle.storage.walk import SegmentSpan

__all__ = ["RETAINED", "reach_of"]

RETAINED: Final = 16
"""Sealed segments that a queue of single orders keeps in any case: two snapshots of 60,000 orders and what lies between."""

_LEVELS: Final = 16
"""Segments looked through for a snapshot of levels: further back there is one only of a book that nothing has moved since."""

_END: Final = (1 << 63) - 1


def reach_of(queue: str, live: int, instrument_id: int, orders: bool) -> tuple[int, bool]:
    """(number of the segment, whether what it leads to is known): there lies a whole snapshot, or the queue's first record.

    `live` is the segment being written. Without a snapshot: the oldest segment there is, or that was looked at. Raises
    OSError as open does.
    """
    goes_on = 0
    last = 0 if orders else max(0, live - _LEVELS)
    for number in range(live, last - 1, -1):
        try:
            span = SegmentSpan.open_file(Path(queue, f"{number:09d}.q"), live=True)
            seen = last_snapshot(span, instrument_id, _END)
        except FileNotFoundError:
            return min(number + 1, live), False
        except BadSegment:
            goes_on = 0
            continue
        if seen.found is not None or (seen.begun is not None and goes_on == 1):
            return number, True
        goes_on = seen.goes_on if seen.goes_on != 2 or number == live else goes_on
    return last, last == 0
