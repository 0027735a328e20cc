from typing import NamedTuple

from libchronicle.book import L2Book, L3Book
from libchronicle.storage.chain import Merge
from libchronicle.storage.walk import SegmentSpan

class Seen(NamedTuple):
    found: tuple[int, int, int] | None
    begun: tuple[int, int, int] | None
    goes_on: int

def last_snapshot(span: SegmentSpan, instrument_id: int, upto_ns: int, event_ns: int = ...) -> Seen: ...
def definition_of(span: SegmentSpan, instrument_id: int) -> bytes | None: ...
def rebuild(
    merge: Merge, instrument_id: int, definition: bytes | None = None, event_ns: int = ...
) -> tuple[L2Book | L3Book | None, int, int]: ...
