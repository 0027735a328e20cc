"""What the processes of a run do until they are killed: one appends, the others read and compare every byte."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

from libchronicle.errors import (
    ChronicleError,
    Evicted,
    NoSpace,
    NotReady,
    QueueFull,
    ReaderAlreadyActive,
    ReaderForgotten,
    WriterAlreadyActive,
)
from libchronicle.queue import LOST_TYPE, Message, Publisher, Queue, QueueConfig, Subscriber
from libchronicle.testing.torture.jobs import WorkJob, report
from libchronicle.testing.torture.ledger import Ledger, Slot
from libchronicle.testing.torture.plan import READERS
from libchronicle.testing.torture.records import Records

__all__ = ["config_of", "work"]

_BURST = 64
BATCH = 256
"""Records a reader may have committed beyond what the ledger says."""

_NEVER_COMES = "never-comes"
_LOST = struct.Struct("<QQ")


class Orphaned(Exception):
    """Whoever started this process is gone."""


def config_of(job: WorkJob) -> QueueConfig:
    """Small segments, so that most of what happens happens at rolls."""
    return QueueConfig(
        segment_size=job.segment_size,
        durable=(READERS[0], _NEVER_COMES) if job.keep else (READERS[0],),
        retain_segments=2,
        reader_ttl_s=2.0,
    )


def work(job: WorkJob) -> int:
    """Run `job` until the process is killed; returns the exit code of one that cannot go on."""
    ledger = Ledger(Path(job.arena, "ledger"))
    parent = os.getppid()
    try:
        if job.role == "writer":
            _write(job, ledger, parent)
        else:
            _Checker(job, ledger, parent).run()
    except Orphaned:
        return 0
    except ChronicleError as error:
        report(job.arena, job.role, "error", f"{type(error).__name__}: {error}")
        return 1
    return 0


def _stay(parent: int) -> None:
    if os.getppid() != parent:
        raise Orphaned


# ---------------------------------------------------------------- the writer


def _open_writer(job: WorkJob, ledger: Ledger, parent: int) -> Publisher:
    """A killed predecessor's lock goes with it, maybe a moment later; a disk may be full."""
    until = time.monotonic() + 10
    while True:
        _stay(parent)
        try:
            return Queue.open_publisher(job.queue, config_of(job))
        except WriterAlreadyActive:
            if time.monotonic() > until:
                raise
        except (NoSpace, QueueFull):
            ledger.add(Slot.REFUSED, 1)
        time.sleep(0.001)


def _write(job: WorkJob, ledger: Ledger, parent: int) -> None:
    records = Records(job.seed)
    writer = _open_writer(job, ledger, parent)
    seq = writer.next_seq
    ledger.put(Slot.OPENED, seq)
    ledger.add(Slot.OPENS, 1)
    while True:
        _stay(parent)
        slowest = min(ledger.get(Slot.SEEN, i) for i in range(len(READERS)))
        for _ in range(_BURST if seq - slowest < job.window else 0):
            try:
                got = writer.append(records.type_id(seq), records.payload(seq))
            except (NoSpace, QueueFull):
                ledger.add(Slot.REFUSED, 1)
                break
            if got != seq:
                report(job.arena, job.role, "error", f"append was to take seq {seq} and took {got}")
            seq += 1
            ledger.put(Slot.ACKED, seq)
        writer.heartbeat()
        time.sleep(0.0005)


# ---------------------------------------------------------------- the readers


class _Checker:
    """Reads in order, compares, commits; says so when a record is wrong, missing or twice there."""

    def __init__(self, job: WorkJob, ledger: Ledger, parent: int) -> None:
        self.job = job
        self.ledger = ledger
        self.parent = parent
        self.records = Records(job.seed)
        self.expected = 0

    def run(self) -> None:
        reader = self._open(first=True)
        self.ledger.add(Slot.STARTS, 1, self.job.index)
        while True:
            _stay(self.parent)
            try:
                if reader.wait(0.1):
                    self._read(reader)
            except (ReaderForgotten, Evicted) as error:
                if self.job.role == READERS[0]:
                    raise  # a durable reader is waited for
                self.ledger.add(Slot.TOLD, 1, self.job.index)
                if isinstance(error, ReaderForgotten):
                    reader.close()
                    reader = self._open(first=False)
                self.expected = reader.next_seq

    def _open(self, *, first: bool) -> Subscriber:
        """A name is free again when its killed owner is gone."""
        until = time.monotonic() + 10
        while True:
            _stay(self.parent)
            try:
                reader = Queue.open_subscriber(
                    self.job.queue, self.job.role, config_of(self.job), start="resume_or_oldest"
                )
                break
            except (NotReady, ReaderAlreadyActive, NoSpace):
                if time.monotonic() > until:
                    raise
            time.sleep(0.001)
        if first:
            self._check_resume(reader.next_seq)
        self.expected = reader.next_seq
        return reader

    def _check_resume(self, at: int) -> None:
        """The position committed is where the predecessor stood: at or behind the ledger's, by one batch at most."""
        seen = self.ledger.get(Slot.SEEN, self.job.index)
        durable = self.job.role == READERS[0]
        if at < seen:
            self._report("loss", f"committed up to seq {seen}, came back to {at}", seen - at)
        elif at > seen + BATCH and durable:
            self._report("loss", f"committed up to seq {seen}, came back at {at}", at - seen)

    def _read(self, reader: Subscriber) -> None:
        checked = 0
        for message in reader.drain(BATCH):
            self._check(message)
            checked += 1
        if checked:
            reader.commit()
            self.ledger.add(Slot.CHECKED, checked, self.job.index)
            self.ledger.put(Slot.SEEN, reader.next_seq, self.job.index)

    def _check(self, message: Message) -> None:
        seq = message.seq
        if message.type_id == LOST_TYPE:
            first, last = _LOST.unpack(bytes(message)[: _LOST.size])
            self._report("loss", f"the queue declares seqs {first} to {last} lost", last - first + 1)
        else:
            if seq != self.expected:
                self._report(
                    "loss", f"seq {seq} came where {self.expected} was due", abs(seq - self.expected)
                )
            if not self.records.is_right(message):
                self._report("torn", f"seq {seq} is not what was written ({len(message)} bytes)")
        self.expected = seq + 1

    def _report(self, kind: str, text: str, count: int = 1) -> None:
        assert kind in ("loss", "torn")
        report(self.job.arena, self.job.role, "loss" if kind == "loss" else "torn", text, count)
