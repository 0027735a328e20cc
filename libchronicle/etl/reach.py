"""How far back a clean queue must be read to know the book of single orders at its end.

Books of levels need no more than two segments, since each with deltas has a snapshot. A snapshot of orders is many records: it
may lie in several segments, and segments may have none (target.pyx), so it is looked for.
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

_END: Final = (1 << 63) - 1


def reach_of(queue: str, live: int, instrument_id: int) -> tuple[int, bool]:
    """(number of the segment, whether what it leads to is known): there lies a whole snapshot, or the queue's first record.

    `live` is the segment being written. Without a snapshot: the oldest segment there is. Raises OSError as open does.
    """
    goes_on = 0
    for number in range(live, -1, -1):
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
    return 0, True
