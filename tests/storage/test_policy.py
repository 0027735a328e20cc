"""When segments move on: tables under a clock of the test's own."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from libchronicle.storage.facts import SegmentFacts
from libchronicle.storage.layout import Partition
from libchronicle.storage.manifest import SegmentRecord
from libchronicle.storage.policy import Compress, TierPolicy

HOUR = 3600 * 10**9
DAY = 24 * HOUR
NOW = 1000 * DAY

_ZEROS = {f.name: 0 for f in msgspec.structs.fields(SegmentFacts)} | {
    "checksum": "",
    "types": {},
    "instruments": [],
    "first_event": None,
    "last_event": None,
    "dated_by": None,
    "mixed": False,
    "quarantined": False,
}


def segment(number: int, age_ns: int, *, day: int = 1, size: int = 100) -> SegmentRecord:
    facts = SegmentFacts(**{**_ZEROS, "queue_id": 1, "number": number, "last_ts": NOW - age_ns})
    place = Partition("v", "S", date(2024, 8, day), "trade")
    return SegmentRecord(partition=place, tier="warm", bytes=size, facts=facts)


WARM = [
    segment(1, 10 * DAY, day=1),
    segment(2, 8 * DAY, day=2),
    segment(3, 7 * DAY, day=3),
    segment(4, 7 * DAY - 1, day=3),
    segment(5, 2 * HOUR, day=4),
    segment(6, 1, day=5),
]


@pytest.mark.parametrize(
    ("compress", "options", "chosen"),
    [
        ("never", {}, []),
        ("immediate", {}, [1, 2, 3, 4, 5, 6]),
        ("age", {}, [1, 2, 3]),
        ("age", {"cold_after_ns": 2 * HOUR}, [1, 2, 3, 4, 5]),
        ("age", {"cold_after_ns": 0}, [1, 2, 3, 4, 5, 6]),
        ("idle", {}, [1, 2, 3, 4, 5]),
        ("idle", {"idle_ns": 7 * DAY}, [1, 2]),
        ("size", {"warm_bytes": 600}, []),
        ("size", {"warm_bytes": 599}, [1]),
        ("size", {"warm_bytes": 250}, [1, 2, 3, 4]),
        ("size", {"warm_bytes": 0}, [1, 2, 3, 4, 5, 6]),
    ],
)
def test_what_is_compressed_when(compress: Compress, options: dict[str, int], chosen: list[int]) -> None:
    policy = TierPolicy(compress=compress, **options)
    assert [r.id.number for r in policy.to_compress(reversed(WARM), NOW)] == chosen


def test_a_segment_leaves_its_queue_after_two_hours() -> None:
    policy = TierPolicy()
    assert not policy.leaves_hot(NOW - 2 * HOUR + 1, NOW)
    assert policy.leaves_hot(NOW - 2 * HOUR, NOW)


def test_nothing_is_shipped_unless_an_age_is_given() -> None:
    assert TierPolicy().to_ship(WARM, NOW) == []
    shipped = TierPolicy(remote_after_ns=8 * DAY).to_ship(WARM, NOW)
    assert [r.id.number for r in shipped] == [1, 2]
