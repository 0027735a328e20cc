"""One bit flipped in one file of a queue: named to whoever meets it, or without effect; never a wrong record or a silent hole.

The queue is made once, with records in several segments, a reader that has committed in the middle, and a tail. Each round
flips a bit of a copy and judges it in a process of its own, for a crash is a finding too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from libchronicle.errors import ChronicleError, Corrupt
from libchronicle.queue import LOST_TYPE, Message, Queue, QueueConfig, Subscriber
from libchronicle.testing.torture.jobs import FlipJob, report
from libchronicle.testing.torture.ledger import Ledger, Slot
from libchronicle.testing.torture.plan import READERS, FlipRound
from libchronicle.testing.torture.records import Records

__all__ = ["CONFIG", "flip", "judge", "make_original"]

CONFIG = QueueConfig(
    segment_size=1 << 15, durable=(READERS[0], "never-comes"), reader_ttl_s=2.0, prefault=False
)
_RECORDS = 180
_READ = 90
_APPENDED = 3
_TELLS = 1000
"""Errors after which a reader is taken to have been told enough."""


def make_original(queue: Path, seed: int) -> tuple[int, int]:
    """A sound queue; returns (records in it, the seq its reader has committed)."""
    records = Records(seed)
    with (
        Queue.open_publisher(queue, CONFIG) as writer,
        Queue.open_subscriber(queue, READERS[0], CONFIG) as reader,
    ):
        for seq in range(_RECORDS):
            writer.append(records.type_id(seq), records.payload(seq))
        reader.drain(_READ)
        reader.commit()
        writer.flush()
        reader.flush()
    return _RECORDS, _READ


_FILES = {
    "segment": "[0-9]*.q",
    "index": "[0-9]*.idx",
    "control": "control.meta",
    "notify": "notify.meta",
    "reader": "readers/*.meta",
}


_USED_BYTES = {"control": 512, "notify": 32, "reader": 192}
"""Of the pages: the rest is never looked at, so a bit there would prove nothing."""


def flip(queue: Path, what: FlipRound) -> tuple[Path, int]:
    """Flip it; returns the file and the byte's offset."""
    files = sorted(queue.glob(_FILES[what.kind]))
    file = files[int(what.pick * len(files))]
    fd = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    try:
        offset = int(what.place * _USED_BYTES.get(what.kind, os.fstat(fd).st_size))
        byte = os.pread(fd, 1, offset)[0] ^ 1 << what.bit
        os.pwrite(fd, bytes([byte]), offset)
    finally:
        os.close(fd)
    return file, offset


# ---------------------------------------------------------------- judging, in a process of its own


class _Judge:
    def __init__(self, job: FlipJob, ledger: Ledger) -> None:
        self.job = job
        self.ledger = ledger
        self.queue = Path(job.queue)
        self.records = Records(job.seed)
        self.told: list[str] = []

    def report(self, kind: Literal["loss", "torn", "error"], text: str, count: int = 1) -> None:
        where = f"bit flipped in {self.job.target} at {self.job.place}"
        report(self.job.arena, "flip", kind, f"{where}: {text}", count)

    def tell(self, error: ChronicleError | str) -> None:
        self.told.append(error if isinstance(error, str) else type(error).__name__)

    def read(self, when: str, expected: set[int]) -> None:
        """Read what can be read from the oldest on; a record that is missing must have been told of."""
        told_before = len(self.told)
        found: set[int] = set()
        try:
            with Queue.open_subscriber(self.queue, None, CONFIG, start="earliest") as reader:
                for message in self._messages(reader):
                    if not self.records.is_right(message):
                        self.report("torn", f"{when}, seq {message.seq} is not what was written")
                    found.add(message.seq)
        except ChronicleError as error:
            self.tell(error)
        self.ledger.add(Slot.CHECKED, len(found))
        missing = sorted(expected - found)
        if missing and len(self.told) == told_before:
            some = f"{len(missing)} of {len(expected)} records, the first of them seq {missing[0]},"
            self.report("loss", f"{when}, {some} are not there and nothing says so", len(missing))

    def _messages(self, reader: Subscriber) -> Iterator[Message]:
        """Like a person would: told of damage at a record, go on behind it."""
        for _ in range(_TELLS):
            try:
                message = reader.next()
            except Corrupt as error:
                self.tell(error)
                reader.seek_seq(max(error.seq, reader.next_seq) + 1)
                continue
            except ChronicleError as error:
                self.tell(error)
                continue
            if message is None:
                return
            if message.type_id == LOST_TYPE:
                self.tell("LOST")
                continue
            yield message

    def resume(self) -> None:
        """The reader comes back where it stood, or is told why not."""
        try:
            with Queue.open_subscriber(self.queue, READERS[0], CONFIG) as reader:
                if reader.next_seq != self.job.committed:
                    self.report(
                        "loss",
                        f"the reader had committed {self.job.committed}, came back at {reader.next_seq}",
                    )
        except ChronicleError as error:
            self.tell(error)

    def recover(self) -> int | None:
        """The next writer takes the queue over and appends; returns the first seq, None if it was told why it cannot."""
        try:
            with Queue.open_publisher(self.queue, CONFIG) as writer:
                first = writer.next_seq
                for seq in range(first, first + _APPENDED):
                    got = writer.append(self.records.type_id(seq), self.records.payload(seq))
                    if got != seq:
                        self.report("error", f"append was to take seq {seq} and took {got}")
        except ChronicleError as error:
            self.tell(error)
            return None
        return first


def judge(job: FlipJob) -> int:
    """Before recovery, at resume, in recovery and after; returns the exit code."""
    ledger = Ledger(Path(job.arena, "ledger"))
    one = _Judge(job, ledger)
    written = set(range(job.records))
    one.read("before recovery", written)
    one.resume()
    first = one.recover()
    if first is not None:
        if first < job.records:
            one.report(
                "loss",
                f"seqs up to {job.records} were used, the writer goes on at {first}",
                job.records - first,
            )
        one.read("after recovery", written | set(range(first, first + _APPENDED)))
    if one.told:
        ledger.add(Slot.TOLD, 1)
    return 0
