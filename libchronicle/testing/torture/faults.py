"""The four faults: each plays its stream of rounds until its time is up and fills one row."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from libchronicle.errors import WriterAlreadyActive
from libchronicle.queue import Queue, WriterStatus
from libchronicle.testing.torture.crew import Crew, Stalled
from libchronicle.testing.torture.flips import flip, make_original
from libchronicle.testing.torture.jobs import FlipJob, read_reports, report
from libchronicle.testing.torture.ledger import Ledger, Slot
from libchronicle.testing.torture.nursery import Nursery
from libchronicle.testing.torture.plan import (
    READERS,
    CrashRound,
    DiskRound,
    StopRound,
    crash_rounds,
    disk_rounds,
    flip_rounds,
    stop_rounds,
)
from libchronicle.testing.torture.small_disk import Room, small_disk
from libchronicle.testing.torture.verdict import FaultResult

__all__ = ["RUNS", "Stage"]

_READ_ALL_EVERY = 20
_TTL_S = 0.05
_DISK_SEGMENT = 1 << 16
_DISK_BYTES = 16 << 20

T = TypeVar("T")


@dataclass
class Stage:
    """Where a fault plays: its own directory, its share of the time, and who wants to know how far it is."""

    nursery: Nursery
    arena: Path
    seed: int
    seconds: float
    rounds: int | None  # instead of the time
    tell: Callable[[float, int], None]  # share done, rounds
    tamper: Callable[[Path], None] | None = None  # of tests: does to the queue what must be found out

    def play(self, stream: Iterable[T], result: FaultResult) -> Iterator[T]:
        """Rounds until the time is up, or something was found."""
        began = time.monotonic()
        for number, one in enumerate(stream):
            share = (time.monotonic() - began) / self.seconds if self.rounds is None else number / self.rounds
            self.tell(min(1.0, share), number)
            if share >= 1.0 or read_reports(self.arena):
                return
            yield one
            result.rounds = number + 1

    def finish(self, result: FaultResult) -> FaultResult:
        result.take(read_reports(self.arena))
        self.tell(1.0, result.rounds)
        return result


# ---------------------------------------------------------------- crash


def run_crash(stage: Stage) -> FaultResult:
    """Writer and readers killed at random instants, successors killed while they recover."""
    result = FaultResult(fault="crash")
    crew = Crew(stage.nursery, stage.arena, stage.arena / "queue", stage.seed)
    extra = 0
    with contextlib.suppress(Stalled):
        crew.start()
        for number, one in enumerate(stage.play(crash_rounds(stage.seed), result)):
            time.sleep(one.after_s)
            result.recoveries_s.extend(_crash(crew, one, stage.tamper))
            if number % _READ_ALL_EVERY == 0:
                extra += crew.read_all()
    crew.dismiss()
    result.checked = crew.checked + extra + crew.read_all()
    return stage.finish(result)


def _crash(crew: Crew, one: CrashRound, tamper: Callable[[Path], None] | None) -> Iterator[float]:
    for role in one.victims:
        crew.kill(role)
    if tamper is not None:
        tamper(crew.queue)
    if one.again_s:
        for role in one.victims:
            crew.spawn(role)
        time.sleep(one.again_s)
        for role in one.victims:
            crew.kill(role)
    for role in sorted(one.victims, reverse=True):  # the writer first: the readers' work is to follow it
        yield crew.revive(role)


# ---------------------------------------------------------------- stop


def run_stop(stage: Stage) -> FaultResult:
    """Suspended and continued: seen as stale, never robbed of the queue, at work again at once."""
    result = FaultResult(fault="stop")
    crew = Crew(stage.nursery, stage.arena, stage.arena / "queue", stage.seed)
    with contextlib.suppress(Stalled):
        crew.start()
        for one in stage.play(stop_rounds(stage.seed), result):
            time.sleep(one.after_s)
            result.recoveries_s.append(_stop(crew, one))
    crew.dismiss()
    result.checked = crew.checked + crew.read_all()
    return stage.finish(result)


def _stop(crew: Crew, one: StopRound) -> float:
    child = crew.members[one.victim]
    child.stop()
    until = time.monotonic() + one.for_s
    others = [role for role in ("writer", *READERS) if role != one.victim]
    before = {role: crew.done(role) for role in others}
    if one.victim == "writer":
        time.sleep(2 * _TTL_S)
        _expect_stale(crew)
    time.sleep(max(0.0, until - time.monotonic()))
    if one.victim != "writer":
        for role in others:
            crew.await_work(role, before[role])
    beyond = crew.done(one.victim)
    child.go_on()
    return crew.await_work(one.victim, beyond)


def _expect_stale(crew: Crew) -> None:
    with Queue.open_subscriber(crew.queue, None, start="latest") as reader:
        status = reader.writer_status(_TTL_S)
    if status is not WriterStatus.STALE:
        crew.report("error", f"a suspended writer is said to be {status}")
    try:
        Queue.open_publisher(crew.queue).close()
    except WriterAlreadyActive:
        return
    crew.report("error", "the queue was taken from a suspended writer")


# ---------------------------------------------------------------- disk


def run_disk(stage: Stage) -> FaultResult:
    """No room left, at a place chosen by the plan; room again."""
    result = FaultResult(fault="disk")
    checked = 0
    with small_disk(stage.arena, _DISK_BYTES) as room, contextlib.suppress(Stalled):
        result.note = room.how
        for number, one in enumerate(stage.play(disk_rounds(stage.seed), result)):
            queue = room.path / f"queue-{number}"
            crew = Crew(
                stage.nursery,
                stage.arena,
                queue,
                stage.seed,
                segment_size=_DISK_SEGMENT,
                keep=True,
                window=1 << 62,
            )
            try:
                result.recoveries_s.append(_fill(crew, room, one))
            finally:
                crew.dismiss()
                checked += crew.checked
            checked += crew.read_all()
            shutil.rmtree(queue)
    result.checked = checked
    return stage.finish(result)


def _fill(crew: Crew, room: Room, one: DiskRound) -> float:
    crew.start()
    ledger = crew.ledger
    room.shrink(crew.members["writer"].pid, one.segments * _DISK_SEGMENT + one.bytes_left, _DISK_SEGMENT)
    refused = ledger.get(Slot.REFUSED)
    crew.await_that("the writer is refused for want of space", lambda: ledger.get(Slot.REFUSED) > refused)
    for role in READERS:
        acked = crew.done("writer")
        crew.await_that(f"{role} reads on while the disk is full", lambda: crew.done(role) >= acked)  # noqa: B023
    if one.kill:
        crew.kill("writer")
        opens, beyond = ledger.get(Slot.OPENS), crew.done("writer")
        crew.spawn("writer")
        room.shrink(crew.members["writer"].pid, 0, _DISK_SEGMENT)
        time.sleep(0.02)
        room.widen(crew.members["writer"].pid)
        took = crew.await_that("the writer opens", lambda: ledger.get(Slot.OPENS) > opens)
        if ledger.get(Slot.OPENED) < beyond:
            crew.report(
                "loss", f"{beyond} records were there, the writer came back with {ledger.get(Slot.OPENED)}"
            )
        return took + crew.await_work("writer", beyond)
    beyond = crew.done("writer")
    room.widen(crew.members["writer"].pid)
    return crew.await_work("writer", beyond)


# ---------------------------------------------------------------- flip


def run_flip(stage: Stage) -> FaultResult:
    """Single bits flipped in a copy of a sound queue."""
    result = FaultResult(fault="flip")
    ledger = Ledger.make(stage.arena / "ledger")
    original, copy = stage.arena / "original", stage.arena / "copy"
    records, committed = make_original(original, stage.seed)
    for one in stage.play(flip_rounds(stage.seed), result):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(original, copy)
        file, offset = flip(copy, one)
        job = FlipJob(
            arena=str(stage.arena),
            queue=str(copy),
            seed=stage.seed,
            records=records,
            committed=committed,
            target=str(file.relative_to(copy)),
            place=f"byte {offset}, bit {one.bit}",
        )
        code = stage.nursery.start(job).wait()
        if code:
            report(
                stage.arena, "flip", "error", f"bit flipped in {job.target} at {job.place}: ended with {code}"
            )
    result.checked = ledger.get(Slot.CHECKED)
    result.declared = ledger.get(Slot.TOLD)
    return stage.finish(result)


RUNS: dict[str, Callable[[Stage], FaultResult]] = {
    "crash": run_crash,
    "stop": run_stop,
    "disk": run_disk,
    "flip": run_flip,
}
