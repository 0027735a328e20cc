"""Several generators as one, with weights that sum to 1; or with weights for each regime of the market.

    S = Σ wᵢ dᵢ sᵢ      d direction, s strength of a member's signal; members without one, or held back, count as 0
    C = Σ wᵢ cᵢ         c confidence, of the members that agree with the sign of S
    |S| >= min_strength -> Signal(sign of S, |S|, C), else NoSignal

Where a single member has all the weight, its own outcome is given, unchanged; switched off, the first member's: the rules.
Members without weight are not asked.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from libchronicle.errors import InvalidArgument
from libchronicle.protocol.enums import Side
from libchronicle.signals.generator import Filter, SignalGenerator, Values
from libchronicle.signals.outcomes import NoSignal, Outcome, Signal

__all__ = ["Ensemble", "Regimes"]

_CLOSE = 1e-9


class Regimes:
    """Weights by the range a column's value falls into: edges [0.3, 0.8] make three, below 0.3, from 0.3, from 0.8.

    `weights` has a row for each, and a row a weight for each member. Raises InvalidArgument.
    """

    def __init__(self, column: str, edges: Sequence[float], weights: Sequence[Sequence[float]]) -> None:
        if not edges or any(not math.isfinite(edge) for edge in edges) or list(edges) != sorted(set(edges)):
            raise InvalidArgument(
                where="Regimes", field="edges", value=edges, allowed="rising finite numbers"
            )
        if len(weights) != len(edges) + 1:
            allowed = f"{len(edges) + 1} rows, one more than edges"
            raise InvalidArgument(where="Regimes", field="weights", value=len(weights), allowed=allowed)
        self.column = column
        self.edges = tuple(edges)
        self.weights = tuple(_checked("Regimes", row, len(weights[0])) for row in weights)

    def at(self, value: float) -> tuple[float, ...]:
        """The weights where the column has this value."""
        return self.weights[bisect_right(self.edges, value)]


class Ensemble(SignalGenerator):
    """`weights`: one for each member, or Regimes. `enabled=False`: the first member alone. Raises InvalidArgument."""

    def __init__(
        self,
        members: Sequence[SignalGenerator],
        weights: Sequence[float] | Regimes,
        *,
        enabled: bool = True,
        min_strength: float = 0.05,
        name: str = "ensemble",
        filters: Iterable[Filter] = (),
    ) -> None:
        super().__init__(filters=filters)
        if not members or len({id(member) for member in members}) != len(members):
            allowed = "one or more generators, each once"
            raise InvalidArgument(where="Ensemble", field="members", value=len(members), allowed=allowed)
        if type(min_strength) not in (int, float) or not 0 < min_strength <= 1:
            raise InvalidArgument(
                where="Ensemble", field="min_strength", value=min_strength, allowed="above 0, at most 1"
            )
        self.name, self.members, self.enabled = name, tuple(members), enabled
        self.min_strength = min_strength
        self.regimes = weights if isinstance(weights, Regimes) else None
        self.fixed = () if isinstance(weights, Regimes) else _checked("Ensemble", weights, len(members))
        if self.regimes is not None and len(self.regimes.weights[0]) != len(members):
            value, allowed = len(self.regimes.weights[0]), f"{len(members)} in each row, one for each member"
            raise InvalidArgument(where="Ensemble", field="weights", value=value, allowed=allowed)

    def columns(self) -> tuple[str, ...]:
        asked = self.members if self.enabled else self.members[:1]
        regime = (self.regimes.column,) if self.regimes is not None and self.enabled else ()
        return (*regime, *super().columns(), *(name for member in asked for name in member.columns()))

    def decide(self, values: Values, now_ns: int) -> Outcome:
        if not self.enabled:
            return self.members[0](values, now_ns)
        weights = self.fixed
        if self.regimes is not None:
            regime = values.get(self.regimes.column)
            if regime is None:
                return NoSignal(f"{self.regimes.column} unknown")
            weights = self.regimes.at(regime)
        asked = [(w, member(values, now_ns)) for w, member in zip(weights, self.members, strict=True) if w]
        return asked[0][1] if len(asked) == 1 else self._combined(asked, now_ns)

    def _combined(self, asked: Sequence[tuple[float, Outcome]], now_ns: int) -> Outcome:
        given = [(weight, outcome) for weight, outcome in asked if isinstance(outcome, Signal)]
        strength = math.fsum(weight * one.direction * one.strength for weight, one in given)
        if abs(strength) < self.min_strength:
            return NoSignal("undecided" if given else "none has one")
        side = Side.BUY if strength > 0 else Side.SELL
        confidence = math.fsum(weight * one.confidence for weight, one in given if one.side is side)
        return Signal(side, min(1.0, abs(strength)), min(1.0, confidence), now_ns, self.name)


def _checked(where: str, weights: Sequence[float], count: int) -> tuple[float, ...]:
    """Weights that are no less than 0 and sum to 1."""
    fit = len(weights) == count and all(type(w) in (int, float) and 0 <= w <= 1 for w in weights)
    if not fit or abs(math.fsum(weights) - 1) > _CLOSE:
        allowed = f"{count} weights, none below 0, that sum to 1"
        raise InvalidArgument(where=where, field="weights", value=list(weights), allowed=allowed)
    return tuple(weights)
