"""Signal generators: from features to Signal, NoSignal or Suppressed, each counted by its reason.

features -> null among those needed: NoSignal -> decide -> filters, in their order -> count -> outcome
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Protocol

from libchronicle.errors import InvalidArgument, MisuseError
from libchronicle.signals.outcomes import NoSignal, Outcome, Signal, Suppressed

__all__ = ["Filter", "SignalGenerator", "Values"]


class Values(Protocol):
    """Values by column, None for null: a FeatureSet, or a dict."""

    def get(self, name: str, /) -> float | None: ...

    def __contains__(self, name: object, /) -> bool: ...


class Filter(Protocol):
    """Holds signals back. `needs`: columns it looks at, none of them null when it is asked."""

    @property
    def name(self) -> str: ...

    @property
    def needs(self) -> tuple[str, ...]: ...

    def blocks(self, signal: Signal, values: Values) -> bool: ...


class SignalGenerator:
    """Derive from it and write `decide`; name the columns it needs.

        class Cheap(SignalGenerator):
            name, needs = "cheap", ("vwap_60s_bps",)

            def decide(self, values, now_ns):
                below = -values.get("vwap_60s_bps")
                if below < 5:
                    return NoSignal("not cheap")
                return Signal(Side.BUY, min(1.0, below / 50), 0.5, now_ns, self.name)

    Call it with a FeatureSet and the time: `outcome = cheap(features, ctx.now_ns())`. `counts` says how often each outcome
    came: "signal", "none: not cheap", "suppressed: spread".
    """

    name = "signal"
    needs: tuple[str, ...] = ()

    def __init__(self, *, filters: Iterable[Filter] = ()) -> None:
        self.filters = tuple(filters)
        self.counts: Counter[str] = Counter()
        self._checked: Values | None = None

    def decide(self, values: Values, now_ns: int) -> Outcome:
        """None of `needs` is null."""
        raise MisuseError(reason=f"{type(self).__name__} has no decide; give it one")

    def unknown(self) -> None:
        """Something needed is null: records are missing, or windows not full. For generators that remember."""

    def columns(self) -> tuple[str, ...]:
        """All that it and its filters need."""
        return (*self.needs, *(name for one in self.filters for name in one.needs))

    def check(self, values: Values) -> None:
        """Are all columns there? Done at the first call, too. Raises InvalidArgument, which names those that are not."""
        missing = [name for name in self.columns() if name not in values]
        if missing:
            allowed = f"features with {', '.join(missing)}"
            raise InvalidArgument(
                where=self.name, field="features", value=", ".join(_names(values)), allowed=allowed
            )
        self._checked = values

    def __call__(self, values: Values, now_ns: int) -> Outcome:
        """The outcome at `now_ns`. Raises InvalidArgument when a column is not among the features at all, and for an
        outcome that is none."""
        if self._checked is not values:
            self.check(values)
        outcome = self._filtered(self._decided(values, now_ns), values)
        self.counts[_label(outcome)] += 1
        return outcome

    def _decided(self, values: Values, now_ns: int) -> Outcome:
        for name in self.needs:
            if values.get(name) is None:
                self.unknown()
                return NoSignal(f"{name} unknown")
        return self.decide(values, now_ns)

    def _filtered(self, outcome: Outcome, values: Values) -> Outcome:
        if type(outcome) is not Signal:
            return outcome
        if not (0 < outcome.strength <= 1 and 0 <= outcome.confidence <= 1):  # NaN is neither
            value, allowed = outcome, "strength above 0, at most 1, and confidence 0 to 1"
            raise InvalidArgument(where=self.name, field="signal", value=value, allowed=allowed)
        for one in self.filters:
            for name in one.needs:
                if values.get(name) is None:
                    return Suppressed(f"{one.name} unknown", outcome)
            if one.blocks(outcome, values):
                return Suppressed(one.name, outcome)
        return outcome


def _label(outcome: Outcome) -> str:
    if type(outcome) is Signal:
        return "signal"
    if type(outcome) is Suppressed:
        return f"suppressed: {outcome.reason}"
    if type(outcome) is NoSignal:
        return f"none: {outcome.reason}"
    allowed = "Signal, NoSignal or Suppressed"
    raise InvalidArgument(where="SignalGenerator.decide", field="outcome", value=outcome, allowed=allowed)


def _names(values: Values) -> Iterable[str]:
    return values if isinstance(values, Iterable) else ()
