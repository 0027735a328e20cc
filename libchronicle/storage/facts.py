"""What the archive knows of one segment without reading it again.

Everything here can be found anew from the segment's bytes.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Self

import msgspec

from libchronicle.errors import ArchiveError
from libchronicle.storage.layout import SegmentId, day_of
from libchronicle.storage.scan import scan
from libchronicle.storage.walk import SegmentSpan

__all__ = ["SegmentFacts"]


class SegmentFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Times are ns since the Unix epoch. `first_ts` and `last_ts` are of the records themselves, `*_event` of the
    venue's events.

    `seq` runs over the queue's life: `next_seq` is where the following segment must go on. `dated_by` is the event
    that chose the UTC date; None: no record is of an event, and `first_ts` did.
    """

    queue_id: int
    number: int
    size: int  # bytes of the segment
    checksum: str  # BLAKE2b of the segment's bytes, 16 bytes in hexadecimal
    records: int
    payload_bytes: int
    levels: int  # of book records
    gaps: int  # Gap records
    lost: int  # records that the queue itself declares lost
    malformed: int  # book records whose levels cannot be read
    damaged: int  # places that do not hold
    types: dict[str, int]  # records by type_id
    begin_seq: int  # by the header: the first record, or the first one lost
    first_seq: int
    last_seq: int
    next_seq: int
    first_ts: int
    last_ts: int
    first_event: int | None
    last_event: int | None
    dated_by: int | None
    instruments: list[int]
    mixed: bool  # more than one instrument
    quarantined: bool

    @property
    def id(self) -> SegmentId:
        return SegmentId(self.queue_id, self.number)

    @property
    def dated_ns(self) -> int:
        """The time whose UTC date is the segment's."""
        return self.first_ts if self.dated_by is None else self.dated_by

    @property
    def day(self) -> str:
        return day_of(self.dated_ns).isoformat()

    @classmethod
    def of(cls, span: SegmentSpan, *, tolerant: bool = False) -> Self:
        """Read all of `span`. Raises BadSegment where a frame does not hold, unless `tolerant`."""
        found = scan(span, tolerant)
        return cls(
            queue_id=span.queue_id,
            number=span.number,
            size=span.size,
            checksum=checksum_of(span),
            begin_seq=span.first_seq,
            quarantined=span.quarantined,
            **found,
        )

    def check(self) -> None:
        """Raises ValueError: a number that no segment has, as JSON may hold."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            least, limit = (0, 1 << 64) if name == "queue_id" else (-(1 << 63), 1 << 63)
            if isinstance(value, int) and not least <= value < limit:
                raise ValueError(f"{name} is {value}")

    def to_json(self) -> bytes:
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, data: bytes, path: str) -> Self:
        """Raises ArchiveError: `path` holds no facts that this build understands."""
        try:
            facts = msgspec.json.decode(data, type=cls)
            facts.check()
            return facts
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
            raise ArchiveError(path=path, reason=f"the facts kept with the segment: {error}") from None


def checksum_of(span: SegmentSpan) -> str:
    return blake2b(span.data(), digest_size=16).hexdigest()
