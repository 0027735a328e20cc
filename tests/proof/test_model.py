"""A queue against a list: writers, readers, rolls, commits, retention, crashes and reopenings in any order.

The model is the list of everything appended and, per reader, where it stands and where it committed. What the model cannot
know is when the clean thread removes a segment everybody has passed: there it only says between which bounds the oldest
record lies.
"""

from __future__ import annotations

import bisect
import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from libchronicle.errors import (
    Evicted,
    PayloadTooLarge,
    ReaderForgotten,
    ReservedType,
    TimestampOrder,
    WriterAlreadyActive,
)
from libchronicle.queue import Message, Publisher, Queue, QueueConfig, Subscriber, verify

SEGMENT = 1 << 14
NAMES = ("a", "b")
CONFIG = QueueConfig(
    segment_size=SEGMENT, prefault=False, sync=False, durable=NAMES, retain_segments=0, reader_ttl_s=0.05
)
SIZES = st.integers(0, 6000) | st.integers(0, 64)
STARTS = ("resume", "resume_or_oldest", "latest", "earliest")


class Record(NamedTuple):
    type_id: int
    ts_ns: int
    epoch: int
    payload: bytes

    @classmethod
    def of(cls, m: Message) -> Record:
        return cls(m.type_id, m.ts_ns, m.epoch, bytes(m))


