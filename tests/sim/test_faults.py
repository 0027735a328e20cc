"""Seeded damage: what is done is counted and repeats with the seed."""

from collections import Counter
from random import Random

import pytest

from libchronicle.sim.faults import Action, Fault, FaultInjector, FaultPlan

FRAMES = [b'{"n":%d}' % number for number in range(2000)]


def run(plan: FaultPlan) -> tuple[list[Action], Counter[Fault]]:
    injector = FaultInjector(plan, Random(plan.seed))
    return [action for frame in FRAMES for action in injector.feed(frame)], injector.counts


def test_without_faults_every_frame_passes_unchanged() -> None:
    assert not FaultPlan().active
    assert [action.payload for action in run(FaultPlan())[0]] == FRAMES


def test_the_same_seed_repeats_the_same_damage() -> None:
    plan = FaultPlan(seed=4, drop=0.02, duplicate=0.02, swap=0.02, truncate=0.02, garbage=0.02, binary=0.02)
    assert plan.active
    assert run(plan) == run(plan)
    assert run(plan) != run(FaultPlan(seed=5, drop=0.02, duplicate=0.02, swap=0.02, truncate=0.02))


def test_dropped_and_doubled_frames_are_those_counted() -> None:
    actions, counts = run(FaultPlan(drop=0.05, duplicate=0.05))
    sent = Counter(action.payload for action in actions)
    assert sum(frame not in sent for frame in FRAMES) == counts[Fault.DROP] > 50
    assert sum(times == 2 for times in sent.values()) == counts[Fault.DUPLICATE] > 50


def test_swapping_changes_the_order_and_loses_nothing_but_what_is_still_held() -> None:
    actions, counts = run(FaultPlan(swap=0.05))
    payloads = [action.payload for action in actions]
    assert len(payloads) in (len(FRAMES), len(FRAMES) - 1)
    assert set(payloads) <= set(FRAMES)
    assert payloads != FRAMES[: len(payloads)]
    assert counts[Fault.SWAP] > 50


@pytest.mark.parametrize(
    "fault", [Fault.DISCONNECT, Fault.STALL, Fault.BINARY, Fault.HUGE, Fault.GARBAGE, Fault.TRUNCATE]
)
def test_each_other_fault_shows_as_an_action_of_its_own(fault: Fault) -> None:
    actions, counts = run(FaultPlan(**{fault.value: 0.005}))
    intact = set(FRAMES)
    damaged = [action for action in actions if action.kind != "text" or action.payload not in intact]
    assert len(damaged) == counts[fault] > 0


def test_the_first_frames_can_be_kept_intact() -> None:
    actions, _ = run(FaultPlan(drop=1.0, skip=10))
    assert [action.payload for action in actions] == FRAMES[:10]
