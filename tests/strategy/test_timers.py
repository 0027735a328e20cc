"""Timers: earliest first, on their grid, never twice for one beat."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libchronicle.errors import MisuseError
from libchronicle.strategy.timers import Timers


def due(timers: Timers, now: int) -> list[tuple[str, int]]:
    found = []
    while (one := timers.due(now)) is not None:
        found.append(one)
    return found


def test_without_timers_nothing_is_due() -> None:
    assert Timers().next_ns is None
    assert due(Timers(), 2**62) == []


def test_a_single_timer_fires_once_at_or_after_its_deadline() -> None:
    timers = Timers()
    timers.set("once", 100)
    assert due(timers, 99) == []
    assert due(timers, 100) == [("once", 100)]
    assert due(timers, 1000) == []


def test_due_timers_fire_by_deadline_then_by_name() -> None:
    timers = Timers()
    for name, deadline in (("late", 30), ("b", 10), ("a", 10)):
        timers.set(name, deadline)
    assert due(timers, 50) == [("a", 10), ("b", 10), ("late", 30)]


@given(interval=st.integers(1, 1000), looks=st.lists(st.integers(0, 5000), min_size=1, max_size=50))
def test_a_periodic_timer_keeps_its_grid_and_skips_missed_beats(interval: int, looks: list[int]) -> None:
    timers = Timers()
    timers.set("beat", interval, interval)
    fired: list[int] = []
    for now in sorted(looks):
        found = due(timers, now)
        assert len(found) <= 1
        fired += [deadline for _, deadline in found]
        assert timers.next_ns is not None
        assert timers.next_ns > now
    assert all(deadline % interval == 0 for deadline in fired)
    assert len(set(fired)) == len(fired)


def test_set_again_replaces_and_cancel_removes() -> None:
    timers = Timers()
    timers.set("x", 10)
    timers.set("x", 20)
    assert timers.next_ns == 20
    assert timers.cancel("x") is True
    assert timers.cancel("x") is False
    assert timers.next_ns is None


@pytest.mark.parametrize("name", ["", "x" * 33])
def test_a_name_the_journal_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(MisuseError):
        Timers().set(name, 1)