class QueueAgainstList(RuleBasedStateMachine):
    steps = 0

    @initialize()
    def begin(self) -> None:
        self.dir = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
        self.path = self.dir / "q"
        self.records: list[Record] = []
        self.writer = Queue.open_publisher(self.path, CONFIG)
        self.readers = {name: Queue.open_subscriber(self.path, name, CONFIG) for name in NAMES}
        self.at = dict.fromkeys(NAMES, 0)
        self.committed = dict.fromkeys(NAMES, 0)
        self.passed = dict.fromkeys(NAMES, 0)  # the furthest it ever committed: retention may go that far
        self.guest_committed: int | None = None

    def teardown(self) -> None:
        if not hasattr(self, "guest_committed"):
            return
        for handle in (*self.readers.values(), self.writer):
            handle.close()
        assert list(verify(self.path)) == []
        shutil.rmtree(self.dir)

    # ------------------------------------------------------------ what is known

    def oldest(self) -> int:
        return self.readers["a"].oldest_seq

    def payload(self, size: int) -> bytes:
        return len(self.records).to_bytes(4, "little") + bytes([len(self.records) & 0xFF]) * size

    def note(self, type_id: int, payload: bytes) -> None:
        self.records.append(Record(type_id, self.writer.last_ts_ns, self.writer.epoch, payload))

    def index_of_time(self, ts_ns: int) -> int:
        return bisect.bisect_left(self.records, ts_ns, key=lambda record: record.ts_ns)

    def expect_between(self, wanted: int, before: int, found: int) -> None:
        """`found` is `wanted`, or the oldest record if that is later; `before` was the oldest a moment ago."""
        end = len(self.records)
        assert min(max(wanted, before), end) <= found <= min(max(wanted, self.oldest()), end)

    # ------------------------------------------------------------ writing

    @rule(size=SIZES, type_id=st.integers(0, 0xFEFF))
    def append(self, size: int, type_id: int) -> None:
        payload = self.payload(size)
        assert self.writer.append(type_id, payload) == len(self.records)
        self.note(type_id, payload)

    @rule(size=SIZES, later=st.integers(0, 1 << 40))
    def append_at_a_time(self, size: int, later: int) -> None:
        ts_ns, payload = self.writer.last_ts_ns + later, self.payload(size)
        assert self.writer.append(1, payload, ts_ns) == len(self.records)
        assert self.writer.last_ts_ns == ts_ns
        self.note(1, payload)

    @rule(sizes=st.lists(SIZES, max_size=6), ts=st.booleans())
    def append_many(self, sizes: list[int], ts: bool) -> None:
        ts_ns = self.writer.last_ts_ns + 1 if ts else None
        first = len(self.records)
        payloads = [(first + i).to_bytes(4, "little") + bytes(size) for i, size in enumerate(sizes)]
        assert self.writer.append_many(2, payloads, ts_ns) == (first + len(sizes) - 1 if sizes else -1)
        with Queue.open_subscriber(self.path, None, CONFIG, seq=first) as reader:
            got = reader.drain()
        assert [bytes(m) for m in got] == payloads
        assert [m.ts_ns for m in got] == sorted(m.ts_ns for m in got)
        assert ts_ns is None or {m.ts_ns for m in got} <= {ts_ns}
        self.records += [Record.of(m) for m in got]

    @rule(size=SIZES)
    def append_in_place(self, size: int) -> None:
        payload = self.payload(size)
        with self.writer.reserve(3, len(payload)) as view:
            view[:] = payload
        self.note(3, payload)

    @rule(size=SIZES)
    def abort_in_place(self, size: int) -> None:
        with contextlib.suppress(LookupError), self.writer.reserve(1, size) as view:
            view[:] = b"\xee" * size
            raise LookupError

    @rule()
    def what_must_be_refused_leaves_no_trace(self) -> None:
        with pytest.raises(PayloadTooLarge):
            self.writer.append(1, bytes(SEGMENT))
        with pytest.raises(ReservedType):
            self.writer.append(0xFFFE, b"")
        if self.writer.last_ts_ns:
            with pytest.raises(TimestampOrder):
                self.writer.append(1, b"", self.writer.last_ts_ns - 1)
        assert self.writer.next_seq == len(self.records)

    @rule()
    def roll(self) -> None:
        self.writer.roll()

    @rule()
    def heartbeat(self) -> None:
        self.writer.heartbeat()

    @rule(sealed_only=st.booleans())
    def flush(self, sealed_only: bool) -> None:
        self.writer.flush(sealed_only)

    @rule()
    def a_second_writer_is_refused(self) -> None:
        with pytest.raises(WriterAlreadyActive) as caught:
            Queue.open_publisher(self.path, CONFIG)
        assert caught.value.pid == os.getpid()

    # ------------------------------------------------------------ writers come and go

    def open_writer(self) -> None:
        epoch = self.readers["a"].writer_epoch
        self.writer = Queue.open_publisher(self.path, CONFIG)
        assert self.writer.epoch == epoch + 1
        assert self.writer.next_seq == len(self.records)

    @rule()
    def writer_opens_again(self) -> None:
        self.writer.close()
        self.open_writer()

    @rule(sizes=st.lists(SIZES | st.none(), max_size=5), half=st.none() | SIZES)
    def a_writer_crashes(self, sizes: list[int | None], half: int | None) -> None:
        """A child takes over, appends, rolls (None), and dies without a word, perhaps in the middle of a record."""
        self.writer.close()
        first = len(self.records)
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BaseException):
                crash(self.path, first, sizes, half)
            os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0
        self.open_writer_after(first, [size for size in sizes if size is not None])

    def open_writer_after(self, first: int, sizes: list[int]) -> None:
        epoch = self.readers["a"].writer_epoch
        with Queue.open_subscriber(self.path, None, CONFIG, seq=first) as reader:
            got = [Record.of(m) for m in reader.drain()]
        assert [r.payload for r in got] == [
            (first + i).to_bytes(4, "little") + bytes(s) for i, s in enumerate(sizes)
        ]
        assert {r.epoch for r in got} <= {epoch}
        self.records += got
        self.open_writer()

    # ------------------------------------------------------------ the two that are waited for

    @rule(name=st.sampled_from(NAMES), count=st.integers(1, 20))
    def read(self, name: str, count: int) -> None:
        reader, at = self.readers[name], self.at[name]
        try:
            got = reader.drain(count)
        except Evicted as hole:  # it went back behind what it had committed
            self.fell_into(hole, name)
            return
        assert [Record.of(m) for m in got] == self.records[at : at + count]
        assert [m.seq for m in got] == list(range(at, at + len(got)))
        self.at[name] += len(got)

    def fell_into(self, hole: Evicted, name: str) -> None:
        assert self.at[name] <= hole.from_seq <= hole.to_seq < self.passed[name]
        assert self.readers[name].next_seq == hole.to_seq + 1
        self.at[name] = hole.to_seq + 1

    @rule(name=st.sampled_from(NAMES))
    def commit(self, name: str) -> None:
        self.readers[name].commit()
        self.note_commit(name)

    def note_commit(self, name: str) -> None:
        self.committed[name] = self.at[name]
        self.passed[name] = max(self.passed[name], self.at[name])

    @rule(name=st.sampled_from(NAMES), data=st.data())
    def seek_seq(self, name: str, data: st.DataObject) -> None:
        seq, before = data.draw(st.integers(0, len(self.records) + 2)), self.oldest()
        self.readers[name].seek_seq(seq)
        self.at[name] = self.readers[name].next_seq
        self.expect_between(seq, before, self.at[name])

    @rule(name=st.sampled_from(NAMES), data=st.data(), off=st.integers(-1, 1))
    def seek_time(self, name: str, data: st.DataObject, off: int) -> None:
        if not self.records:
            return
        ts_ns = data.draw(st.sampled_from(self.records)).ts_ns + off
        before = self.oldest()
        self.readers[name].seek_time(ts_ns)
        self.at[name] = self.readers[name].next_seq
        self.expect_between(self.index_of_time(ts_ns), before, self.at[name])

    @rule(name=st.sampled_from(NAMES))
    def wait(self, name: str) -> None:
        assert self.readers[name].wait(0) or self.at[name] == len(self.records)

    @rule(name=st.sampled_from(NAMES), start=st.sampled_from(STARTS))
    def reader_opens_again(self, name: str, start: str) -> None:
        self.readers[name].close()
        with Queue.open_subscriber(self.path, None, CONFIG) as observer:
            before = observer.oldest_seq
        self.readers[name] = reader = Queue.open_subscriber(self.path, name, CONFIG, start)
        wanted = {"latest": len(self.records), "earliest": 0}.get(start, self.committed[name])
        self.expect_between(wanted, before, reader.next_seq)
        self.at[name] = reader.next_seq
        self.note_commit(name)

    # ------------------------------------------------------------ passers-by

    def follows_the_list(self, reader: Subscriber, count: int) -> None:
        first = reader.next_seq
        try:
            got = reader.drain(count)
        except (Evicted, ReaderForgotten):
            assert self.oldest() > first
            return
        assert [Record.of(m) for m in got] == self.records[first : first + count]

    @rule(
        start=st.sampled_from(("latest", "earliest", "seq", "time")), data=st.data(), count=st.integers(1, 9)
    )
    def a_stranger_reads(self, start: str, data: st.DataObject, count: int) -> None:
        wanted = data.draw(st.integers(0, len(self.records)))
        before = self.oldest()
        if start == "seq":
            reader = Queue.open_subscriber(self.path, None, CONFIG, seq=wanted)
        elif start == "time":
            ts_ns = self.records[wanted].ts_ns if wanted < len(self.records) else self.writer.last_ts_ns + 1
            reader = Queue.open_subscriber(self.path, None, CONFIG, time_ns=ts_ns)
            wanted = self.index_of_time(ts_ns)
        else:
            reader = Queue.open_subscriber(self.path, None, CONFIG, start)
            wanted = len(self.records) if start == "latest" else 0
        with reader:
            self.expect_between(wanted, before, reader.next_seq)
            self.follows_the_list(reader, count)

    @rule(start=st.sampled_from(STARTS), count=st.integers(0, 9), commits=st.booleans())
    def a_guest_nobody_waits_for_reads(self, start: str, count: int, commits: bool) -> None:
        before = self.oldest()
        held = self.guest_committed
        try:
            reader = Queue.open_subscriber(self.path, "guest", CONFIG, start)
        except Evicted as hole:
            told = (start, hole.from_seq, hole.from_seq <= hole.to_seq < self.oldest())
            assert told == ("resume", held, True)
            return
        with reader:
            wanted = {"latest": len(self.records), "earliest": 0}.get(start, held or 0)
            self.expect_between(wanted, before, reader.next_seq)
            assert start != "resume" or held is None or reader.next_seq == held
            self.guest_committed = reader.next_seq
            self.follows_the_list(reader, count)
            if commits:
                with contextlib.suppress(ReaderForgotten):
                    reader.commit()
                    self.guest_committed = reader.next_seq

    # ------------------------------------------------------------ always

    @invariant()
    def nothing_goes_that_a_durable_reader_has_not_passed(self) -> None:
        QueueAgainstList.steps += 1
        if not hasattr(self, "guest_committed"):
            return
        assert self.oldest() <= min(self.passed.values())
        for name in NAMES:
            assert self.readers[name].next_seq == self.at[name]
            assert self.readers[name].lag()[1] == len(self.records) - self.at[name]


def crash(path: Path, first: int, sizes: list[int | None], half: int | None) -> None:
    writer: Publisher = Queue.open_publisher(path, CONFIG)
    seq = first
    for size in sizes:
        if size is None:
            writer.roll()
        else:
            writer.append(4, seq.to_bytes(4, "little") + bytes(size))
            seq += 1
    if half is not None:
        view = writer.reserve(1, half).__enter__()
        view[:] = b"\xdd" * half
    os._exit(0)


def test_a_queue_behaves_like_a_list_whatever_is_done_to_it_in_any_order(scale, report):
    QueueAgainstList.steps = 0
    wanted = scale(3_000, 100_000)
    often = settings(max_examples=scale(100, 500), stateful_step_count=40, deadline=None)
    while QueueAgainstList.steps < wanted:
        run_state_machine_as_test(
            QueueAgainstList, settings=settings(often, suppress_health_check=list(HealthCheck))
        )
    report(steps=QueueAgainstList.steps)
