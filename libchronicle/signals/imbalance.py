"""The imbalance signal: act when a book leans, long enough, and only for as long as that means something.

    x          the imbalance, -1 to 1; t now
    threshold  the book leans to a side when x is beyond it; having leant, until x is back within `release`
    persist    it must have leant to one side for so long without a break
    strength   (|x| - threshold) / (1 - threshold) × 2^(-age / half_life), age the time since it has persisted: 1 only for a
               book with one side empty, and only at age 0
    confidence w |mean| / rms of x over the past, both weighted by 2^(-age / memory), w = 1 - 2^(-T / memory) for a history of
               length T: 1 for a book that has leant one way for ever, 0 for one whose past leans the other way
    holding    for `hold` after the first signal to a side, none is given to the other

    state      the book leans to         outcome
    LEVEL      neither side              NoSignal "level"
    BUILDING   one, not yet for persist  NoSignal "building"
    LEANING    one                       NoSignal "weak" (between release and threshold) or "decayed" (below min_strength);
                                         Suppressed "confidence" or "holding"; else Signal

What comes between two looks counts as the value of the first: averages are over time, not over looks. A null forgets
everything but the holding period.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from libchronicle.errors import InvalidArgument
from libchronicle.protocol.enums import Side
from libchronicle.signals.filters import positive
from libchronicle.signals.generator import Filter, SignalGenerator, Values
from libchronicle.signals.outcomes import NoSignal, Outcome, Signal, Suppressed

__all__ = ["ImbalanceSignal"]

_MS = 1_000_000
_BUY, _SELL = Side.BUY, Side.SELL


class ImbalanceSignal(SignalGenerator):
    """Times in ms; see the head of this file for what each means. Raises InvalidArgument."""

    def __init__(
        self,
        *,
        threshold: float = 0.4,
        release: float | None = None,
        persist_ms: float = 200,
        half_life_ms: float = 1_000,
        memory_ms: float = 1_000,
        hold_ms: float = 1_000,
        min_strength: float = 0.05,
        min_confidence: float = 0.5,
        column: str = "imbalance_5",
        name: str = "imbalance",
        filters: Iterable[Filter] = (),
    ) -> None:
        super().__init__(filters=filters)
        self.name, self.needs = name, (column,)
        self.threshold = _fraction("threshold", threshold)
        self.release = threshold if release is None else _fraction("release", release, most=threshold)
        self.min_strength = _fraction("min_strength", min_strength, open_end=True)
        self.min_confidence = _fraction("min_confidence", min_confidence, open_end=True)
        self.persist_ns, self.hold_ns = _span("persist_ms", persist_ms), _span("hold_ms", hold_ms)
        self.half_life_ns = positive("ImbalanceSignal", "half_life_ms", half_life_ms) * _MS
        self._past = _Past(positive("ImbalanceSignal", "memory_ms", memory_ms) * _MS)
        self._side = 0  # the book leans to it: 1, -1, or 0 for neither
        self._since_ns = 0
        self._held, self._held_ns = 0, 0

    def unknown(self) -> None:
        self._side = 0
        self._past.forget()

    def decide(self, values: Values, now_ns: int) -> Outcome:
        x = values.get(self.needs[0])
        assert x is not None
        self._past.add(x, now_ns)
        self._lean(x, now_ns)
        if not self._side:
            return NoSignal("level")
        age = now_ns - self._since_ns - self.persist_ns
        if age < 0:
            return NoSignal("building")
        begun = (self._side * x - self.threshold) / (1 - self.threshold)
        strength = begun * 2 ** (-age / self.half_life_ns)
        if begun <= 0 or begun < self.min_strength:
            return NoSignal("weak")
        if strength < self.min_strength:
            return NoSignal("decayed")
        side = _BUY if self._side > 0 else _SELL
        return self._held_back(Signal(side, strength, self._past.confidence(self._side), now_ns, self.name))

    def _lean(self, x: float, now_ns: int) -> None:
        """Which way the book leans, and since when."""
        side = (x > 0) - (x < 0) if abs(x) > self.threshold else 0
        if not side and self._side * x > self.release:
            side = self._side
        if side != self._side:
            self._side, self._since_ns = side, now_ns

    def _held_back(self, signal: Signal) -> Outcome:
        if signal.confidence < self.min_confidence:
            return Suppressed("confidence", signal)
        direction = self._side
        if direction != self._held:
            if self._held and signal.ts_ns - self._held_ns < self.hold_ns:
                return Suppressed("holding", signal)
            self._held, self._held_ns = direction, signal.ts_ns
        return signal


class _Past:
    """Mean and mean square of x, each moment weighted by 2^(-age / memory)."""

    def __init__(self, memory_ns: float) -> None:
        self.memory_ns = memory_ns
        self.forget()

    def forget(self) -> None:
        self.weight = self.mean = self.square = 0.0  # the last two times weight
        self.x, self.at_ns = 0.0, -1

    def add(self, x: float, now_ns: int) -> None:
        if self.at_ns >= 0:
            kept = 2 ** (-(now_ns - self.at_ns) / self.memory_ns)
            self.weight = kept * self.weight + (1 - kept)
            self.mean = kept * self.mean + (1 - kept) * self.x
            self.square = kept * self.square + (1 - kept) * self.x**2
        self.x, self.at_ns = x, now_ns

    def confidence(self, side: int) -> float:
        if self.square <= 0 or side * self.mean <= 0:
            return 0.0
        return min(1.0, side * self.mean * math.sqrt(self.weight / self.square))


def _fraction(field: str, value: float, *, most: float = 1.0, open_end: bool = False) -> float:
    fits = type(value) in (int, float) and 0 <= value <= most and (value < 1 or open_end)
    if not fits:
        raise InvalidArgument(where="ImbalanceSignal", field=field, value=value, allowed=f"0 to {most}")
    return value


def _span(field: str, value: float) -> int:
    if type(value) not in (int, float) or not 0 <= value <= 86_400_000:
        raise InvalidArgument(where="ImbalanceSignal", field=field, value=value, allowed="0 to 86,400,000 ms")
    return round(value * _MS)
