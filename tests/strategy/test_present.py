"""A running strategy's parameters, read back from its journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from libchronicle.protocol import Parameter, RunMode, SessionStart, TimerFired
from libchronicle.queue import Queue, QueueConfig
from libchronicle.strategy.present import present_params


@pytest.mark.parametrize("between", [0, 3, 5_000, 70_000])
def test_the_last_value_of_the_newest_session_counts_however_long_ago(tmp_path: Path, between: int) -> None:
    tick = TimerFired(now_ns=1).encode()
    with Queue.open_publisher(tmp_path / "q", QueueConfig(segment_size=1 << 20, prefault=False)) as journal:

        def put(*records: SessionStart | Parameter) -> None:
            for one in records:
                journal.append(one.TEMPLATE_ID, one.encode())
            journal.append_many(TimerFired.TEMPLATE_ID, [tick] * between)

        with Queue.open_subscriber(tmp_path / "q", None, start="earliest") as reader:
            assert present_params(reader) == {}
        put(
            SessionStart(name="a", mode=RunMode.PAPER),
            Parameter(name="old", value="1"),
            Parameter(name="pace", value="2"),
        )
        put(
            SessionStart(name="a", mode=RunMode.PAPER),
            Parameter(name="pace", value="3"),
            Parameter(name="mood", value="calm"),
        )
        put(Parameter(name="mood", value="wild"))
        with Queue.open_subscriber(tmp_path / "q", None, start="earliest") as reader:
            assert present_params(reader) == {"pace": "3", "mood": "wild"}
