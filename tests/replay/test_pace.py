"""Pace by a clock that is turned by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from libchronicle.errors import InvalidArgument
from libchronicle.protocol import Trade
from libchronicle.replay import RealTime, RecordSource, Replay

sys.path.insert(0, str(Path(__file__).parent))
from stream import market, rows


class HandClock:
    def __init__(self) -> None:
        self.now_ns = 77_000_000

    def __call__(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now_ns += round(seconds * 1e9)


@pytest.mark.parametrize("speed", [0.5, 1.0, 60.0])
def test_records_come_at_their_time_divided_by_the_speed(speed):
    clock = HandClock()
    stream = market("AAA", 400)
    slack = 1_000_000
    begin = clock.now_ns
    seen = []
    pace = RealTime(speed, slack_ns=slack, clock=clock, sleep=clock.sleep)
    Replay([RecordSource(rows(stream))], pace=pace).run(
        lambda e: seen.append((e.ts_ns, clock.now_ns - begin))
    )
    assert len(seen) == len(stream)
    for ts, elapsed in seen:
        due = (ts - stream[0][0]) / speed
        assert due - slack - 2 <= elapsed <= due + 2


def test_a_replay_that_fell_behind_catches_up_without_skipping():
    clock = HandClock()
    trades = [(Trade.TEMPLATE_ID, Trade(trade_id=n).encode(), n * 10_000_000) for n in range(20)]
    seen = []

    def slow(event):
        seen.append((event.ts_ns, clock.now_ns))
        if event.ts_ns == 50_000_000:
            clock.now_ns += 80_000_000

    Replay([RecordSource(trades)], pace=RealTime(clock=clock, sleep=clock.sleep, slack_ns=0)).run(slow)
    begin = seen[0][1]
    assert [ts for ts, _ in seen] == [n * 10_000_000 for n in range(20)]
    late = [now - begin - ts for ts, now in seen]
    assert late[7] > 50_000_000
    assert late[-1] == 0


@pytest.mark.parametrize("speed", [0, -1, float("inf"), float("nan")])
def test_a_speed_that_is_none_is_refused(speed):
    with pytest.raises(InvalidArgument):
        RealTime(speed)
