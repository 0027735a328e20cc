"""Seeded damage to a stream, for testing what listens to it.

A plan gives each fault's probability per frame; the injector turns one intact frame into what goes out instead. Counts of
what was done are kept, so that a test can compare them with what the consumer counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from random import Random

HUGE_BYTES = 4 << 20
GARBAGE = (
    b"not json at all",
    b'{"stream":',
    b"[]",
    b'{"stream":"x@depth","data":null}',
    b"\xc3\xa9" * 9,
    b"",
)


class FaultPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Probabilities per frame; all 0 = no faults."""

    seed: int = 1
    drop: float = 0.0
    duplicate: float = 0.0
    swap: float = 0.0
    """With the frame that follows it."""
    truncate: float = 0.0
    garbage: float = 0.0
    """An extra frame of nonsense text."""
    binary: float = 0.0
    """The frame as a binary message."""
    huge: float = 0.0
    """An extra text frame of 4 MiB."""
    disconnect: float = 0.0
    """The connection is cut without a closing handshake."""
    stall: float = 0.0
    """The connection stays open and says nothing more for `stall_s`; what is sent meanwhile is lost."""
    stall_s: float = 5.0
    skip: int = 0
    """Frames of each connection that stay intact first."""

    @property
    def active(self) -> bool:
        return any(getattr(self, fault.value) for fault in Fault)


class Fault(Enum):
    DROP = "drop"
    DUPLICATE = "duplicate"
    SWAP = "swap"
    TRUNCATE = "truncate"
    GARBAGE = "garbage"
    BINARY = "binary"
    HUGE = "huge"
    DISCONNECT = "disconnect"
    STALL = "stall"


class Action(NamedTuple):
    """What to do on the connection: send text, send binary, cut it, or be silent for a while."""

    kind: str
    payload: bytes = b""


class FaultInjector:
    """One connection's faults. Deterministic: the same plan, randomness and frames give the same actions."""

    def __init__(self, plan: FaultPlan, rng: Random, counts: Counter[Fault] | None = None) -> None:
        self.counts: Counter[Fault] = Counter() if counts is None else counts
        self._rng = rng
        self._skip = plan.skip
        self._held: bytes | None = None
        self._thresholds: list[tuple[float, Fault]] = []
        total = 0.0
        for fault in Fault:
            total += getattr(plan, fault.value)
            self._thresholds.append((total, fault))
        self._total = total

    def feed(self, payload: bytes) -> Iterator[Action]:
        fault = self._draw()
        if fault is not None:
            self.counts[fault] += 1
        if fault is Fault.SWAP and self._held is None:
            self._held = payload
            return
        yield from self._actions(fault, payload)
        if self._held is not None:
            held, self._held = self._held, None
            yield Action("text", held)

    def _draw(self) -> Fault | None:
        if self._skip > 0:
            self._skip -= 1
            return None
        draw = self._rng.random()
        if draw >= self._total:
            return None
        return next(fault for threshold, fault in self._thresholds if draw < threshold)

    def _actions(self, fault: Fault | None, payload: bytes) -> Iterator[Action]:
        if fault is None or fault is Fault.SWAP:
            yield Action("text", payload)
        elif fault is Fault.DUPLICATE:
            yield Action("text", payload)
            yield Action("text", payload)
        elif fault is Fault.TRUNCATE:
            yield Action("text", payload[: 1 + int(self._rng.random() * (len(payload) - 1))])
        elif fault is Fault.GARBAGE:
            yield Action("text", GARBAGE[int(self._rng.random() * len(GARBAGE))])
            yield Action("text", payload)
        elif fault is Fault.BINARY:
            yield Action("binary", payload)
        elif fault is Fault.HUGE:
            yield Action("text", b'{"stream":"' + b"x" * HUGE_BYTES + b'"}')
            yield Action("text", payload)
        elif fault in (Fault.DISCONNECT, Fault.STALL):
            yield Action(fault.value)
