"""A writer and its readers at work on one queue, and what must hold whatever is done to them.

kept        what append() returned for, and what a reader saw, is there when the writer comes back
order       no seq twice, none missing, no byte other than written       (the readers look, see work.py)
progress    whoever comes back, or gets room again, works again by itself
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from libchronicle.errors import ChronicleError, Evicted
from libchronicle.queue import LOST_TYPE, Queue
from libchronicle.testing.torture.jobs import WorkJob, read_reports, report
from libchronicle.testing.torture.ledger import Ledger, Slot
from libchronicle.testing.torture.nursery import Child, Nursery
from libchronicle.testing.torture.plan import READERS
from libchronicle.testing.torture.records import Records

__all__ = ["PATIENCE_S", "Crew", "Stalled"]

PATIENCE_S = 20.0
"""Who has not come back after this time will not."""

_LOOK_EVERY_S = 0.0002


class Stalled(Exception):
    """Somebody did not come back; the report is written."""


@dataclass
class Crew:
    """Use `start`, then kill, stop and revive by role: "writer" or a reader's name."""

    nursery: Nursery
    arena: Path  # ledger and reports
    queue: Path
    seed: int
    segment_size: int = 1 << 18
    keep: bool = False
    window: int = 20_000
    members: dict[str, Child] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ledger = Ledger.make(self.arena / "ledger")
        self.records = Records(self.seed)

    # -- life and death

    def start(self) -> None:
        for role in ("writer", *READERS):
            self.spawn(role)
        for role in self.members:
            self.await_work(role, 0)

    def spawn(self, role: str) -> None:
        job = WorkJob(
            role=role,
            index=0 if role == "writer" else READERS.index(role),
            arena=str(self.arena),
            queue=str(self.queue),
            seed=self.seed,
            segment_size=self.segment_size,
            keep=self.keep,
            window=self.window,
        )
        self.members[role] = self.nursery.start(job)

    def kill(self, role: str) -> None:
        """Kill -9. One that had ended before by another signal than ours is a fault, and one that gave up has reported why."""
        child = self.members[role]
        child.kill()
        if child.exit_code not in (-9, 1):
            self.report("error", f"{role} ended with {child.exit_code} by itself; see stderr.log")

    def dismiss(self) -> None:
        for role in list(self.members):
            self.kill(role)
        self.members.clear()

    # -- looking

    def done(self, role: str) -> int:
        """How far `role` has come: a seq."""
        if role == "writer":
            return self.ledger.get(Slot.ACKED)
        return self.ledger.get(Slot.SEEN, READERS.index(role))

    @property
    def checked(self) -> int:
        return sum(self.ledger.get(Slot.CHECKED, i) for i in range(len(READERS)))

    def await_that(self, what: str, holds: Callable[[], bool]) -> float:
        """Seconds until `holds()`. Raises Stalled when a process has reported a fault or patience is at its end."""
        began = time.perf_counter()
        looks = 0
        while not holds():
            looks += 1
            waited = time.perf_counter() - began
            if waited > PATIENCE_S:
                self.report("error", f"{what}: not within {PATIENCE_S:.0f} s")
                raise Stalled
            if looks % 256 == 0 and read_reports(self.arena):
                raise Stalled
            time.sleep(_LOOK_EVERY_S)
        return time.perf_counter() - began

    def await_work(self, role: str, beyond: int) -> float:
        """Seconds until `role` has come beyond a seq."""
        return self.await_that(f"{role} goes on beyond seq {beyond}", lambda: self.done(role) > beyond)

    def revive(self, role: str) -> float:
        """Start a successor; seconds until it works. Raises Stalled."""
        beyond, opens = self.done(role), self.ledger.get(Slot.OPENS)
        promised = max(self.done(name) for name in ("writer", *READERS))
        self.spawn(role)
        if role == "writer":
            self.await_that("the writer opens", lambda: self.ledger.get(Slot.OPENS) > opens)
            opened = self.ledger.get(Slot.OPENED)
            if opened < promised:
                text = f"{promised} records were there, the writer came back with {opened}"
                self.report("loss", text, promised - opened)
        return self.await_work(role, beyond)

    # -- judging

    def report(self, kind: str, text: str, count: int = 1) -> None:
        report(self.arena, "torture", "loss" if kind == "loss" else "error", text, count)

    def read_all(self) -> int:
        """Every record there is, compared, by a reader that leaves no trace; returns how many. Reports what is wrong."""
        promised = self.ledger.get(Slot.ACKED)
        checked, expected = 0, None
        try:
            with Queue.open_subscriber(self.queue, None, start="earliest") as reader:
                while reader.next_seq < promised:
                    try:
                        message = reader.next()
                    except Evicted:
                        expected = None  # retention passed by
                        continue
                    if message is None:
                        break
                    if message.type_id == LOST_TYPE or (expected is not None and message.seq != expected):
                        self.report("loss", f"seq {expected} is followed by {message.seq}")
                    elif not self.records.is_right(message):
                        report(self.arena, "torture", "torn", f"seq {message.seq} is not what was written")
                    expected = message.seq + 1
                    checked += 1
                if reader.next_seq < promised:
                    missing = promised - reader.next_seq
                    self.report(
                        "loss", f"{promised} records were appended, {reader.next_seq} are there", missing
                    )
        except ChronicleError as error:
            self.report("error", f"{type(error).__name__}: {error}")
        return checked
