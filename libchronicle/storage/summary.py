"""What a partition holds, in one line: from the manifest's rows of its segments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise

import msgspec

from libchronicle.storage.layout import Partition
from libchronicle.storage.manifest import SegmentRecord

__all__ = ["PartitionSummary", "summaries"]


class PartitionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Times are ns since the Unix epoch. `holes` are places where a queue's seq or number jumps within the partition."""

    partition: Partition
    segments: int
    records: int
    levels: int
    gaps: int
    lost: int
    damaged: int
    holes: int
    bytes: int
    first_seq: int
    last_seq: int
    first_ts: int
    last_ts: int
    first_event: int | None
    last_event: int | None
    queues: list[str]
    tiers: dict[str, int]
    sources: list[str]
    checksum: str  # of the segments' checksums, in order: equal for equal contents

    @property
    def completeness(self) -> str:
        """ "complete", or what is not."""
        parts = [
            f"{count} {what if count == 1 else what + 's'}"
            for count, what in (
                (self.gaps, "gap"),
                (self.lost, "lost record"),
                (self.holes, "hole"),
                (self.damaged, "damaged place"),
            )
            if count
        ]
        return ", ".join(parts) or "complete"


def summaries(records: Iterable[SegmentRecord]) -> Iterator[PartitionSummary]:
    """One for each partition. `records` come by partition, queue and number, as Manifest.find gives them."""
    for partition, group in groupby(records, key=lambda record: record.partition):
        yield _summary(partition, list(group))


def _summary(partition: Partition, records: list[SegmentRecord]) -> PartitionSummary:
    from hashlib import blake2b

    facts = [record.facts for record in records]
    events = [f for f in facts if f.first_event is not None and f.last_event is not None]
    tiers: dict[str, int] = {}
    for record in records:
        tiers[record.tier] = tiers.get(record.tier, 0) + 1
    holes = sum(
        1
        for a, b in pairwise(facts)
        if a.queue_id == b.queue_id and (b.number != a.number + 1 or b.begin_seq != a.next_seq)
    )
    return PartitionSummary(
        partition=partition,
        segments=len(records),
        records=sum(f.records for f in facts),
        levels=sum(f.levels for f in facts),
        gaps=sum(f.gaps for f in facts),
        lost=sum(f.lost for f in facts),
        damaged=sum(f.damaged for f in facts),
        holes=holes,
        bytes=sum(record.bytes for record in records),
        first_seq=min(f.first_seq for f in facts),
        last_seq=max(f.last_seq for f in facts),
        first_ts=min(f.first_ts for f in facts),
        last_ts=max(f.last_ts for f in facts),
        first_event=min((f.first_event for f in events if f.first_event is not None), default=None),
        last_event=max((f.last_event for f in events if f.last_event is not None), default=None),
        queues=sorted({f"{f.queue_id:016x}" for f in facts}),
        tiers=tiers,
        sources=sorted({record.source for record in records if record.source is not None}),
        checksum=blake2b("".join(f.checksum for f in facts).encode(), digest_size=16).hexdigest(),
    )
