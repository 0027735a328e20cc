from typing import Any

from libchronicle.storage.walk import SegmentSpan

def scan(span: SegmentSpan, tolerant: bool = False) -> dict[str, Any]:
    """What one pass over `span` finds, as keyword arguments of SegmentFacts.

    Damage raises BadSegment; with `tolerant` it is stepped over, and `damaged` counts the places.
    """

def dated_by(span: SegmentSpan) -> int | None:
    """The time whose UTC date a segment is of: that of its first event at the venue, else of its first record.

    None: it is empty. Reads no further than that; damage is stepped over.
    """
