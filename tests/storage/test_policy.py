"""When segments move on: tables under a clock of the test's own."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libchronicle.storage.facts import SegmentFacts
from libchronicle.storage.layout import Partition, SegmentId
from libchronicle.storage.manifest import SegmentRecord
from libchronicle.storage.policy import Compress, TierPolicy
from libchronicle.storage.waiting import Waiting

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
    warm = Waiting(record.waiting for record in reversed(WARM))
    assert [one.number for one in policy.to_compress(warm, NOW)] == chosen


def test_a_segment_leaves_its_queue_after_two_hours() -> None:
    policy = TierPolicy()
    assert not policy.leaves_hot(NOW - 2 * HOUR + 1, NOW)
    assert policy.leaves_hot(NOW - 2 * HOUR, NOW)


def test_nothing_is_shipped_unless_an_age_is_given() -> None:
    cold = Waiting(record.waiting for record in WARM)
    assert list(TierPolicy().to_ship(cold, NOW)) == []
    shipped = TierPolicy(remote_after_ns=8 * DAY).to_ship(cold, NOW)
    assert [one.number for one in shipped] == [1, 2]


@given(
    steps=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 9), st.integers(1, 4), st.booleans())),
    limit=st.integers(0, 10),
)
def test_what_waits_is_told_of_changes_as_if_all_were_looked_at_anew(
    steps: list[tuple[int, int, int, bool]], limit: int
) -> None:
    there: dict[int, SegmentRecord] = {}
    kept = Waiting()
    for number, age, day, goes in steps:
        if goes:
            there.pop(number, None)
            kept.discard(SegmentId(1, number))
        else:
            there[number] = segment(number, age, day=day, size=number + 1)
            kept.put(there[number].waiting)
    anew = Waiting(record.waiting for record in there.values())
    for one in (kept, anew):
        oldest = sorted(there.values(), key=lambda r: (r.facts.last_ts, r.id))
        assert list(one.oldest()) == [r.id for r in oldest]
        assert list(one.oldest(NOW - limit)) == [r.id for r in oldest if r.facts.last_ts <= NOW - limit]
        newest = {r.partition: r.facts.last_ts for r in oldest}
        idle = {r.id for r in oldest if newest[r.partition] <= NOW - limit}
        assert set(one.idle(NOW - limit)) == idle
        assert one.bytes == sum(r.bytes for r in oldest)
        gone = list(one.beyond(limit * 5))
        assert gone == [r.id for r in oldest[: len(gone)]]
        assert sum(r.bytes for r in oldest[len(gone) :]) <= limit * 5 or len(gone) == len(oldest)
        assert not gone or sum(r.bytes for r in oldest[len(gone) - 1 :]) > limit * 5
    assert list(kept.idle(NOW)) == list(anew.idle(NOW))
