from typing import Any

from libchronicle.storage.walk import SegmentSpan

def scan(span: SegmentSpan, tolerant: bool = False) -> dict[str, Any]:
    """What one pass over `span` finds, as keyword arguments of SegmentFacts.

    Damage raises BadSegment; with `tolerant` it is stepped over, and `damaged` counts the places.
    """
