"""The permit of an external risk gateway: a time, and nothing else, lets risk grow."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from libchronicle.bus.paths import BusPaths
from libchronicle.bus.permit import PermitWatch, RiskPermit
from libchronicle.errors import MisuseError

SECOND = 10**9


@pytest.fixture
def paths(tmp_path: Path) -> BusPaths:
    return BusPaths(tmp_path)


def test_a_permit_holds_until_its_time_is_over(paths: BusPaths) -> None:
    watch = PermitWatch(paths, required=True)
    before = time.time_ns()
    assert not watch.holds(before)
    RiskPermit(paths).renew(ttl_s=100)
    assert not watch.holds(time.time_ns())  # not read yet
    watch.refresh()
    assert watch.holds(time.time_ns())
    assert watch.holds(before + 99 * SECOND)
    assert not watch.holds(time.time_ns() + 101 * SECOND)


def test_a_withdrawn_permit_is_none(paths: BusPaths) -> None:
    permit = RiskPermit(paths)
    permit.renew(ttl_s=100)
    watch = PermitWatch(paths, required=True)
    assert watch.holds(time.time_ns())
    permit.withdraw()
    watch.refresh()
    assert not watch.holds(time.time_ns())


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"CHRPERM1",
        b"CHRPERM2" + b"\x7f" * 8,
        b"CHRPERM1" + b"\xff" * 8,
        b"CHRPERM1" + b"\x7f" * 8,
        b"CHRPERM1" + b"\x01" * 9,
    ],
)
def test_a_damaged_file_is_no_permit(paths: BusPaths, damage: bytes) -> None:
    RiskPermit(paths).renew(ttl_s=100)
    watch = PermitWatch(paths, required=True)
    assert watch.holds(time.time_ns())
    paths.permit_word.write_bytes(damage)
    watch.refresh()
    assert not watch.holds(time.time_ns())
    paths.permit_word.unlink()
    watch.refresh()
    assert not watch.holds(time.time_ns())


def test_a_clock_that_steps_back_by_hours_ends_it(paths: BusPaths) -> None:
    RiskPermit(paths).renew(ttl_s=3600)
    watch = PermitWatch(paths, required=True)
    assert watch.holds(time.time_ns())
    assert not watch.holds(time.time_ns() - 2 * 3600 * SECOND)


def test_where_none_is_required_there_is_always_one(paths: BusPaths) -> None:
    assert PermitWatch(paths, required=False).holds(0)


@pytest.mark.parametrize("ttl_s", [0, -1, 3601, float("inf"), float("nan")])
def test_a_permit_for_ever_is_refused(paths: BusPaths, ttl_s: float) -> None:
    with pytest.raises(MisuseError):
        RiskPermit(paths).renew(ttl_s)
