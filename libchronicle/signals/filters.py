"""Filters: when not to act on a signal. Each is asked with its columns known; null means Suppressed("... unknown")."""

from __future__ import annotations

import math

from libchronicle.errors import InvalidArgument
from libchronicle.signals.generator import Values
from libchronicle.signals.outcomes import Signal

__all__ = ["MomentumFilter", "SpreadFilter", "VolatilityFilter"]


class SpreadFilter:
    """Holds back while the spread is above `most_bps`: crossing it would cost more than the signal is worth."""

    name = "spread"

    def __init__(self, most_bps: float, *, column: str = "spread_bps") -> None:
        self.most_bps = positive("SpreadFilter", "most_bps", most_bps)
        self.needs = (column,)

    def blocks(self, signal: Signal, values: Values) -> bool:
        return _value(values, self.needs[0]) > self.most_bps


class VolatilityFilter:
    """Holds back while volatility, a fraction a year, is below `least` or above `most`."""

    name = "volatility"

    def __init__(self, *, least: float = 0.0, most: float = math.inf, column: str = "volatility_60s") -> None:
        if not 0 <= least < most:
            raise InvalidArgument(
                where="VolatilityFilter", field="least", value=least, allowed=f"0 to most, {most}"
            )
        self.least, self.most = least, most
        self.needs = (column,)

    def blocks(self, signal: Signal, values: Values) -> bool:
        return not self.least <= _value(values, self.needs[0]) <= self.most


class MomentumFilter:
    """Holds back a signal against a move of more than `against_bps`: no buying into a fall, no selling into a rise."""

    name = "momentum"

    def __init__(self, against_bps: float, *, column: str = "momentum_10s_bps") -> None:
        self.against_bps = positive("MomentumFilter", "against_bps", against_bps)
        self.needs = (column,)

    def blocks(self, signal: Signal, values: Values) -> bool:
        return signal.direction * _value(values, self.needs[0]) < -self.against_bps


def positive(where: str, field: str, value: float) -> float:
    """A finite number above zero. Raises InvalidArgument."""
    if type(value) not in (int, float) or not 0 < value < math.inf:
        raise InvalidArgument(where=where, field=field, value=value, allowed="above 0")
    return value


def _value(values: Values, name: str) -> float:
    value = values.get(name)
    assert value is not None
    return value
