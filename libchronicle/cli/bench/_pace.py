"""The market's side of tick_to_trade: plays records on time, answers orders, and reads the journals afterwards."""

from __future__ import annotations

import gc
import struct
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from libchronicle.bus.kill_word import KillWord
from libchronicle.bus.paths import BusPaths
from libchronicle.cli.bench._market import Event, definition
from libchronicle.clock import now_ns
from libchronicle.protocol import ExecType, ExecutionReport, Heartbeat, NewOrder
from libchronicle.queue import Publisher, Queue, QueueConfig, Subscriber

__all__ = ["Market", "latencies"]

CONFIG = QueueConfig(segment_size=64 << 20)
ANSWER_ROOM_NS = 20_000
LATE_NS = 20_000
_CAUSE_TS = struct.Struct("<q")
_SEQ = struct.Struct("<Q")


class Market:
    """One feed's queue and one router's, below `root`, and the process that trades on them."""

    def __init__(self, root: Path, kind: str, core: int) -> None:
        self.root = root
        self.kind = kind
        self.paths = BusPaths(root)
        KillWord(self.paths).initialise()
        self.feed: Publisher = Queue.open_publisher(self.paths.raw("binance-usdm"), CONFIG)
        self.router: Publisher = Queue.open_publisher(self.paths.orders_in("bench"), CONFIG)
        self.orders: Subscriber | None = None
        self.answered = 0
        command = [sys.executable, "-m", "libchronicle.cli.bench._tick_child", str(root), kind, str(core)]
        self.child = subprocess.Popen(command)
        self._report = bytearray()

    def begin(self, snapshot: Event) -> None:
        """Until the other side trades."""
        for event in (definition(), snapshot):
            self.feed.append(event.type_id, event.payload)
        deadline = time.monotonic() + 30
        while not self._ready():
            if self.child.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the {self.kind} process did not start")
            self._beat()
            time.sleep(0.01)
        self.orders = Queue.open_subscriber(self.paths.orders_out("bench"), None, start="earliest")
        self._report = bytearray(
            ExecutionReport(
                order_queue_id=self.orders.queue_id,
                order_epoch=1,
                exec_type=ExecType.EXPIRED,
                instrument_id=1,
            ).encode()
        )

    def _ready(self) -> bool:
        if self.kind in ("echo", "bare"):
            return (self.root / "echo.ready").exists()
        reader = Queue.try_open_subscriber(self.paths.session("bench"), None, start="earliest")
        if reader is None:
            return False
        with reader:
            states = [m for m in iter(reader.next, None) if m.type_id == 44]
            return any(m.payload[24] == 3 and m.payload[26] == 2 for m in states) and any(
                m.payload[24] == 2 and m.payload[26] == 2 for m in states
            )

    def _beat(self) -> None:
        self.feed.heartbeat()
        self.router.heartbeat()

    def play(self, events: Sequence[Event], *, gap_ns: int = 0, keep: int = 0) -> None:
        """Append every event on time: its own, or one each `gap_ns`. Orders are answered in between.

        After a stop of its own the market goes on in its rhythm; it does not catch up in a burst no market ever sent.
        Where the machine stands still so often that it takes three times as long as planned, the rest is left out.
        `keep` = instrument id to answer for; 0 answers nothing.
        """
        append = self.feed.append
        start = now_ns() + 1_000_000
        patience = start + 3 * (len(events) * gap_ns if gap_ns else events[-1].at_ns) + 500_000_000
        gc.disable()
        try:
            for n, (at_ns, type_id, payload) in enumerate(events):
                due = start + (n * gap_ns if gap_ns else at_ns)
                if keep:
                    self._answer_until(due - ANSWER_ROOM_NS, keep)
                while (now := now_ns()) < due:
                    pass
                if now > due + LATE_NS:
                    start += now - due
                    if now > patience:
                        break
                append(type_id, payload)
                if n % 1000 == 0:
                    self._beat()
        finally:
            gc.enable()

    def _answer_until(self, until: int, instrument_id: int) -> None:
        """End orders, so that the host's list of open ones stays short."""
        assert self.orders is not None
        while now_ns() < until:
            message = self.orders.next()
            if message is None:
                continue
            if message.type_id == NewOrder.TEMPLATE_ID:
                self.answered += 1
                report = self._report
                _SEQ.pack_into(report, 8 + 8, message.seq)
                _SEQ.pack_into(report, 8 + 16, instrument_id)
                _SEQ.pack_into(report, 8 + 24, self.answered)
                self.router.append(ExecutionReport.TEMPLATE_ID, report)

    def end(self) -> dict[str, Any]:
        """Stop the other process; what it noted."""
        deadline = time.monotonic() + 0.3
        while time.monotonic() < deadline:
            self._beat()
            time.sleep(0.02)
        if self.kind in ("echo", "bare"):
            self.feed.append(Heartbeat.TEMPLATE_ID, Heartbeat().encode())
        else:
            self.child.terminate()
        self.child.wait(20)
        self.feed.close()
        self.router.close()
        if self.orders is not None:
            self.orders.close()
        result: dict[str, Any] = msgspec.json.decode((self.root / "result.json").read_bytes())
        return result

    def journal(self, skip: int) -> list[tuple[int, int]]:
        """(cause, order) append times of every order but the first `skip`."""
        pairs = []
        with Queue.open_subscriber(self.paths.orders_out("bench"), None, start="earliest") as reader:
            for message in iter(reader.next, None):
                if message.type_id == NewOrder.TEMPLATE_ID:
                    pairs.append((_CAUSE_TS.unpack_from(message, 8 + 64)[0], message.ts_ns))
        return pairs[skip:]


def latencies(
    pairs: Sequence[tuple[int, int]], stops: Sequence[Sequence[int]]
) -> tuple[list[int], list[int]]:
    """Sorted latencies of all orders, and of those that no stop of the machine overlaps.

    A message that waits behind one which a stop has delayed is as much its victim.
    """
    ends = [stop[1] for stop in stops]
    clean = []
    delayed_until = 0
    for cause, order in pairs:
        at = bisect_left(ends, cause)
        if cause < delayed_until or (at < len(stops) and stops[at][0] <= order):
            delayed_until = order
        else:
            clean.append(order - cause)
    return sorted(order - cause for cause, order in pairs), sorted(clean)
