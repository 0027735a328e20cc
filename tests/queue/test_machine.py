"""A queue against a list: writers, readers, rolls, commits, crashes and reopenings in any order."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from libchronicle.queue import Queue, QueueConfig, verify

CONFIG = QueueConfig(segment_size=1 << 14, prefault=False)
NAMES = ("a", "b")


class QueueAgainstList(RuleBasedStateMachine):
    """The model: a list of payloads, and per reader the index it stands at and the one it committed."""

    @initialize()
    def begin(self) -> None:
        self.dir = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
        self.path = self.dir / "q"
        self.records: list[bytes] = []
        self.writer = Queue.open_publisher(self.path, CONFIG)
        self.readers = {name: Queue.open_subscriber(self.path, name, CONFIG) for name in NAMES}
        self.at = dict.fromkeys(NAMES, 0)
        self.committed = dict.fromkeys(NAMES, 0)

    def teardown(self) -> None:
        with contextlib.suppress(AttributeError):
            for handle in (*self.readers.values(), self.writer):
                handle.close()
            assert verify(self.path) == []
            shutil.rmtree(self.dir)

    @rule(size=st.integers(0, 6000), count=st.integers(1, 4))
    def append(self, size: int, count: int) -> None:
        for _ in range(count):
            payload = len(self.records).to_bytes(4, "little") + bytes(size)
            assert self.writer.append(1, payload) == len(self.records)
            self.records.append(payload)

    @rule(size=st.integers(4, 6000))
    def append_in_place(self, size: int) -> None:
        payload = len(self.records).to_bytes(4, "little") + b"\xff" * (size - 4)
        with self.writer.reserve(1, size) as view:
            view[:] = payload
        self.records.append(payload)

    @rule(size=st.integers(0, 6000))
    def fail_in_place(self, size: int) -> None:
        with contextlib.suppress(LookupError), self.writer.reserve(1, size) as view:
            view[:] = b"\xee" * size
            raise LookupError

    @rule()
    def roll(self) -> None:
        self.writer.roll()

    @rule(name=st.sampled_from(NAMES), count=st.integers(1, 20))
    def read(self, name: str, count: int) -> None:
        got = self.readers[name].drain(count)
        expected = self.records[self.at[name] : self.at[name] + count]
        assert [bytes(m) for m in got] == expected
        assert [m.seq for m in got] == list(range(self.at[name], self.at[name] + len(expected)))
        self.at[name] += len(got)

    @rule(name=st.sampled_from(NAMES))
    def commit(self, name: str) -> None:
        self.readers[name].commit()
        self.committed[name] = self.at[name]

    @precondition(lambda self: self.records)
    @rule(name=st.sampled_from(NAMES), data=st.data())
    def seek(self, name: str, data: st.DataObject) -> None:
        seq = data.draw(st.integers(0, len(self.records)))
        self.readers[name].seek_seq(seq)
        self.at[name] = seq

    @rule(name=st.sampled_from(NAMES))
    def reader_opens_again(self, name: str) -> None:
        self.readers[name].close()
        self.readers[name] = Queue.open_subscriber(self.path, name, CONFIG)
        self.at[name] = self.committed[name]

    @rule()
    def writer_opens_again(self) -> None:
        self.writer.close()
        self.writer = Queue.open_publisher(self.path, CONFIG)

    @rule(size=st.integers(0, 4000))
    def writer_crashes_in_the_middle_of_a_record(self, size: int) -> None:
        """A child takes over, writes one record and half of the next, and dies without a word."""
        self.writer.close()
        pid = os.fork()
        if pid == 0:
            try:
                writer = Queue.open_publisher(self.path, CONFIG)
                writer.append(1, len(self.records).to_bytes(4, "little"))
                reservation = writer.reserve(1, size)
                view = reservation.__enter__()
                view[:] = b"\xdd" * size
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        self.records.append(len(self.records).to_bytes(4, "little"))
        self.writer = Queue.open_publisher(self.path, CONFIG)
        assert self.writer.next_seq == len(self.records)

    @invariant()
    def lag_is_what_is_left(self) -> None:
        for name in getattr(self, "readers", {}):
            assert self.readers[name].lag()[1] == len(self.records) - self.at[name]


QueueAgainstList.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestQueueAgainstList = QueueAgainstList.TestCase
