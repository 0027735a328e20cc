"""The sync machine: its table, the places of snapshots, and a property test against a book that is right by construction."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, seed, settings
from hypothesis import strategies as st

from libchronicle.protocol import GapReason
from libchronicle.venues.binance.sync import (
    HOLDING_LIMIT,
    SEEN_RUN,
    TABLE,
    WAITING_LIMIT,
    Append,
    DeclareGap,
    Diff,
    Event,
    Seen,
    State,
    Step,
    SymbolSync,
    draw_table,
)


def diff(before: int, last: int) -> Diff:
    return Diff(before, before + 1, last, bytearray(f"{before}-{last}", "ascii"))


def show(outputs: list[Any]) -> list[str]:
    """Compact: "D8-9" a diff, "s8-9" a stale one, "SNAP", "gap 5>7", "ask", …"""
    out = []
    for o in outputs:
        match o:
            case Append(record, stale, snapshot):
                out.append("SNAP" if snapshot else ("s" if stale else "D") + record.decode())
            case DeclareGap(expected, received, _):
                out.append(f"gap {expected}>{received}")
            case _:
                out.append(type(o).__name__.lower())
    return out


@pytest.fixture(params=[False, True], ids=["spot", "usdm"])
def machine(request: pytest.FixtureRequest) -> SymbolSync:
    made = SymbolSync(request.param)
    assert show(made.connected()) == ["syncing", "ask"]
    return made


SNAP = bytearray(b"snapshot")


def test_diffs_wait_until_the_snapshot_and_are_then_appended_around_it(machine: SymbolSync) -> None:
    for d in (diff(0, 5), diff(5, 8), diff(8, 12)):
        assert machine.diff(d) == []
    assert machine.gate is None
    assert show(machine.snapshot(9, SNAP)) == ["s0-5", "s5-8", "SNAP", "D8-12", "synced"]
    assert machine.state is State.LIVE
    assert machine.gate == 12
    assert show(machine.diff(diff(12, 13))) == ["D12-13"]


def test_spot_covers_up_to_the_snapshots_id_and_futures_below_it() -> None:
    for futures, expected in ((False, ["s0-5", "SNAP", "synced"]), (True, ["SNAP", "D0-5", "synced"])):
        machine = SymbolSync(futures)
        machine.connected()
        machine.diff(diff(0, 5))
        assert show(machine.snapshot(5, SNAP)) == expected


def test_a_snapshot_older_than_the_first_diff_is_asked_for_again(machine: SymbolSync) -> None:
    machine.diff(diff(10, 12))
    assert show(machine.snapshot(8, SNAP)) == ["ask"]
    assert show(machine.snapshot(10, SNAP)) == ["SNAP", "D10-12", "synced"]


def test_a_snapshot_before_any_diff_is_placed_at_once_and_diffs_it_covers_are_stale(
    machine: SymbolSync,
) -> None:
    assert show(machine.snapshot(10, SNAP)) == ["SNAP", "synced"]
    assert machine.gate is None
    assert show(machine.diff(diff(3, 7))) == ["s3-7"]
    assert show(machine.diff(diff(7, 12))) == ["D7-12"]
    assert machine.gate == 12


def test_a_missing_diff_is_declared_at_once_and_the_book_syncs_anew(machine: SymbolSync) -> None:
    machine.diff(diff(0, 5))
    machine.snapshot(3, SNAP)
    outputs = machine.diff(diff(7, 9))
    assert show(outputs) == ["gap 6>8", "syncing", "ask"]
    assert outputs[0] == DeclareGap(6, 8, GapReason.SEQUENCE)
    assert machine.gate is None
    assert show(machine.snapshot(6, SNAP)) == ["ask"]  # does not reach what waits
    assert show(machine.snapshot(8, SNAP)) == ["SNAP", "D7-9", "synced"]


def test_a_diff_missing_while_others_wait_is_declared_where_it_is_missing(machine: SymbolSync) -> None:
    for d in (diff(0, 5), diff(7, 9), diff(9, 11)):
        machine.diff(d)
    assert show(machine.snapshot(4, SNAP)) == ["ask"]  # the gap would be behind the snapshot
    assert show(machine.snapshot(10, SNAP)) == ["s0-5", "gap 6>8", "s7-9", "SNAP", "D9-11", "synced"]


def test_a_diff_seen_before_is_not_appended(machine: SymbolSync) -> None:
    machine.diff(diff(0, 5))
    assert machine.diff(diff(0, 5)) == [Seen()]
    machine.snapshot(5, SNAP)
    assert machine.diff(diff(2, 5)) == [Seen()]
    assert show(machine.diff(diff(4, 8))) == ["D4-8"]  # overlaps, reaches further


def test_a_venue_that_counts_anew_is_believed_in_the_end(machine: SymbolSync) -> None:
    machine.diff(diff(0, 50_000))
    machine.snapshot(50_000, SNAP)
    outputs: list[Any] = []
    for i in range(SEEN_RUN + 1):
        outputs = machine.diff(diff(i, i + 1))
    assert show(outputs)[1:] == ["syncing", "ask"]
    assert isinstance(outputs[0], DeclareGap)


def test_a_damaged_diff_is_a_gap_and_not_two(machine: SymbolSync) -> None:
    machine.diff(diff(0, 5))
    machine.snapshot(5, SNAP)
    outputs = machine.damaged()
    assert show(outputs) == ["gap 6>0", "syncing", "ask"]
    assert outputs[0].reason is GapReason.MALFORMED
    assert machine.diff(diff(9, 11)) == []
    assert show(machine.snapshot(10, SNAP)) == ["SNAP", "D9-11", "synced"]


def test_a_lost_connection_is_a_gap_and_what_waited_is_appended_stale(machine: SymbolSync) -> None:
    machine.diff(diff(0, 5))
    assert show(machine.lost()) == ["s0-5"]
    machine.connected()
    machine.diff(diff(20, 25))
    machine.snapshot(25, SNAP)
    assert show(machine.lost()) == ["gap 26>0"]
    assert machine.state is State.IDLE
    assert machine.lost() == []


def test_too_many_waiting_diffs_are_appended_stale_and_not_lost(machine: SymbolSync) -> None:
    outputs: list[Any] = []
    for i in range(WAITING_LIMIT):
        outputs += machine.diff(diff(i, i + 1))
    assert len(outputs) == WAITING_LIMIT
    assert all(o.stale for o in outputs)
    assert machine.waiting == 0
    assert show(machine.snapshot(WAITING_LIMIT - 7, SNAP)) == ["ask"]  # diffs it needs are gone
    assert show(machine.snapshot(WAITING_LIMIT, SNAP)) == ["SNAP", "synced"]


def test_a_refresh_takes_a_snapshot_that_is_not_behind_and_keeps_the_book_live(machine: SymbolSync) -> None:
    machine.diff(diff(0, 5))
    machine.snapshot(5, SNAP)
    assert show(machine.refresh()) == ["ask"]
    assert machine.refresh() == []
    assert show(machine.diff(diff(5, 8))) == ["D5-8"]
    assert machine.gate == 8
    (placed,) = machine.snapshot(10, SNAP)
    assert placed == Append(SNAP, snapshot=True)
    assert show(machine.diff(diff(8, 9))) == ["s8-9"]
    assert show(machine.diff(diff(9, 12))) == ["D9-12"]


def test_snapshots_that_stay_behind_make_diffs_wait_shortly(machine: SymbolSync) -> None:
    machine.diff(diff(0, 5))
    machine.snapshot(5, SNAP)
    machine.refresh()
    machine.diff(diff(5, 8))
    assert show(machine.snapshot(6, SNAP)) == ["ask"]
    assert show(machine.snapshot(7, SNAP)) == ["ask"]
    assert machine.state is State.HOLDING
    assert machine.diff(diff(8, 12)) == []
    assert machine.diff(diff(12, 14)) == []
    assert show(machine.snapshot(13, SNAP)) == ["D8-12", "SNAP", "D12-14"]
    assert machine.state is State.LIVE


@pytest.mark.parametrize("event", ["failed", "full", "gap", "lost"])
def test_what_waits_in_a_live_book_is_appended_as_it_is_whatever_happens(
    machine: SymbolSync, event: str
) -> None:
    machine.diff(diff(0, 5))
    machine.snapshot(5, SNAP)
    machine.refresh()
    machine.diff(diff(5, 7))
    machine.snapshot(5, SNAP)
    machine.snapshot(5, SNAP)
    machine.diff(diff(7, 8))
    if event == "failed":
        assert show(machine.failed()) == ["D7-8"]
    elif event == "gap":
        assert show(machine.diff(diff(9, 10))) == ["D7-8", "gap 9>10", "syncing", "ask"]
    elif event == "lost":
        assert show(machine.lost()) == ["D7-8", "gap 9>0"]
    else:
        outputs = [o for i in range(8, 8 + HOLDING_LIMIT) for o in machine.diff(diff(i, i + 1))]
        assert len(outputs) >= HOLDING_LIMIT
        assert not any(o.stale for o in outputs)
        assert machine.state is State.LIVE


def test_the_table_is_sound() -> None:
    """No diff is forgotten, only live books refresh, every loss of a live book is declared."""
    live = {State.LIVE, State.REFRESHING, State.HOLDING}
    for (state, event), (after, steps) in TABLE.items():
        if event is Event.DIFF:
            assert (Step.WAIT in steps) != (Step.APPEND in steps)
        if state in live and event in (Event.LOST, Event.GAP):
            assert Step.GAP in steps
        if state is State.HOLDING and after is not State.HOLDING:
            assert Step.FLUSH in steps or Step.PLACE in steps
        if after is State.SYNCING and state is not State.SYNCING:
            assert Step.ASK in steps
            assert Step.SYNCING in steps
    reached = {State.IDLE} | {after for after, _ in TABLE.values()}
    assert reached == set(State)


def test_the_documentation_draws_the_very_table(project_root: Path) -> None:
    text = (project_root / "docs" / "feed.md").read_text()
    drawn = (
        text.partition("<!-- sync table")[2].partition("-->\n")[2].partition("\n<!-- end of sync table")[0]
    )
    assert drawn == draw_table()


@seed(7)
@settings(max_examples=80, deadline=None)
@given(
    plan=st.lists(st.sampled_from("nnnnnnnnnnffffffDdswrrtFcll"), min_size=20, max_size=250),
    number=st.integers(0, 1 << 30),
)
@example(plan=list("nfnnnrlnnnn"), number=1)
@example(plan=list("nfrllnnnfnnrnfnn"), number=2)
@example(plan=list("nfrllnnFnrllnndnfn"), number=3)
@example(plan=list("ndnDnfnwnfntncnfnn"), number=4)
def test_under_any_damage_the_book_is_never_wrong_and_always_comes_back(
    make_market: type, rig_class: type, profile: Any, tmp_path_factory: Any, plan: list[str], number: int
) -> None:
    """n next, d drop, D double, s swap, w swap with distance, t truncate, r refresh, f snapshot, F failed snapshot,
    c cut and reconnect, l a late old snapshot. The reference is the market itself.
    """
    rig = rig_class(profile, tmp_path_factory.mktemp("damage") / "queue")
    try:
        _damage(make_market(profile, Random(number)), rig, plan)
    finally:
        rig.close()


def _damage(market: Any, rig: Any, plan: list[str]) -> None:
    pipeline, old, answered = rig.pipeline, market.snapshot(), 0
    truth = {market._update: _top(market)}
    held: list[bytes] = []
    lost_frames = 0
    pipeline.connected(1)

    def send(frame: bytes) -> None:
        pipeline.frame(frame, 1)

    def step() -> bytes:
        frame = market.depth()
        truth[market._update] = _top(market)
        return bytes(frame)

    for action in plan:
        if action in "nrfFcl":
            send(step())
        if action == "d":
            step()
            lost_frames += 1
        elif action == "D":
            frame = step()
            send(frame)
            send(frame)
        elif action in "sw":
            held.append(step())
            for _ in range(1 if action == "s" else 3):
                send(step())
            send(held.pop())
        elif action == "t":
            send(step()[:-20])
        elif action == "r":
            pipeline.refresh(0, 1)
        elif action == "f" and len(rig.asked) > answered:
            answered = len(rig.asked)
            pipeline.snapshot(0, market.snapshot(), 1)
        elif action == "F" and len(rig.asked) > answered:
            answered = len(rig.asked)
            pipeline.snapshot_failed(0, 1)
        elif action == "c":
            pipeline.lost(1)
            step()
            pipeline.connected(1)
        elif action == "l":
            pipeline.snapshot(0, old, 1)
    for _ in range(3):
        send(step())
        if pipeline.machines[0].state is State.SYNCING:
            pipeline.snapshot(0, market.snapshot(), 1)
    assert pipeline.machines[0].state in (State.LIVE, State.REFRESHING, State.HOLDING)
    if pipeline.machines[0].state is State.HOLDING:
        pipeline.snapshot_failed(0, 1)

    def look(book: Any, message: Any) -> None:
        if book.valid:
            assert not book.crossed
            if book.last_update_id in truth:
                bid, ask = book.best_bid, book.best_ask
                assert ((bid[0], bid[1]), (ask[0], ask[1])) == truth[book.last_update_id]

    book = rig.book(look)
    assert book.valid
    assert book.last_update_id == market._update
    tally = pipeline.tally
    assert tally.total == sum(tally.kinds().values()) + sum(tally.rejected().values())
    assert rig.kinds().count("BookDelta") == tally.kinds()["depth"]
    assert rig.kinds().count("Gap") == pipeline.gaps


def _top(market: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    bid, ask = max(market.bids), min(market.asks)
    return (bid * 10**6, market.bids[bid] * 10**8), (ask * 10**6, market.asks[ask] * 10**8)
